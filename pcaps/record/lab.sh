# Sourced by record.sh: hosts on a bridge, commands on them, captures of the bridge.
#
# A host is a network namespace with one veth, eth0, whose other end is a port of the bridge br0. Captures are
# taken on the bridge itself: it is promiscuous, so each forwarded frame passes it exactly once, in order.

LAB=/srv                    # the scene's work folder (see record.sh)
NET=10.20.0                 # the office's network, a /24
HERE=$here                  # scripts beside this one
WINDOWS_TTL=128             # the initial TTL of a host that stands in for a Windows one
LINUX_TTL=64

# IPv6 would add router solicitations and listener reports to every capture.
NO_IPV6=(net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1)

sysctl -qw "${NO_IPV6[@]}"
mkdir -p /run/netns
ip link set lo up
ip link add br0 type bridge mcast_snooping 0
ip link set br0 up

# Names are resolved by the domain controller; no file of the recording machine is read.
printf '127.0.0.1 localhost\n' >$LAB/hosts
printf 'nameserver %s.10\nsearch office.example\noptions timeout:2\n' $NET >$LAB/resolv.conf
mount --bind $LAB/hosts /etc/hosts
mount --bind $LAB/resolv.conf /etc/resolv.conf

# no_directory: nobody answers for names in this scene, so nobody asks.
no_directory() { : >$LAB/resolv.conf; }

# host NAME NUMBER [TTL]: a host NET.NUMBER; its hardware address ends in the number.
host() {
  ip netns add "$1"
  ip netns exec "$1" sysctl -qw "${NO_IPV6[@]}" net.ipv4.ip_default_ttl="${3:-$WINDOWS_TTL}"
  ip -n "$1" link set lo up
  attach "$1" eth0 br0 "$NET.$2"
  ip -n "$1" route add 224.0.0.0/4 dev eth0   # multicast without a default route: SSDP
  mkdir -p "$LAB/$1"
}

# attach HOST DEVICE BRIDGE ADDRESS: a network card on a bridge; its hardware address follows from the address.
attach() {
  local name=$1 device=$2 port="$2-$1" octets
  IFS=. read -r -a octets <<<"$4"
  ip link add "$port" type veth peer name "$device" netns "$name"
  ip link set "$port" master "$3"
  ip -n "$name" link set "$device" address "$(printf '02:00:%02x:%02x:%02x:%02x' "${octets[@]}")"
  ip -n "$name" addr add "$4/24" brd + dev "$device"
  # Without this the capture holds segments beyond the MTU and checksums that nobody filled in.
  ethtool -K "$port" tx off tso off gso off gro off >/dev/null
  ip netns exec "$name" ethtool -K "$device" tx off tso off gso off gro off >/dev/null
  ip link set "$port" up
  ip -n "$name" link set "$device" up
}

# seat HOST: sets SEAT, the words that put a command on that host: its network, its name, and its Samba and
# Kerberos settings. An array and not a function, so that a background command's $! is the command itself.
seat() {
  SEAT=(env "SMB_CONF_PATH=$LAB/$1/smb.conf" "KRB5_CONFIG=$LAB/krb5.conf" "KRB5CCNAME=$LAB/$1/tickets" "HOME=$LAB/$1"
    LDAPTLS_REQCERT=never PYTHONDONTWRITEBYTECODE=1
    ip netns exec "$1" unshare --uts sh -c 'hostname "$0"; exec "$@"' "$1")
}

# on HOST COMMAND...
on() {
  seat "$1"
  shift
  "${SEAT[@]}" "$@"
}

# client HOST COMMAND...: as `on`, but bounded in time, and a failure is reported and forgiven: a refusal, too,
# is traffic. It waits THINK seconds before, if that is set.
client() {
  local name=$1 code=0
  shift
  sleep "${THINK:-0}"
  on "$name" timeout 60 "$@" >>"$LAB/$name/clients.log" 2>&1 </dev/null || code=$?
  [ $code = 0 ] || echo "   $name: exit $code: $*" | cut -c 1-150
}

# client_for SECONDS HOST COMMAND...: a client that would run for ever.
client_for() {
  local seconds=$1 name=$2
  shift 2
  on "$name" timeout "$seconds" "$@" >>"$LAB/$name/clients.log" 2>&1 </dev/null || true
}

# serve HOST LABEL COMMAND...: starts a server in the background; `stop LABEL` ends it.
serve() {
  local name=$1 label=$2
  shift 2
  seat "$name"
  "${SEAT[@]}" "$@" >"$LAB/$name/$label.log" 2>&1 </dev/null &
  echo $! >"$LAB/$label.pid"
}

stop() {
  local label pid
  for label in "$@"; do
    pid=$(cat "$LAB/$label.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 60); do
      kill -0 "$pid" 2>/dev/null || continue 2
      sleep .25
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
}

# clear_host HOST: ends all that still runs there; Samba leaves helpers behind, which hold its ports for a while.
clear_host() {
  local left
  for _ in $(seq 60); do
    left=$(ip netns pids "$1")
    [ -n "$left" ] || return 0
    # shellcheck disable=SC2086
    kill $left 2>/dev/null || true
    sleep .25
  done
  # shellcheck disable=SC2086
  kill -KILL $left 2>/dev/null || true
}

# listening HOST tcp|udp PORT: waits until somebody does.
listening() {
  local flag=-t
  [ "$2" = udp ] && flag=-u
  for _ in $(seq 120); do
    ip netns exec "$1" ss -Hln $flag "sport = :$3" | grep -q . && return
    sleep .25
  done
  echo "$1: nobody listens on $2 $3" >&2
  return 1
}

# ready FILE: waits until a client has made it.
ready() {
  for _ in $(seq 100); do
    [ -e "$1" ] && return
    sleep .1
  done
  echo "$1 was never made" >&2
  return 1
}

# capture NAME [FILTER]: starts NAME.pcapng; `captured` ends it.
capture() {
  CAPTURE=$1
  shift
  : >$LAB/tcpdump.log
  # Without --immediate-mode the last second of traffic is lost; without -Z root the file changes its owner.
  tcpdump --immediate-mode -B 16384 -i br0 -s 0 -n -U -Z root -w "$LAB/$CAPTURE.pcap" "$@" 2>$LAB/tcpdump.log &
  CAPTURER=$!
  until grep -q listening $LAB/tcpdump.log; do
    kill -0 $CAPTURER
    sleep .05
  done
}

captured() {
  sleep .5
  kill -TERM $CAPTURER
  wait $CAPTURER 2>/dev/null || true
  grep -q '^0 packets dropped' $LAB/tcpdump.log || grep dropped $LAB/tcpdump.log >&2
  keep "$CAPTURE"
}

# keep NAME: turns the work folder's NAME.pcap into the project's NAME.pcapng.
keep() {
  editcap -F pcapng "$LAB/$1.pcap" "$LAB_OUT/$1.pcapng"
  echo "   $1.pcapng: $(capinfos -Mrc "$LAB_OUT/$1.pcapng" | awk 'END { print $NF }') packets, $(stat -c %s "$LAB_OUT/$1.pcapng") bytes"
}
