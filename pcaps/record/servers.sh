# Sourced by record.sh: how each server is set up and started. Each function takes the host first, writes only
# below $LAB/HOST and returns when the server answers. `stop LABEL` (lab.sh) ends it.

REALM=OFFICE.EXAMPLE
DOMAIN=OFFICE
PASSWORD=Passw0rd.office
ADMIN="Administrator%$PASSWORD"

# --- Samba -------------------------------------------------------------------------------------------------

# samba_folders HOST: the [global] lines that keep all of Samba's state below $LAB/HOST.
samba_folders() {
  local at=$LAB/$1
  mkdir -p "$at"/{private,state,cache,bind-dns,run/ncalrpc,share,spool}
  cat <<-END
	private dir = $at/private
	state directory = $at/state
	cache directory = $at/cache
	lock directory = $at
	binddns dir = $at/bind-dns
	pid directory = $at/run
	ncalrpc dir = $at/run/ncalrpc
	log file = $at/log.%m
	END
}

# domain_controller_provision HOST ADDRESS: a new domain, with three users.
domain_controller_provision() {
  local at=$LAB/$1
  echo '[global]' >"$at/smb.conf"   # provisioning begins with the settings it finds
  on "$1" samba-tool domain provision --targetdir="$at" --realm=$REALM --domain=$DOMAIN --server-role=dc \
    --dns-backend=SAMBA_INTERNAL --adminpass=$PASSWORD --host-name="$1" --host-ip="$2" --use-rfc2307 \
    --option="interfaces=lo eth0" --option="bind interfaces only=yes" >"$at/provision.log" 2>&1 ||
    { tail "$at/provision.log" >&2; return 1; }
  # rdns: the domain has no reverse zone, and a ticket is wanted for the name that was asked for.
  { cat "$at/private/krb5.conf"; printf '[libdefaults]\n\trdns = false\n'; } >$LAB/krb5.conf
  domain_controller_settings "$1" "$2"
  on "$1" samba-tool domain passwordsettings set --min-pwd-age=0 >/dev/null
  for user in alice bob carol; do on "$1" samba-tool user create $user $PASSWORD >/dev/null; done
}

# domain_controller_settings HOST ADDRESS [LINE...]: its smb.conf, with further [global] lines.
domain_controller_settings() {
  local at=$LAB/$1 name=${1^^} address=$2
  shift 2
  {
    cat <<-END
	[global]
	netbios name = $name
	workgroup = $DOMAIN
	realm = $REALM
	server role = active directory domain controller
	interfaces = lo eth0
	bind interfaces only = yes
	dns forwarder = ${FORWARDER:-$address}
	idmap_ldb:use rfc2307 = yes
	wins support = yes
	server min protocol = NT1
	ntlm auth = yes
	END
    samba_folders "$(basename "$at")"
    printf '%s\n' "$@"
    cat <<-END
	[sysvol]
	path = $at/state/sysvol
	read only = no
	[netlogon]
	path = $at/state/sysvol/office.example/scripts
	read only = no
	[share]
	path = $at/share
	read only = no
	END
  } >"$at/smb.conf"
}

# domain_controller HOST [FIRST_PORT]: starts it; the first dynamic RPC port says when it is ready.
# /run/samba has to be private: smbd looks for winbindd's socket there, whatever smb.conf says.
domain_controller() {
  serve "$1" "samba-$1" sh -c \
    'mkdir -p /run/samba; mount -t tmpfs -o mode=755 tmpfs /run/samba; exec samba -i -M prefork --debug-stdout -d1'
  for port in 135 389 445 "${2:-49152}"; do listening "$1" tcp "$port"; done
  sleep 3
}

# workstation HOST: settings of a Samba client.
workstation() {
  {
    cat <<-END
	[global]
	netbios name = ${1^^}
	workgroup = $DOMAIN
	realm = $REALM
	security = ads
	kerberos method = secrets only
	interfaces = eth0
	client min protocol = NT1
	wins server = $NET.10
	END
    samba_folders "$1"
  } >"$LAB/$1/smb.conf"
}

