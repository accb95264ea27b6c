# Flows inside other flows. pc1 is in the office, rtr1 the router at its edge; 10.30.1.10 is a file server behind
# rtr1 that is reached through each tunnel in turn: a name, a web page, files and RPC.

host rtr1 13
host pc1 101
OUTER=$NET.13 INNER=10.30.1.10
RPC="$LAB_PYTHON $HERE/clients/rpc.py"
export LAB_PASSWORD=secret LAB_USER=root

no_directory

ip -n rtr1 addr add $INNER/32 dev lo
stand_alone_settings rtr1
workstation pc1
file_server rtr1
web_server rtr1
printf 'address=/files.branch.example/%s\n' $INNER >$LAB/rtr1/names
serve rtr1 dns-rtr1 dnsmasq -k -d -C $LAB/rtr1/names --no-resolv --no-hosts --listen-address=$INNER,$OUTER --bind-interfaces --user=root --pid-file=$LAB/rtr1/dnsmasq.pid
listening rtr1 udp 53

# What pc1 does with a server, whatever the way there.
use() {
  client pc1 dig +short @"$1" files.branch.example
  client pc1 smbclient "//$1/projects" -U root%secret --use-kerberos=off -m SMB3 -c 'get report.txt /dev/null'
  client pc1 $RPC call "$1" "$(on pc1 $RPC ask "$1" srvsvc)" srvsvc
  fetch pc1 "http://$1/report.txt"
}

through() { # through KIND NAME [KEY]: the tunnel comes up, is used, goes
  tunnel pc1 "$1" $OUTER 10.30.2.1 $INNER "${3:-}"
  tunnel rtr1 "$1" $NET.101 10.30.1.1 10.30.2.1 "${3:-}"
  sleep 2
  capture "$2"
  use $INNER
  captured
  stop tunnel-pc1 tunnel-rtr1
  ip -n pc1 link del tun0
  ip -n rtr1 link del tun0
}
through gre tunnel_gre
through gre tunnel_gre_key 4711
through ipip tunnel_ipip

# ESP and AH in transport mode: the hosts' own addresses, hence one file server less to tell apart.
protected() { # protected KIND NAME
  tunnel pc1 "$1" $OUTER $NET.101 $OUTER
  tunnel rtr1 "$1" $NET.101 $OUTER $NET.101
  sleep 2
  capture "$2"
  use $OUTER
  captured
  stop tunnel-pc1 tunnel-rtr1
  ip -n pc1 link del tun0
  ip -n rtr1 link del tun0
}
protected ah tunnel_ah
protected esp tunnel_esp

# PPP in GRE: PPTP's control connection on 1723, the link itself in IP protocol 47.
pptp_server rtr1 10.30.3.1 10.30.3.10-20
capture tunnel_pptp
client pc1 "$LAB_PYTHON" "$HERE/clients/pptp.py" $OUTER 15 &
calling=$!
sleep 4
ip -n pc1 route add $INNER via 10.30.3.1
use $INNER
wait $calling
captured
stop pptpd-rtr1

# PPP in L2TP on UDP 1701.
capture tunnel_l2tp
l2tp rtr1 "[lns default]
ip range = 10.30.4.10-10.30.4.20
local ip = 10.30.4.1"
l2tp pc1 "[lac office]
lns = $OUTER
autodial = yes"
sleep 4
ip -n pc1 route add $INNER via 10.30.4.1
use $INNER
stop xl2tpd-pc1 xl2tpd-rtr1
captured

# IKE version 2, then 1, on UDP 500 and 4500; ESP in UDP 4500.
ike rtr1 $OUTER $NET.101 10.30.5.1 10.30.6.1
ike pc1 $NET.101 $OUTER 10.30.6.1 10.30.5.1
capture tunnel_ike
for version in 2 1; do
  client pc1 swanctl --initiate --child net$version --uri unix://$LAB/pc1/vici
  client pc1 curl -sS --interface 10.30.6.1 --max-time 10 -o /dev/null http://10.30.5.1/report.txt
  client pc1 swanctl --terminate --ike v$version --uri unix://$LAB/pc1/vici
done
captured
stop ike-pc1 ike-rtr1

# The same exchange, plain, in other wrappings (rewritten with scapy after the recording).
capture plain
client pc1 $RPC call $OUTER "$(on pc1 $RPC ask $OUTER srvsvc)" srvsvc
client pc1 $RPC call $OUTER "$(on pc1 $RPC ask $OUTER samr)" samr
captured
rm "$LAB_OUT/plain.pcapng"
for kind in qinq mpls fragments; do
  "$LAB_PYTHON" "$HERE/clients/rewrap.py" $kind $LAB/plain.pcap $LAB/wrapped_$kind.pcap
  keep wrapped_$kind
done
