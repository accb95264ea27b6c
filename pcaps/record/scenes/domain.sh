# A Samba domain controller and three clients: RPC on ports that only the endpoint mapper explains, and what
# else a domain speaks. dc1 stands in for a Windows domain controller.

DC=$NET.10
host dc1 10
for pc in 101 102 103; do host pc$((pc - 100)) $pc; workstation pc$((pc - 100)); done
RPC="$LAB_PYTHON $HERE/clients/rpc.py"

domain_controller_provision dc1 $DC
echo hello >$LAB/dc1/share/hello.txt
domain_controller dc1
LDAP_ADMIN="-x -D administrator@office.example -w $PASSWORD"

# Four interfaces, each asked for and then bound on its port; NETLOGON and LSARPC from a second client.
capture rpc_mapped_ports
client pc1 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:dc1.office.example[sign]" -c enumdomusers
client pc1 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:dc1.office.example[seal]" -c enumdomains
client pc1 samba-tool dns query dc1.office.example office.example @ ALL -U "$ADMIN"
client pc1 samba-tool drs showrepl dc1.office.example -U "$ADMIN"
for interface in netlogon lsarpc; do
  client pc2 $RPC call $DC "$(on pc2 $RPC ask $DC $interface)" $interface
done
captured

# pc1 is told the port; pc2 and pc3 use it without asking, pc3 some seconds later.
capture rpc_port_unasked
port=$(on pc1 $RPC ask $DC samr)
client pc1 $RPC call $DC "$port" samr
client pc2 $RPC call $DC "$port" samr
sleep 3
client pc3 $RPC call $DC "$port" samr
captured

# pc2 is connected and bound before the capture starts and goes on calling; pc1 asks the mapper meanwhile.
rm -f $LAB/pc2/ready
on pc2 $RPC hold $DC "$port" 6 $LAB/pc2/ready &
holder=$!
ready $LAB/pc2/ready
capture rpc_bind_missed
sleep 1.5
client pc1 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:$DC[sign]" -c enumdomains
wait $holder
captured

# As before, but nobody asks: the flow speaks RPC and nothing says which interface.
rm -f $LAB/pc2/ready
on pc2 $RPC hold $DC "$port" 4 $LAB/pc2/ready &
holder=$!
ready $LAB/pc2/ready
capture rpc_nothing_known
wait $holder
captured

# The whole map at once: ept_lookup; and ept_map asked over the pipe epmapper instead of port 135.
capture epm_lookup
client pc1 $RPC list $DC
client pc2 $RPC call $DC "$port" samr
captured
capture epm_over_pipe
client pc1 $RPC ask-pipe $DC samr
client pc2 $RPC call $DC "$port" samr
captured

# A member joins the domain: DNS, CLDAP, Kerberos, LDAP, SMB with pipes, NETLOGON on its port.
capture domain_join
client pc3 net ads join -U "$ADMIN" --no-dns-updates
client pc3 net rpc testjoin
client pc3 net ads testjoin
captured

# The directory's own protocols: DNS over UDP and TCP with SRV, Kerberos, LDAP plain, signed, by TLS, global
# catalog, CLDAP, password change.
capture domain_directory
client pc1 dig +short -t SRV _ldap._tcp.dc._msdcs.office.example
client pc1 dig +short -t SRV _kerberos._udp.office.example
client pc1 dig +short +tcp dc1.office.example
client pc1 dig +short -x $DC
client pc1 sh -c "echo $PASSWORD | kinit alice@$REALM"
client pc1 ldapsearch -LLL -x -H ldap://dc1.office.example -s base -b '' dnsHostName
client pc1 ldapsearch -LLL -Q -N -Y GSSAPI -H ldap://dc1.office.example -b CN=Users,DC=office,DC=example '(sAMAccountName=alice)' dn
client pc2 ldapsearch -LLL $LDAP_ADMIN -H ldaps://dc1.office.example -b DC=office,DC=example -s base dn
client pc1 ldapsearch -LLL -Q -N -Y GSSAPI -H ldap://dc1.office.example:3268 -b '' '(sAMAccountName=bob)' dn
client pc2 ldapsearch -LLL $LDAP_ADMIN -H ldaps://dc1.office.example:3269 -b '' '(sAMAccountName=bob)' dn
client pc2 samba-tool domain info $DC
client pc2 sh -c "printf '%s\n' $PASSWORD ${PASSWORD}2 ${PASSWORD}2 | kpasswd carol@$REALM"
captured