# file_server_settings HOST: a member of the domain with shares and a printer.
file_server_settings() {
  local at=$LAB/$1
  echo 'root = *' >"$at/usermap"   # the domain's users have no accounts on the recording machine
  {
    cat <<-END
	[global]
	netbios name = ${1^^}
	workgroup = $DOMAIN
	realm = $REALM
	server role = member server
	security = ads
	kerberos method = secrets only
	interfaces = lo eth0
	bind interfaces only = yes
	idmap config * : backend = tdb
	idmap config * : range = 100000-199999
	username map = $at/usermap
	min domain uid = 0
	rpc start on demand helpers = no
	wins server = $NET.10
	server min protocol = NT1
	printing = sysv
	load printers = no
	disable spoolss = no
	END
    samba_folders "$1"
    cat <<-END
	[projects]
	path = $at/share
	read only = no
	force user = root
	[print\$]
	path = $at/spool
	[laser]
	path = $at/spool
	printable = yes
	print command = rm -f %s
	lpq command = true
	END
  } >"$at/smb.conf"
}

# stand_alone_settings HOST: a file server of no domain, with one user, root%secret.
stand_alone_settings() {
  local at=$LAB/$1
  {
    cat <<-END
	[global]
	netbios name = ${1^^}
	workgroup = BRANCH
	server role = standalone server
	rpc start on demand helpers = no
	END
    samba_folders "$1"
    cat <<-END
	[projects]
	path = $at/share
	read only = no
	END
  } >"$at/smb.conf"
  sample_files "$at/share"
  printf 'secret\nsecret\n' | on "$1" smbpasswd -c "$at/smb.conf" -s -a root >/dev/null
}

# file_server HOST [domain]: smbd, nmbd, winbindd, and samba-dcerpcd, which puts an endpoint mapper on 135 and RPC on
# dynamic ports. setsid: smbd without a process group of its own would end ours with it.
file_server() {
  serve "$1" "smbd-$1" setsid sh -c '
    mkdir -p /run/samba; mount -t tmpfs -o mode=755 tmpfs /run/samba
    trap "kill 0" TERM
    [ "$0" = domain ] && winbindd -F --no-process-group --debug-stdout &
    nmbd -F --no-process-group --debug-stdout &
    smbd -F --no-process-group --debug-stdout &
    sleep 1
    /usr/libexec/samba/samba-dcerpcd -F --no-process-group --libexec-rpcds --debug-stdout &
    wait' "${2:-}"
  for port in 135 139 445 49152; do listening "$1" tcp $port; done
  sleep 1
}

# --- Files, web, mail --------------------------------------------------------------------------------------

# sample_files FOLDER: something to fetch, of sizes that take several segments. Text, so that it compresses.
sample_files() {
  mkdir -p "$1"
  seq -f 'line %05g of the report' 400 >"$1/report.txt"
  seq -f 'record %06g,north,42' 1200 >"$1/figures.csv"
  chmod -R a+rX "$1"
}

# ftp_server HOST CONTROL_PORT: vsftpd; active data connections come from the port below the control port,
# passive ports lie in Windows' old range.
ftp_server() {
  local at=$LAB/$1
  sample_files "$at/ftp"
  mkdir -p "$at/empty" $LAB/ftp   # the latter is the home of Debian's user ftp, which vsftpd enters first
  cat >"$at/vsftpd-$2.conf" <<-END
	listen=YES
	listen_port=$2
	background=NO
	anonymous_enable=YES
	local_enable=NO
	anon_root=$at/ftp
	secure_chroot_dir=$at/empty
	ftpd_banner=FTP service ready.
	xferlog_enable=NO
	seccomp_sandbox=NO
	connect_from_port_20=YES
	ftp_data_port=$(($2 - 1))
	pasv_min_port=1025
	pasv_max_port=5000
	END
  serve "$1" "vsftpd-$1-$2" vsftpd "$at/vsftpd-$2.conf"
  listening "$1" tcp "$2"
}

