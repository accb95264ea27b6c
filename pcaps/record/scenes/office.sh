# A small office on one bridge, recorded in one go: who talks, and to which Windows services?
#
#   outside                     gw1 .1          router
#   203.0.113.53   DNS          dc1 .10         domain controller: directory, DNS, WINS, time, DHCP
#   203.0.113.80   web site     fs1 .11         file and print server, member of the domain
#   203.0.113.40   branch       web1 .12        intranet: web, mail, news, FTP, TFTP, Telnet, SNMP, RTSP
#   203.0.113.77   home         ras1 .13        remote access: RADIUS, RDP, GRE from the branch, PPTP from home
#                               prn1 .15        printer and scanner, no Windows machine
#                               ap1 .16         access point, no Windows machine
#                               pc1 to pc4      .101 to .104
#
# The machines that stand in for Windows ones have its initial TTL and greet without a product name.

RPC="$LAB_PYTHON $HERE/clients/rpc.py"
FORWARDER=203.0.113.53

# --- Machines ----------------------------------------------------------------------------------------------

host gw1 1 $LINUX_TTL
for machine in 'dc1 10' 'fs1 11' 'web1 12' 'ras1 13' "prn1 15 $LINUX_TTL" "ap1 16 $LINUX_TTL" 'pc1 101' 'pc2 102' 'pc3 103' 'pc4 104'; do
  # shellcheck disable=SC2086
  host $machine
  ip -n "${machine%% *}" route add default via $NET.1
done
for name in pc1 pc2 pc3 pc4 prn1; do workstation $name; done

# outside NAME NUMBER: a host 203.0.113.NUMBER behind gw1, off the captured bridge.
ip link add br1 type bridge mcast_snooping 0
ip link set br1 up
attach gw1 eth1 br1 203.0.113.1
ip netns exec gw1 sysctl -qw net.ipv4.ip_forward=1
outside() {
  ip netns add "$1"
  ip netns exec "$1" sysctl -qw "${NO_IPV6[@]}"
  ip -n "$1" link set lo up
  attach "$1" eth0 br1 "203.0.113.$2"
  ip -n "$1" route add default via 203.0.113.1
  mkdir -p "$LAB/$1"
}
outside dns 53
outside site 80
outside branch 40
outside home 77

# --- Servers -----------------------------------------------------------------------------------------------

echo 'address=/www.example.net/203.0.113.80' >$LAB/dns/names
serve dns dns dnsmasq -k -d -C $LAB/dns/names --no-resolv --no-hosts --user=root --pid-file=$LAB/dns/dnsmasq.pid
web_server site nginx

domain_controller_provision dc1 $NET.10
mkdir -p $LAB/dc1/state/sysvol/office.example/scripts
printf 'net use h: \\\\fs1\\projects\r\n' >$LAB/dc1/state/sysvol/office.example/scripts/logon.cmd
domain_controller dc1
for record in 'fs1 11' 'web1 12' 'ras1 13' 'prn1 15'; do
  on dc1 samba-tool dns add 127.0.0.1 office.example "${record% *}" A "$NET.${record#* }" -U "$ADMIN" >/dev/null
done
on dc1 samba-tool dns add 127.0.0.1 office.example @ MX 'web1.office.example 10' -U "$ADMIN" >/dev/null
time_server dc1
dhcp_server dc1

file_server_settings fs1
on fs1 net ads join -U "$ADMIN" --no-dns-updates >/dev/null 2>&1
sample_files $LAB/fs1/share
seq -f 'entry %06g,office supplies,paid' 9000 >$LAB/fs1/share/ledger.csv
file_server fs1 domain

web_server web1
mail_server web1
ftp_server web1 21
tftp_server web1
snmp_agent web1
simple_services web1
serve web1 rtsp-web1 /usr/bin/python3 "$HERE/stand-ins/rtsp.py"
listening web1 tcp 554