# One client, SMB 2 and 3, a file and many pipes.
capture smb_pipes
client pc1 smbclient //dc1.office.example/share -U "$ADMIN" --use-kerberos=off -c 'get hello.txt /dev/null'
for question in srvinfo enumdomains lsaquery 'getdcname OFFICE' dsroledominfo wkssvc_wkstagetinfo enumprinters \
  'eventlog_readlog Application' ntsvcs_getversion; do
  client pc1 rpcclient -U "$ADMIN" --use-kerberos=off dc1.office.example -c "$question"
done
client pc1 net rpc service list -S dc1.office.example -U "$ADMIN" --use-kerberos=off
client pc1 net rpc registry enumerate HKLM -S dc1.office.example -U "$ADMIN" --use-kerberos=off
captured

# SMB 1, first inside a NetBIOS session on 139, then on 445; pipes on both.
capture smb1_netbios
client pc1 smbclient -p 139 -m NT1 //DC1/share -I $DC -U "$ADMIN" --use-kerberos=off -c ls
client pc1 smbclient -m NT1 //DC1/share -I $DC -U "$ADMIN" --use-kerberos=off -c ls
client pc1 rpcclient -p 139 --option='client max protocol=NT1' -U "$ADMIN" --use-kerberos=off -I $DC DC1 -c srvinfo
client pc1 rpcclient --option='client max protocol=NT1' -U "$ADMIN" --use-kerberos=off -I $DC DC1 -c enumdomains
captured

# NetBIOS names by broadcast and WINS, node status, and a browser that announces itself by mailslot.
capture netbios_wins
client pc2 nmblookup -B $NET.255 DC1
client pc2 nmblookup -U $DC --recursion 'OFFICE#1b'
client pc2 nmblookup -A $DC
client_for 8 pc2 sh -c 'mkdir -p /run/samba; mount -t tmpfs tmpfs /run/samba; exec nmbd -F --no-process-group --debug-stdout'
captured

# restart_dc SETTING FIRST_PORT: with a setting that the restart changes.
restart_dc() {
  stop samba-dc1
  clear_host dc1
  domain_controller_settings dc1 $DC "$1"
  domain_controller dc1 "$2"
}

# The DC restarts twice with another dynamic range. The order in which its processes take their ports is chance;
# so the first restart is repeated, unseen by the bridge, until SAMR's port is DRSUAPI's. Then all move below 1061.
capture rpc_port_reassigned
client pc1 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:$DC[sign]" -c enumdomains
client pc2 $RPC call $DC "$port" samr
first=49153
[ "$port" = 49152 ] && first=49152
for _ in 1 2 3 4 5 6 7 8; do
  restart_dc "rpc server dynamic port range = $first-49200" $first
  [ "$(on dc1 $RPC ask $DC drsuapi)" != "$port" ] || break
done
client pc1 $RPC call $DC "$(on pc1 $RPC ask $DC drsuapi)" drsuapi
client pc1 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:$DC[sign]" -c enumdomains
restart_dc 'rpc server dynamic port range = 1025-1060' 1025
client pc1 rpcclient -U "$ADMIN" --use-kerberos=off "ncacn_ip_tcp:$DC[sign]" -c enumdomains
client pc2 $RPC call $DC "$(on pc2 $RPC ask $DC drsuapi)" drsuapi
captured
stop samba-dc1
clear_host dc1

# The mapper asked over IPv6; the port it names is the same for both address families.
for pair in 'dc1 10' 'pc1 101'; do
  set -- $pair
  ip netns exec "$1" sysctl -qw net.ipv6.conf.eth0.accept_ra=0 net.ipv6.conf.eth0.accept_dad=0 \
    net.ipv6.conf.eth0.router_solicitations=0 net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0
  ip -n "$1" addr add fd20::"$2"/64 dev eth0 nodad
done
domain_controller_settings dc1 $DC
domain_controller dc1
sleep 2
# Neighbour discovery is left in, multicast listener reports are not.
capture rpc_ipv6 'not (icmp6 and ip6[6] == 0)'
client pc1 rpcclient -U "$ADMIN" --use-kerberos=off 'ncacn_ip_tcp:fd20::10[sign]' -c enumdomains
client pc1 $RPC call fd20::10 "$(on dc1 $RPC ask $DC samr)" samr
captured
stop samba-dc1