tftp_server() {
  sample_files "$LAB/$1/tftp"
  chmod 777 "$LAB/$1/tftp"
  serve "$1" "tftpd-$1" in.tftpd -L -4 -c -s "$LAB/$1/tftp"
  listening "$1" udp 69
}

# certificate HOST: key.pem and cert.pem below $LAB/HOST.
certificate() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$1.office.example" \
    -keyout "$LAB/$1/key.pem" -out "$LAB/$1/cert.pem" 2>/dev/null
}

# web_server HOST [SERVER]: nginx on 80, 443 and 5985. Without SERVER it sends no Server header: it stands in
# for IIS and does not claim to be anything else.
web_server() {
  local at=$LAB/$1 header="more_clear_headers Server;" temporary
  [ -n "${2:-}" ] && header="more_set_headers 'Server: $2';"
  sample_files "$at/www"
  certificate "$1"
  temporary=$(printf "%s_temp_path $at/%s; " client_body t1 proxy t2 fastcgi t3 uwsgi t4 scgi t5)
  cat >"$at/nginx.conf" <<-END
	load_module /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so;
	user root;
	daemon off;
	master_process off;
	pid $at/nginx.pid;
	error_log stderr;
	events {}
	http {
	  access_log off;
	  $temporary
	  $header
	  root $at/www;
	  server { listen 80; listen 5985; }
	  server { listen 443 ssl; ssl_certificate $at/cert.pem; ssl_certificate_key $at/key.pem; }
	}
	END
  serve "$1" "nginx-$1" nginx -c "$at/nginx.conf"
  listening "$1" tcp 443
}

# fetch HOST URL [CURL OPTION...]
fetch() {
  local name=$1
  shift
  client "$name" curl -sSk --max-time 20 -o /dev/null "$@"
}

# mail_server HOST: SMTP on 25 (aiosmtpd), POP3 on 110 and IMAP on 143 (dovecot).
mail_server() {
  local at=$LAB/$1
  mkdir -p "$at/mail"
  chmod 777 "$at" "$at/mail"
  cat >"$at/dovecot.conf" <<-END
	protocols = imap pop3
	base_dir = $at/dovecot
	log_path = $at/dovecot.messages
	login_greeting = Mail service ready.
	ssl = no
	disable_plaintext_auth = no
	mail_location = maildir:$at/mail/%u
	passdb {
	  driver = static
	  args = password=secret
	}
	userdb {
	  driver = static
	  args = uid=65534 gid=65534 home=$at/mail
	}
	first_valid_uid = 1
	END
  serve "$1" "dovecot-$1" dovecot -F -c "$at/dovecot.conf"
  serve "$1" "smtp-$1" "$LAB_PYTHON" "$HERE/stand-ins/smtp.py"
  listening "$1" tcp 25
  listening "$1" tcp 143
}

# --- Network services --------------------------------------------------------------------------------------

