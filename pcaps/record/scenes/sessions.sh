# SMB sessions in all their dialects, and the NetBIOS traffic around them: pipes in SMB 1, RAP, encryption, DFS,
# several shares in one session, a name server, an election, a message. dc1 stands in for a Windows domain controller.

DC=$NET.10
host dc1 10
for pc in 101 102 103; do host pc$((pc - 100)) $pc; workstation pc$((pc - 100)); done

domain_controller_provision dc1 $DC
domain_controller_settings dc1 $DC 'host msdfs = yes'
mkdir -p $LAB/dc1/dfs
ln -s 'msdfs:dc1.office.example\share' $LAB/dc1/dfs/files
printf '[dfs]\npath = %s\nmsdfs root = yes\n' $LAB/dc1/dfs >>$LAB/dc1/smb.conf
echo hello >$LAB/dc1/share/hello.txt
seq -f 'entry %05g,office supplies,paid' 4000 >$LAB/dc1/share/ledger.csv
domain_controller dc1
printf 'net use h: \\\\dc1\\share\r\n' >$LAB/dc1/state/sysvol/office.example/scripts/logon.cmd

# old PC COMMAND...: as `client`, with SMB 1 alone, also for pipes.
old() {
  local name=$1 command=$2
  shift 2
  client "$name" "$command" --option='client min protocol=NT1' --option='client max protocol=NT1' \
    --option='client ipc min protocol=NT1' --option='client ipc max protocol=NT1' \
    -U "$ADMIN" --use-kerberos=off "$@"
}

# Pipes in SMB 1, two clients, on 445 and in a NetBIOS session; and what LAN Manager asked instead of RPC.
capture smb1_pipes
old pc1 rpcclient -I $DC DC1 -c 'srvinfo;netshareenum'
old pc2 rpcclient -p 139 -I $DC DC1 -c 'enumdomusers;lookupdomain OFFICE'
old pc1 rpcclient -I $DC DC1 -c 'lsaquery;lookupnames alice'
old pc1 net rpc registry enumerate HKLM -I $DC -S DC1
old pc2 net rap share -I $DC -S DC1
old pc2 net rap server domain -I $DC -S DC1
old pc2 net rap user -I $DC -S DC1
old pc2 net rap printq -I $DC -S DC1
old pc1 smbclient -L DC1 -I $DC
captured

# Encryption hides pipes and files: the first client asks for it, the second does not.
capture smb_encrypted
client pc1 smbclient //dc1.office.example/share --client-protection=encrypt -U "$ADMIN" --use-kerberos=off -c 'get hello.txt /dev/null'
client pc1 rpcclient --client-protection=encrypt -U "$ADMIN" --use-kerberos=off dc1.office.example -c enumdomusers
client pc1 smbclient //dc1.office.example/share --client-protection=encrypt -m SMB3_00 -U "$ADMIN" --use-kerberos=off -c 'get hello.txt /dev/null'
client pc2 smbclient //dc1.office.example/share -m SMB2_10 -U "$ADMIN" --use-kerberos=off -c 'get hello.txt /dev/null'
captured

# Referrals: to the domain's shares, and from a link in a DFS root, in SMB 2 and SMB 1.
capture smb_dfs
client pc1 smbclient //dc1.office.example/dfs -U "$ADMIN" --use-kerberos=off -c 'cd files; get hello.txt /dev/null'
client pc2 smbclient //dc1.office.example/dfs -m NT1 -U "$ADMIN" --use-kerberos=off -c 'cd files; get hello.txt /dev/null'
captured

# What a domain's clients fetch at logon, and a file of some size; then pipes and shares of several kinds.
capture smb_shares
client pc1 smbclient //dc1.office.example/netlogon -U "alice%$PASSWORD" --use-kerberos=off -c 'get logon.cmd /dev/null'
client pc1 smbclient //dc1.office.example/sysvol -U "alice%$PASSWORD" --use-kerberos=off -c 'recurse; ls'
client pc2 smbclient //dc1.office.example/share -U "$ADMIN" --use-kerberos=off -c "get ledger.csv /dev/null; put $LAB/dc1/share/ledger.csv copy.csv; del copy.csv"
client pc2 smbclient //dc1.office.example/nothing -U "$ADMIN" --use-kerberos=off -c ls
client pc1 $LAB_PYTHON $HERE/clients/sessions.py $DC "$PASSWORD"
captured

# A message to a user, in a NetBIOS session with the name <03>.
capture messenger
client pc1 sh -c "echo 'the printer is out of paper' | smbclient -M DC1 -I $DC"
captured
stop samba-dc1
clear_host dc1

# A name server with its clients: registration, refresh, release, queries; browsers that announce themselves, hold
# an election and keep lists of each other.
browser() { # browser HOST OS_LEVEL [LINE...]
  local name=$1
  printf '[global]\nnetbios name = %s\nworkgroup = OFFICE\ninterfaces = eth0\nbind interfaces only = yes\nlocal master = yes\nos level = %s\n' \
    "${name^^}" "$2" >$LAB/$name/smb.conf
  samba_folders "$name" >>$LAB/$name/smb.conf
  shift 2
  printf '%s\n' "$@" >>$LAB/$name/smb.conf
  serve "$name" "nmbd-$name" sh -c \
    'mkdir -p /run/samba; mount -t tmpfs tmpfs /run/samba; exec nmbd -F --no-process-group --debug-stdout'
}
capture netbios_election
browser dc1 65 'wins support = yes' 'domain master = yes' 'preferred master = yes'
sleep 3
browser pc1 20 "wins server = $DC"
browser pc2 33 "wins server = $DC" 'preferred master = yes'
sleep 18
client pc3 nmblookup -U $DC --recursion 'OFFICE#1c'
client pc3 nmblookup -U $DC --recursion 'PC1#20'
client pc3 nmblookup -M OFFICE
client pc3 nmblookup -A $NET.101
stop nmbd-pc2
sleep 2
stop nmbd-dc1
sleep 12
stop nmbd-pc1
captured
