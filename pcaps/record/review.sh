#!/bin/bash
# Prints what tshark finds in the captures, to review labels against: review.sh [NAME...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
names=("$@")
[ ${#names[@]} -gt 0 ] || for file in *.pcapng; do names+=("${file%.pcapng}"); done

fields() { # fields TITLE FILTER FIELD...
  local title=$1 filter=$2 field arguments=()
  shift 2
  for field in "$@"; do arguments+=(-e "$field"); done
  tshark -r "$name.pcapng" -Y "$filter" -T fields -E separator=' ' "${arguments[@]}" 2>/dev/null | sed "s/^/  $title: /"
}

for name in "${names[@]}"; do
  echo "== $name"
  for kind in tcp udp; do
    tshark -r "$name.pcapng" -q -z conv,$kind 2>/dev/null | grep '<->' | awk -v kind=$kind '{ print "  " kind, $1, $2, $3 }' || true
  done
  tshark -r "$name.pcapng" -T fields -e ip.src -e ip.dst -e ip.proto -Y 'ip.proto in {4, 47, 50, 51}' 2>/dev/null |
    sort | uniq -c | sed 's/^/  ip protocol:/'
  fields 'mapped    ' 'epm and (dcerpc.pkt_type == 2)' frame.number ip.src ipv6.src epm.uuid epm.proto.tcp_port epm.proto.udp_port
  fields 'bind      ' 'dcerpc.pkt_type in {11, 14}' frame.number ip.src ip.dst tcp.dstport dcerpc.cn_bind_to_uuid
  fields 'accepted  ' 'dcerpc.pkt_type in {12, 15}' frame.number dcerpc.cn_ack_result
  fields 'datagram  ' 'dcerpc.dg_if_id and dcerpc.pkt_type == 0' frame.number ip.dst udp.dstport dcerpc.dg_if_id
  fields 'pipe      ' '(smb2.cmd == 5 and smb2.flags.response == 0 and smb2.filename) or (smb.cmd == 0xa2 and smb.file)' frame.number ip.dst smb2.filename smb.file
  fields 'ftp       ' 'ftp.response.code in {227, 229} or ftp.request.command in {"PORT", "EPRT"}' frame.number ftp.request.command ftp.request.arg ftp.response.arg
  fields 'tftp      ' 'tftp.opcode in {1, 2}' frame.number udp.srcport tftp.source_file tftp.destination_file
  fields 'mailslot  ' 'mailslot' frame.number ip.src mailslot.name
done