# radius_server HOST: FreeRADIUS on the ports of today and of before.
radius_server() {
  local at=$LAB/$1/radius port
  mkdir -p "$at"
  # shellcheck disable=SC2016
  echo '$INCLUDE /usr/share/freeradius/dictionary' >"$at/dictionary"
  echo 'alice Cleartext-Password := "hello"' >"$at/users"
  {
    cat <<-END
	libdir = /usr/lib/freeradius
	raddbdir = $at
	run_dir = $at
	log {
	  destination = stdout
	}
	modules {
	  pap {
	  }
	  files {
	    usersfile = $at/users
	  }
	  always ok {
	    rcode = ok
	  }
	}
	client office {
	  ipaddr = $NET.0/24
	  secret = testing123
	}
	server office {
	  authorize {
	    files
	    pap
	  }
	  authenticate {
	    Auth-Type PAP {
	      pap
	    }
	  }
	  preacct {
	    ok
	  }
	  accounting {
	    ok
	  }
	END
    for port in 1812 1645; do printf 'listen {\n type = auth\n ipaddr = *\n port = %s\n}\n' $port; done
    for port in 1813 1646; do printf 'listen {\n type = acct\n ipaddr = *\n port = %s\n}\n' $port; done
    echo '}'
  } >"$at/radiusd.conf"
  serve "$1" "radius-$1" freeradius -f -l stdout -d "$at" -n radiusd
  listening "$1" udp 1646
}

# radius CLIENT SERVER_ADDRESS PORT auth|acct ATTRIBUTES
radius() {
  client "$1" sh -c "echo '$5' | radclient $2:$3 $4 testing123"
}

# snmp_agent HOST: snmpd on 161.
snmp_agent() {
  printf 'rocommunity public\nagentaddress udp:161\nsysName %s\nsysDescr %s\nsysLocation office\nsysContact it\n' \
    "$1" "$1" >"$LAB/$1/snmpd.conf"
  serve "$1" "snmpd-$1" snmpd -f -Lo -C -c "$LAB/$1/snmpd.conf"
  listening "$1" udp 161
}

# snmp_manager HOST: snmptrapd on 162.
snmp_manager() {
  echo 'disableAuthorization yes' >"$LAB/$1/snmptrapd.conf"
  serve "$1" "snmptrapd-$1" snmptrapd -f -Lo -n -C -c "$LAB/$1/snmptrapd.conf" udp:162
  listening "$1" udp 162
}

# dhcp_server HOST [DNSMASQ OPTION...]: addresses are reserved by hardware address: NET.101 for ...:65, and on.
dhcp_server() {
  local name=$1 number reservations=()
  shift
  for number in 101 102 103 104; do
    reservations+=("--dhcp-host=$(printf '02:00:0a:14:00:%02x' $number),$NET.$number,pc$((number - 100))")
  done
  serve "$name" "dhcp-$name" dnsmasq -k -d -C /dev/null --no-resolv --no-hosts --port=0 --interface=eth0 --bind-interfaces \
    --dhcp-range=$NET.101,$NET.150,30m --dhcp-authoritative --dhcp-option=option:domain-name,office.example \
    --dhcp-option=option:dns-server,$NET.10 --dhcp-option=option:router,$NET.1 --dhcp-leasefile="$LAB/$name/leases" \
    --pid-file="$LAB/$name/dnsmasq.pid" --user=root "${reservations[@]}" "$@"
  listening "$name" udp 67
}

# dhcp_client HOST udhcpc|dhclient: gives up the host's address and asks for one; the server gives the same.
dhcp_client() {
  local at=$LAB/$1
  ip -n "$1" addr flush dev eth0
  case $2 in
    udhcpc) client "$1" udhcpc -i eth0 -n -q -f -s "$HERE/clients/configure.sh" -t 3 ;;
    dhclient)
      client "$1" dhclient -1 -sf "$HERE/clients/configure.sh" -lf "$at/leases" -pf "$at/dhclient.pid" eth0
      # It goes on in the background, to renew; its number is written a little after it has left the foreground.
      for _ in $(seq 30); do [ -s "$at/dhclient.pid" ] && break; sleep .1; done
      kill "$(cat "$at/dhclient.pid")"
      ;;
  esac
}

time_server() {
  printf 'local stratum 5\nallow all\ncmdport 0\npidfile %s/chronyd.pid\nuser root\n' "$LAB/$1" >"$LAB/$1/chrony.conf"
  serve "$1" "ntp-$1" chronyd -x -d -f "$LAB/$1/chrony.conf"
  listening "$1" udp 123
}

