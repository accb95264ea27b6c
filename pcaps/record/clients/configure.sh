#!/bin/sh
# Called by udhcpc (bound) and dhclient (BOUND, PREINIT): sets the address that was given.
address=${ip:-$new_ip_address}
[ -z "$address" ] || ip addr replace "$address/24" brd + dev eth0
