#!/bin/bash
# node.sh: break and mend one "node" of the cluster of up.sh.
#   node.sh fail n2    power cut: slurmd, its step daemons and every job process, all with SIGKILL
#   node.sh cut n2     network cut: only slurmd is killed, jobs on it run on (Slurm will think the node dead)
#   node.sh up n2      start slurmd again
#   node.sh pids n2    the step daemons and job processes of the node
set -u
D=${SLURM_TEST_DIR:-/tmp/slurm-test.$UID}
export SLURM_CONF=$D/slurm.conf PATH=$PATH:/usr/sbin:/sbin
tree() { echo "$1"; local c; for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$c"; done; }
pids() { # a step daemon is known by its open log file; job processes are its descendants
  local p f
  for p in $(pgrep -x slurmstepd); do
    for f in /proc/"$p"/fd/*; do
      [ "$(readlink "$f" 2>/dev/null)" = "$D/log/slurmd.$1.log" ] && { tree "$p"; break; }
    done
  done
}
case ${1:-} in
  pids) pids "$2" ;;
  cut)  kill -KILL "$(cat "$D/run/slurmd.$2.pid")" ;;
  fail) k="$(cat "$D/run/slurmd.$2.pid") $(pids "$2")"; kill -STOP $k 2>/dev/null; kill -KILL $k 2>/dev/null ;;
  up)   slurmd -N "$2" -f "$D/slurm.conf" ;;
  *)    sed -n '2,6s/^# //p' "$0" >&2; exit 2 ;;
esac