# simple_services HOST: echo, discard, daytime, quotd, chargen and time; telnet; NNTP by leafnode, which insists on
# a host name that looks real.
simple_services() {
  local at=$LAB/$1 name
  mkdir -p "$at"
  echo '127.0.0.1 localhost news.officefleet.net news' >"$at/hosts"
  printf 'server = localhost\nexpire = 20\nhostname = news.officefleet.net\n' >"$at/leafnode"
  {
    for name in echo discard daytime chargen; do
      echo "$name stream tcp nowait root internal"
      echo "$name dgram udp wait root internal"
    done
    echo 'time stream tcp nowait root internal'
    echo '17 stream tcp nowait root /bin/echo echo Measure twice, cut once.'
    echo 'telnet stream tcp nowait root /usr/sbin/telnetd telnetd -h'
    echo 'nntp stream tcp nowait root /usr/sbin/leafnode leafnode'
  } >"$at/inetd.conf"
  serve "$1" "inetd-$1" sh -c '
    hostname news.officefleet.net
    mount --bind "$0/hosts" /etc/hosts
    mount --bind "$0/leafnode" /etc/news/leafnode/config
    exec inetutils-inetd -d "$0/inetd.conf"' "$at"
  listening "$1" tcp 119
}

# print_server HOST: LPRng on 515; it reads its settings from one place only.
print_server() {
  local at=$LAB/$1
  mkdir -p "$at/spool/lp" "$at/printed"
  : >"$at/printed/file"
  echo "lp:sd=$at/spool/lp:lp=$at/printed/file:mx=0:sh" >"$at/printcap"
  echo 'DEFAULT ACCEPT' >"$at/lpd.perms"
  printf '127.0.0.1 localhost\n127.0.0.1 %s.office.example %s\n%s pc1.office.example pc1\n' "$1" "$1" $NET.101 >"$at/hosts"
  chown -R daemon "$at/spool" "$at/printed"
  cat >"$at/lpd.conf" <<-END
	printcap_path=$at/printcap
	printer_perms_path=$at/lpd.perms
	lockfile=$at/lpd.lock
	unix_socket_path=$at/lpd.socket
	lpd_listen_port=515
	END
  serve "$1" "lpd-$1" sh -c '
    mount --bind "$0/hosts" /etc/hosts
    mount --bind "$0/lpd.conf" /etc/lprng/lpd.conf
    mount --bind "$0/lpd.perms" /etc/lprng/lpd.perms
    exec lpd -F' "$at"
  listening "$1" tcp 515
}

# terminal_server HOST: xrdp; the session itself is not started.
terminal_server() {
  local at=$LAB/$1
  cp -r /etc/xrdp "$at/xrdp"
  certificate "$1"
  sed -i "s#^certificate=.*#certificate=$at/cert.pem#; s#^key_file=.*#key_file=$at/key.pem#; s#^LogFile=.*#LogFile=$at/xrdp.messages#" \
    "$at/xrdp/xrdp.ini"
  serve "$1" "xrdp-$1" xrdp --nodaemon --config "$at/xrdp/xrdp.ini"
  listening "$1" tcp 3389
}

# remote_desktop CLIENT ADDRESS rdp|tls: xfreerdp under a display of its own; ends after some seconds.
remote_desktop() {
  client_for 6 "$1" xvfb-run -a xfreerdp /v:"$2" /u:alice /p:secret /cert:ignore /sec:"$3" /w:320 /h:200 /bpp:8
}

# --- Tunnels -----------------------------------------------------------------------------------------------

# tunnel HOST gre|ipip|esp|ah PEER INNER_ADDRESS INNER_PEER [KEY]: a tunnel in user space (stand-ins/tunnel.py): the
# packets that the hosts route into tun0 are real, their wrapping is done by scapy where the kernel may have none.
tunnel() {
  local name=$1 kind=$2 peer=$3 inner=$4 inner_peer=$5
  on "$name" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
  ip -n "$name" tuntap add tun0 mode tun
  ip -n "$name" addr add "$inner/32" peer "$inner_peer/32" dev tun0
  ip -n "$name" link set tun0 mtu 1380 up
  serve "$name" "tunnel-$name" "$LAB_PYTHON" "$HERE/stand-ins/tunnel.py" "$kind" "$peer" "${6:-}"
}

