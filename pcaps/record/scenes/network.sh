# What runs beside the directory: addresses, time, names of the network's own, management, authentication.

no_directory
host dc1 10
host web1 12
host ras1 13
host pc1 101
host pc2 102

# Addresses: two clients that start anew, each with another DHCP client.
dhcp_server dc1
capture dhcp
dhcp_client pc1 udhcpc
dhcp_client pc2 dhclient
captured
stop dhcp-dc1

# Boot by network: DHCP in proxy mode and the boot server on 4011.
tftp_server dc1
dhcp_server dc1 --dhcp-range=$NET.0,proxy,255.255.255.0 --pxe-service=x86PC,Install,boot
capture pxe
client pc1 "$LAB_PYTHON" "$HERE/clients/pxe.py"
captured
stop dhcp-dc1

time_server dc1
capture ntp
client pc1 ntpdig -t 3 $NET.10
client pc2 chronyd -Q -t 4 "server $NET.10 iburst"
captured

snmp_agent web1
snmp_manager dc1
capture snmp
client pc1 snmpget -v2c -c public $NET.12 1.3.6.1.2.1.1.5.0
client pc1 snmpwalk -v1 -c public $NET.12 1.3.6.1.2.1.1
client web1 snmptrap -v2c -c public $NET.10 '' 1.3.6.1.6.3.1.1.5.1
client web1 snmptrap -v1 -c public $NET.10 1.3.6.1.4.1.8072 $NET.12 0 0 ''
client web1 snmpinform -v2c -c public $NET.10 '' 1.3.6.1.6.3.1.1.5.2
captured

radius_server ras1
capture radius
for port in 1812 1645; do
  radius pc1 $NET.13 $port auth User-Name=alice,User-Password=hello
  radius pc1 $NET.13 $port auth User-Name=alice,User-Password=wrong
done
for port in 1813 1646; do radius pc1 $NET.13 $port acct User-Name=alice,Acct-Status-Type=Start,Acct-Session-Id=1; done
captured

simple_services web1
capture simple_tcpip
client pc1 "$LAB_PYTHON" "$HERE/clients/simple.py" $NET.12
captured
capture telnet
client pc1 sh -c "(sleep 1; echo nosuch; sleep 1; echo secret; sleep 4) | timeout 8 telnet $NET.12" || true
captured
capture nntp
client pc1 "$LAB_PYTHON" "$HERE/clients/lines.py" $NET.12 119 'MODE READER' CAPABILITIES LIST DATE 'GROUP local.test' QUIT
captured

print_server web1
capture lpd
echo 'a page' >$LAB/pc1/page
client pc1 rlpr -H $NET.12 -P lp -N $LAB/pc1/page
client pc1 rlpq -H $NET.12 -P lp -N
captured
stop lpd-web1
sleep 2

# Discovery by multicast.
capture ssdp
serve web1 ssdp-web1 /usr/bin/python3 "$HERE/stand-ins/ssdp.py" $NET.12
sleep 1
client_for 5 pc1 gssdp-discover -i eth0 --timeout=4
stop ssdp-web1
captured

serve web1 rtsp-web1 /usr/bin/python3 "$HERE/stand-ins/rtsp.py"
listening web1 tcp 554
capture rtsp
client pc1 "$LAB_PYTHON" "$HERE/clients/rtsp.py" $NET.12 $NET.101
captured
stop rtsp-web1

terminal_server ras1
capture rdp
remote_desktop pc1 $NET.13 rdp
remote_desktop pc1 $NET.13 tls
captured
