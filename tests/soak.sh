#!/usr/bin/env bash
# Mixed traffic over a pair of devices for an hour: tests/soak.sh [SECONDS [FRAMES_A_SECOND|auto]].
#
# Needs root, for a network namespace of its own. Replays pcaps/office.pcapng without end; prints
# memory as it goes, then whether it was flat after the first tenth, whether what was captured and
# dropped is what was sent, and whether each endpoint is called what it is called offline.
#
# `auto` first looks for the highest rate at which nothing is dropped, in trials of five seconds, each
# a quarter faster than the last, and then takes four fifths of it.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-3600}
rate=${2:-20000}
capture=pcaps/office.pcapng
folder=$(mktemp -d)
space=wiretag-soak-$$

cargo build --release --locked --bin wiretag --example replay
ip netns add "$space"
trap 'ip netns del "$space"; rm -rf "$folder"' EXIT
inside() { ip netns exec "$space" "$@"; }
inside sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
inside ip link add near mtu 9000 type veth peer name far mtu 9000
inside ip link set near up
inside ip link set far up

# Watches while so many frames a second are sent for so long; notes memory on the way. The frames
# that the sender sends come in on far: nothing else does.
soak() {
    local rate=$1 seconds=$2 watch sender
    : >"$folder/words"
    # Not by the function: this becomes the program itself, which can be told to end.
    ip netns exec "$space" target/release/wiretag watch -i far --by flow --format ndjson \
        -o "$folder/live.ndjson" >/dev/null 2>"$folder/words" &
    watch=$!
    until grep -q 'capturing on' "$folder/words"; do
        kill -0 "$watch" || return 1
        sleep 0.1
    done
    inside target/release/examples/replay near "$capture" "$rate" "$seconds" >"$folder/sent" &
    sender=$!
    memory=()
    while kill -0 "$sender" 2>/dev/null; do
        memory+=("$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$watch/status")")
        sleep $((seconds / 60 + 1))
    done
    wait "$sender"
    sleep 1
    kill -INT "$watch"
    wait "$watch"
}

# Whether a trial at this rate lost nothing; says how it went.
holds() {
    local trial=5 sent refused lost
    soak "$1" $trial || exit 1
    read -r sent refused <"$folder/sent"
    lost=$(($(grep -oE '"(dropped_by_kernel|unread)":[0-9]+' "$folder/words" | cut -d: -f2 | paste -sd+)))
    echo "$1 frames a second: $sent sent, $lost dropped"
    # A sender that is too slow shows nothing of who listens.
    [ "$lost" -eq 0 ] && [ "$refused" -eq 0 ] && [ $((sent * 20)) -ge $(($1 * trial * 19)) ]
}

if [ "$rate" = auto ]; then
    highest=0
    rate=20000
    while holds "$rate"; do
        highest=$rate
        rate=$((rate * 5 / 4))
    done
    if [ "$highest" -eq 0 ]; then
        echo "not even $rate frames a second are held"
        exit 1
    fi
    rate=$((highest * 4 / 5))
    echo "highest rate held: $highest; goes on with $rate"
fi
soak "$rate" "$seconds"
target/release/wiretag label --by flow --format ndjson "$capture" >"$folder/offline.ndjson"

python3 - "$folder" "${memory[@]}" <<'PYTHON'
import json, sys
folder, memory = sys.argv[1], [int(m) for m in sys.argv[2:] if m]
sent, refused = map(int, open(f"{folder}/sent").read().split())
stats = next(json.loads(l)["stats"] for l in open(f"{folder}/words") if l.startswith('{"stats"'))
undecoded = sum(stats["undecoded"].values())
captured, dropped = stats["captured"], stats["dropped_by_kernel"] + stats["unread"]
print(f"sent {sent}, refused by the device {refused}; captured {captured}, dropped {dropped}")
warm = memory[len(memory) // 10:] or memory
print(f"memory in KiB: warm {warm[0]}, highest {max(warm)}, last {warm[-1]}")

def services(name):
    """The services of each endpoint."""
    of = {}
    for line in open(f"{folder}/{name}.ndjson"):
        row = json.loads(line)
        key = (row["protocol"], row["server"], row["server_port"])
        of.setdefault(key, set()).add(row["service"])
    return of

live, offline = services("live"), services("offline")
# Live, a flow is labelled by what is known when it ends: what is unknown then, or held back only by
# what its host shows later, is no other name.
def differs(key, names):
    named, offline_named = names - {None}, offline.get(key, set()) - {None}
    return bool(offline_named) and not named <= offline_named
other = {k: (v, offline.get(k)) for k, v in live.items() if differs(k, v)}
early = [k for k, v in live.items() if v - {None} and not offline.get(k, set()) - {None}]
missing = [k for k, v in offline.items() if v - {None} and not live.get(k, set()) - {None}]
print(f"endpoints: {len(offline)}; called otherwise live {len(other)}, "
      f"named live before their host showed what it is {len(early)}, never named live {len(missing)}")
for key, names in list(other.items())[:10]:
    print("  otherwise:", key, names)
faults = []
if captured != stats["labelled"] + undecoded + stats["filtered"]: faults.append("counts do not add up")
if captured + dropped != sent: faults.append(f"{sent - captured - dropped} frames are unaccounted for")
if max(warm) > 1.1 * warm[0] + 16384: faults.append("memory was not flat")
if other: faults.append("labels differ")
print("FAULTS: " + "; ".join(faults) if faults else "all holds")
sys.exit(bool(faults))
PYTHON