# pppd_stand_in HOST: what stands in for pppd there.
pppd_stand_in() {
  printf '#!/bin/sh\nexec "%s" "%s/stand-ins/ppp.py" "$@" 2>>"%s/ppp.log"\n' "$LAB_PYTHON" "$HERE" "$LAB/$1" >"$LAB/$1/pppd"
  chmod +x "$LAB/$1/pppd"
}

# pptp_server HOST OWN_ADDRESS CLIENT_ADDRESSES
pptp_server() {
  local at=$LAB/$1
  pppd_stand_in "$1"
  printf 'ppp %s/pppd\nlocalip %s\nremoteip %s\npidfile %s/pptpd.pid\n' "$at" "$2" "$3" "$at" >"$at/pptpd.conf"
  : >"$at/options"
  serve "$1" "pptpd-$1" pptpd -f -c "$at/pptpd.conf" -o "$at/options"
  listening "$1" tcp 1723
}

# l2tp HOST CONFIGURATION: xl2tpd, as server or client; it calls /usr/sbin/pppd, so the stand-in is put there for it.
l2tp() {
  local at=$LAB/$1
  pppd_stand_in "$1"
  echo noauth >"$at/ppp-options"
  printf '[global]\nport = 1701\naccess control = no\n%s\nrequire authentication = no\npppoptfile = %s/ppp-options\n' \
    "$2" "$at" >"$at/xl2tpd.conf"
  serve "$1" "xl2tpd-$1" sh -c '
    mount --bind "$0/pppd" /usr/sbin/pppd
    exec xl2tpd -D -c "$0/xl2tpd.conf" -p "$0/xl2tpd.pid" -C "$0/l2tp-control"' "$at"
  sleep 1
}

# ike HOST ADDRESS PEER INNER PEER_INNER: strongSwan with ESP in user space, hence always inside UDP 4500.
ike() {
  local name=$1 address=$2 peer=$3 inner=$4 peer_inner=$5 at=$LAB/$1 version
  mkdir -p "$at/run"
  ip -n "$name" addr add "$inner/32" dev lo
  cat >"$at/strongswan.conf" <<-END
	charon {
	  load = random nonce aes sha1 sha2 hmac gmp pem pkcs1 x509 pubkey constraints kdf drbg kernel-libipsec kernel-netlink socket-default vici updown
	  plugins {
	    vici {
	      socket = unix://$at/vici
	    }
	  }
	  filelog {
	    stderr {
	      default = 1
	    }
	  }
	}
	END
  {
    echo 'connections {'
    for version in 1 2; do
      cat <<-END
	v$version {
	  version = $version
	  local_addrs = $address
	  remote_addrs = $peer
	  encap = yes
	  local {
	    auth = psk
	    id = $address
	  }
	  remote {
	    auth = psk
	    id = $peer
	  }
	  children {
	    net$version {
	      local_ts = $inner/32
	      remote_ts = $peer_inner/32
	      esp_proposals = aes128-sha256
	    }
	  }
	}
	END
    done
    printf '}\nsecrets {\n  ike-1 {\n    id-1 = %s\n    id-2 = %s\n    secret = a-shared-word\n  }\n}\n' "$address" "$peer"
  } >"$at/swanctl.conf"
  serve "$name" "ike-$name" sh -c 'mount --bind "$0/run" /run; STRONGSWAN_CONF=$0/strongswan.conf exec /usr/lib/ipsec/charon' "$at"
  for _ in $(seq 40); do [ -S "$at/vici" ] && break; sleep .1; done
  client "$name" swanctl --load-all --uri "unix://$at/vici" --file "$at/swanctl.conf"
}
