#!/bin/sh
# Called by udhcpc and dhclient: sets the address, and the default route, that were given.
address=${ip:-$new_ip_address}
[ -n "$address" ] || exit 0
ip addr replace "$address/24" brd + dev eth0
ip route replace default via "${router:-$new_routers}"