radius_server ras1
terminal_server ras1
ip -n ras1 addr add 10.30.1.10/32 dev lo
stand_alone_settings ras1
file_server ras1
pptp_server ras1 10.30.3.1 10.30.3.10-20

tunnel ras1 gre 203.0.113.40 10.30.1.1 10.30.2.1
tunnel branch gre $NET.13 10.30.2.1 10.30.1.10

print_server prn1
snmp_agent prn1
snmp_manager dc1

# --- What people do ----------------------------------------------------------------------------------------

THINK=.6   # what people take from one thing to the next

logon() { # logon PC USER DHCP_CLIENT: address, time, tickets, the domain's scripts
  dhcp_client "$1" "$3"
  client "$1" ntpdig -t 3 $NET.10
  client "$1" dig +short -t SRV _ldap._tcp.dc._msdcs.office.example
  client "$1" sh -c "echo $PASSWORD | kinit $2@$REALM"
  client "$1" net ads lookup -S dc1.office.example
  kerberos "$1" smbclient //dc1.office.example/netlogon -c 'get logon.cmd /dev/null'
}

kerberos() { # kerberos PC COMMAND...: a Samba client that uses the tickets
  local name=$1 command=$2
  shift 2
  client "$name" "$command" --use-kerberos=required --use-krb5-ccache="$LAB/$name/tickets" "$@"
}

alice() { # office work on pc1
  logon pc1 alice udhcpc
  kerberos pc1 smbclient //fs1.office.example/projects -c 'ls; get ledger.csv /dev/null'
  fetch pc1 http://web1.office.example/report.txt
  client pc1 curl -sS pop3://alice:secret@web1.office.example/
  kerberos pc1 rpcclient fs1.office.example -c enumprinters
  client pc1 ldapsearch -LLL -Q -N -Y GSSAPI -H ldap://dc1.office.example -b CN=Users,DC=office,DC=example '(cn=b*)' dn
  client pc1 swaks --server web1.office.example --to bob@office.example --from alice@office.example --helo pc1
  client pc1 rlpr -H $NET.15 -P lp -N $LAB/fs1/share/report.txt
  fetch pc1 https://www.example.net/figures.csv
  kerberos pc1 smbclient //fs1.office.example/projects -c "put $LAB/fs1/share/figures.csv copy.csv; del copy.csv"
}

bob() { # pc2 is new and joins the domain
  sleep 1
  logon pc2 bob dhclient
  client pc2 net ads join -U "$ADMIN" --no-dns-updates
  client pc2 net rpc testjoin
  client pc2 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:dc1.office.example[sign]" -c enumdomusers
  fetch pc2 ftp://web1.office.example/report.txt
  fetch pc2 -P - --disable-eprt ftp://web1.office.example/figures.csv
  fetch pc2 tftp://web1.office.example/report.txt
  client pc2 curl -sS imap://bob:secret@web1.office.example/
  client pc2 sh -c '(sleep 1; echo guest; sleep 1; echo guest; sleep 4) | timeout 6 telnet web1.office.example || true'
  client pc2 "$LAB_PYTHON" "$HERE/clients/lines.py" web1.office.example 119 'MODE READER' LIST QUIT
  client pc2 sh -c "printf '%s\n' $PASSWORD ${PASSWORD}2 ${PASSWORD}2 | kpasswd bob@$REALM"
  client pc2 nmblookup -U $NET.10 --recursion FS1
  client pc2 nmblookup -A $NET.11
}

