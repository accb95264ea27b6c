#!/bin/bash
# Records the captures of this project anew, each from real servers that talk on a bridge of their own.
#
#   record.sh [-o FOLDER] [SCENE...]     a scene is a file in scenes/; without one, all are played
#
# LAB_WORK_FOLDER, if set, is used for logs and server state and kept; else a temporary folder is, and removed.
# LAB_PYTHON names a Python that has impacket, scapy and aiosmtpd (see setup.sh).
#
# Every scene runs in network, mount, host name and process namespaces that it shares with nobody. When the
# scene ends, for whatever reason, the kernel ends its processes and takes down its devices and mounts:
# nothing outside can be reached, nothing is left behind and no process of anyone else is ever touched.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

play() { # play SCENE: inside the new namespaces
  # The work folder appears as /srv, so that no path of the recording machine gets into a capture.
  mount --bind "$LAB_WORK" /srv
  # Nor does anything of what servers write where they always do reach the recording machine.
  for folder in /run /var/lib/samba /var/cache/samba /var/log /var/spool /var/tmp; do
    [ ! -d $folder ] || mount -t tmpfs -o mode=755 tmpfs $folder
  done
  mkdir -p /var/log/samba
  hostname lab
  # shellcheck source=lab.sh
  . "$here/lab.sh"
  # shellcheck source=servers.sh
  . "$here/servers.sh"
  . "$here/scenes/$1.sh"
}

if [ -n "${LAB_SCENE:-}" ]; then
  play "$LAB_SCENE"
  exit
fi

out=$(dirname "$here")
if [ "${1:-}" = -o ]; then
  out=$2
  shift 2
fi
LAB_PYTHON=$(realpath -s "$(command -v "${LAB_PYTHON:-python3}")")
"$LAB_PYTHON" -c 'import impacket, scapy, aiosmtpd' || { echo 'LAB_PYTHON lacks a module: see setup.sh' >&2; exit 2; }

scenes=("$@")
if [ ${#scenes[@]} = 0 ]; then
  for scene in "$here"/scenes/*.sh; do scenes+=("$(basename "$scene" .sh)"); done
fi

work=${LAB_WORK_FOLDER:-$(mktemp -d)}
playing=
leave() { # unshare waits for its child with its ears shut: only KILL ends it, and with it all that the scene started
  [ -z "$playing" ] || kill -KILL "$playing" 2>/dev/null || true
  [ -n "${LAB_WORK_FOLDER:-}" ] || rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM

for scene in "${scenes[@]}"; do
  [ -f "$here/scenes/$scene.sh" ] || { echo "no such scene: $scene" >&2; exit 2; }
  echo "== $scene"
  rm -rf "${work:?}/$scene"
  mkdir -p -m 755 "$work/$scene"
  LAB_SCENE=$scene LAB_WORK=$work/$scene LAB_OUT=$(realpath "$out") LAB_PYTHON=$LAB_PYTHON \
    unshare --net --mount --uts --ipc --pid --fork --mount-proc --kill-child "${BASH_SOURCE[0]}" &
  playing=$!
  wait "$playing"
  playing=
done
