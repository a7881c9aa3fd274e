#!/bin/bash
# down.sh: end the cluster that up.sh started in SLURM_TEST_DIR (only by the pids it recorded,
# its step daemons, and their descendants), and delete the directory.
set -u
D=${SLURM_TEST_DIR:-/tmp/slurm-test.$UID}
[ -d "$D/run" ] || { echo "down.sh: nothing in $D" >&2; exit 0; }
live() { local s; s=$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) && [ "$s" != Z ]; } # a zombie (lazy pid 1) is dead
stop() { # pidfile; nothing here is worth a long wait
  local p; p=$(cat "$1" 2>/dev/null) || return 0
  [ -n "$p" ] && live "$p" || return 0
  kill -TERM "$p" 2>/dev/null
  for _ in $(seq 1 20); do live "$p" || return 0; sleep 0.05; done
  kill -KILL "$p" 2>/dev/null
}
for f in "$D"/run/slurmd.*.pid; do
  [ -e "$f" ] || continue
  n=${f#"$D"/run/slurmd.}; n=${n%.pid}
  k=$("$(dirname "$0")/node.sh" pids "$n"); [ -n "$k" ] && kill -KILL $k 2>/dev/null
  stop "$f"
done
stop "$D/run/slurmctld.pid"
stop "$D/run/slurmdbd.pid"
stop "$D/run/mariadbd.pid"
stop "$D/run/munged.pid"
for f in "$D"/spool/*/; do # empty cgroups that SLURM_CGROUP=1 left
  n=$(basename "$f"); [ "$(id -u)" = 0 ] && [ -f "$D/cgroup.conf" ] && find /sys/fs/cgroup/*/"slurm_$n" -depth -type d -exec rmdir {} + 2>/dev/null
done
rm -rf "$D"
echo "down.sh: down" >&2
