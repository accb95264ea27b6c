# Two name servers, each with a client of its own, that replicate their names to each other (WINS on 42).

no_directory
host dc1 10
host dc2 11
host pc1 101
host pc2 102

# replicates HOST ADDRESS PARTNER PARTNER_ADDRESS: a domain controller that offers its name service alone; it
# asks its partner for new names every few seconds. The system's Python is the one that knows Samba's files.
replicates() {
  domain_controller_provision "$1" "$2"
  domain_controller_settings "$1" "$2" 'server services = nbt wrepl' 'wreplsrv:periodic_interval = 2' \
    "winsdb:local_owner = $2"   # else 127.0.0.1 owns the names of both
  on "$1" /usr/bin/python3 - "$LAB/$1/private/wins_config.ldb" "$3" "$4" <<-'END'
	import sys, ldb
	path, name, address = sys.argv[1:]
	partner = {"dn": f"CN={name},CN=PARTNERS", "objectClass": "wreplPartner", "name": name,
	           "address": address, "type": "3", "pullInterval": "3", "pullRetryInterval": "3"}
	ldb.Ldb(path).add(partner)
	END
}
replicates dc1 $NET.10 DC2 $NET.11
replicates dc2 $NET.11 DC1 $NET.10

# registers HOST SERVER: announces its names to that server.
registers() {
  printf '[global]\nnetbios name = %s\nworkgroup = OFFICE\ninterfaces = eth0\nbind interfaces only = yes\nwins server = %s\n' \
    "${1^^}" "$2" >$LAB/$1/smb.conf
  samba_folders "$1" >>$LAB/$1/smb.conf
  serve "$1" "nmbd-$1" sh -c \
    'mkdir -p /run/samba; mount -t tmpfs tmpfs /run/samba; exec nmbd -F --no-process-group --debug-stdout'
}

capture wins_replication 'port 42 or port 137'
for dc in dc1 dc2; do
  serve $dc "samba-$dc" sh -c \
    'mkdir -p /run/samba; mount -t tmpfs -o mode=755 tmpfs /run/samba; exec samba -i -M prefork --debug-stdout -d1'
done
for dc in dc1 dc2; do listening $dc tcp 42; done
registers pc1 $NET.10
registers pc2 $NET.11
sleep 25
captured