carol() { # administers from pc3
  sleep 2
  logon pc3 carol udhcpc
  client pc3 samba-tool dns query dc1.office.example office.example @ ALL -U "$ADMIN"
  client pc3 samba-tool drs showrepl dc1.office.example -U "$ADMIN"
  client pc3 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:fs1.office.example[sign]" -c netshareenum
  client pc3 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:fs1.office.example[sign]" -c enumdomains
  client pc3 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:fs1.office.example[sign]" -c 'winreg_enumkey HKLM'
  client pc3 net rpc service list -S fs1.office.example -U "$ADMIN" --use-kerberos=off
  client pc3 rpcclient -U "$ADMIN" --use-kerberos=off dc1.office.example -c lsaquery
  client pc3 snmpwalk -v2c -c public $NET.12 1.3.6.1.2.1.1
  client pc3 snmpget -v1 -c public $NET.15 1.3.6.1.2.1.1.1.0
  client pc3 ldapsearch -LLL -x -D administrator@office.example -w $PASSWORD -H ldaps://dc1.office.example -b DC=office,DC=example -s base dn
  client pc3 ldapsearch -LLL -Q -N -Y GSSAPI -H ldap://dc1.office.example:3268 -b '' '(sAMAccountName=bob)' dn
  client pc3 $RPC call $NET.10 "$(on pc3 $RPC ask $NET.10 netlogon)" netlogon
  remote_desktop pc3 $NET.13 tls
}

inventory() { # a program on pc4 keeps its connections and uses ports that it was told another day
  sleep 5
  client pc4 $RPC call $NET.10 "$dc_samr" samr
  sleep 6
  client pc4 $RPC call $NET.11 "$fs_samr" samr
  fetch pc4 http://web1.office.example:5985/wsman
  client pc4 "$LAB_PYTHON" "$HERE/clients/rtsp.py" $NET.12 $NET.104
  client pc4 ldapsearch -LLL -x -D administrator@office.example -w $PASSWORD -H ldaps://dc1.office.example:3269 -b '' '(sAMAccountName=alice)' dn
  fetch pc4 --tls-max 1.2 https://web1.office.example/report.txt
}

devices() { # the access point asks RADIUS, the printer reports and stores a scan the old way
  sleep 3
  radius ap1 $NET.13 1812 auth User-Name=alice,User-Password=hello
  radius ap1 $NET.13 1813 acct User-Name=alice,Acct-Status-Type=Start,Acct-Session-Id=1
  client prn1 snmptrap -v2c -c public $NET.10 '' 1.3.6.1.6.3.1.1.5.1
  sleep 4
  client prn1 smbclient -p 139 -m NT1 //FS1/projects -I $NET.11 -U "$ADMIN" --use-kerberos=off -c "put $LAB/fs1/share/report.txt scan.txt"
  radius ap1 $NET.13 1812 auth User-Name=bob,User-Password=wrong
}

branch_user() { # files and RPC through GRE
  sleep 4
  client branch smbclient //10.30.1.10/projects -s $LAB/pc1/smb.conf -U root%secret --use-kerberos=off -c 'get figures.csv /dev/null'
  LAB_USER=root LAB_PASSWORD=secret client branch $RPC call 10.30.1.10 "$(on branch $RPC ask 10.30.1.10 srvsvc)" srvsvc
}

home_user() { # the remote desktop through PPTP
  sleep 6
  client home "$LAB_PYTHON" "$HERE/clients/pptp.py" $NET.13 14 &
  local calling=$!
  sleep 4
  ip -n home route add 10.30.1.10 via 10.30.3.1
  remote_desktop home 10.30.1.10 rdp
  wait $calling
}

# --- The day -----------------------------------------------------------------------------------------------

dc_samr=$(on dc1 $RPC ask $NET.10 samr)
fs_samr=$(on fs1 $RPC ask $NET.11 samr)
rm -f $LAB/pc4/ready
on pc4 $RPC hold $NET.11 "$fs_samr" 30 $LAB/pc4/ready &
people=($!)
ready $LAB/pc4/ready

capture office
serve web1 ssdp-web1 /usr/bin/python3 "$HERE/stand-ins/ssdp.py" $NET.12
for person in alice bob carol inventory devices branch_user home_user; do
  $person &
  people+=($!)
done
for person in "${people[@]}"; do wait "$person"; done
stop ssdp-web1
captured
