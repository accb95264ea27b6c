#!/bin/sh
# The floods of tests/abuse_floods.rs in full size, against the program as it is shipped and with its
# own bounds: ten million SYNs, ten million fragments, a million half PDUs, and the others. Prints the
# peak memory of each and what was given up; fails where memory or a label does not hold. Minutes.
set -eu
cd "$(dirname "$0")/.."
WIRETAG_ABUSE=full cargo test --release --locked --test abuse_floods -- --nocapture --test-threads=1
