#!/bin/bash
# up.sh: a private, throw-away Slurm cluster on this one host (no systemd, loopback only).
#
#   SLURM_TEST_DIR   where everything lives      (default /tmp/slurm-test.$UID)
#   SLURM_NODES      how many slurmd "nodes"     (default 4; named n1..nN)
#   SLURM_CPUS       CPUs each node claims       (default 4; more than the host has is fine)
#   SLURM_GPUS       fake GPUs per node          (default 2)
#   SLURM_MEM        MiB each node claims        (default 4000)
#   SLURM_PORT       first of 100 TCP ports: ctld; +1.. slurmd; +90 slurmdbd; +91 MariaDB
#                    (default: the first free base at or after 20017, so several clusters can live side by side)
#   SLURM_CGROUP=1   track and limit jobs by cgroup (root, writable cgroups): setsid cannot escape, OUT_OF_MEMORY exists
#   SLURM_DBD=1      also MariaDB + slurmdbd, so that sacct answers
#
# Idempotent: a cluster already up in that directory is left alone.
# Prints the one export a client needs: SLURM_CONF=...
set -euo pipefail
D=${SLURM_TEST_DIR:-/tmp/slurm-test.$UID}
N=${SLURM_NODES:-4} C=${SLURM_CPUS:-4} G=${SLURM_GPUS:-2} M=${SLURM_MEM:-4000} P=${SLURM_PORT:-} DBD=${SLURM_DBD:-0}
say() { echo "up.sh: $*" >&2; }
die() { say "$*"; exit 1; }
export PATH=$PATH:/usr/sbin:/sbin

# --- packages (only when they are missing, and only as root) -----------------------------------
need=()
command -v slurmctld >/dev/null || need+=(slurmctld)
command -v slurmd    >/dev/null || need+=(slurmd)
command -v sbatch    >/dev/null || need+=(slurm-client)
command -v munged    >/dev/null || need+=(munge)
[ "$DBD" = 1 ] && { command -v slurmdbd >/dev/null || need+=(slurmdbd slurm-wlm-mysql-plugin); command -v mariadbd >/dev/null || need+=(mariadb-server-core mariadb-client-core); }
if [ ${#need[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || die "missing packages: ${need[*]} (install them as root)"
  say "apt-get install ${need[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null 2>&1 || true
  apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null 2>&1 || die "apt-get failed"
fi

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
export SLURM_CONF=$D/slurm.conf
if [ -f "$D/up" ] && alive "$D/run/slurmctld.pid" && scontrol ping >/dev/null 2>&1; then
  say "already up in $D"; echo "export SLURM_CONF=$SLURM_CONF"; exit 0
fi
[ ! -d "$D/run" ] || "$(dirname "$0")/down.sh"   # what is left of an earlier one

ME=$(id -un) HOST=$(hostname -s)
[ ${#D} -le 80 ] || die "SLURM_TEST_DIR is too long for a socket path: $D"
busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
if [ -z "$P" ]; then # outside the ephemeral range (32768+); steps of 100, start differs by directory
  P=$((20017 + 100 * ($(printf %s "$D" | cksum | cut -d' ' -f1) % 100)))
  for _ in $(seq 1 100); do
    ok=1; for q in $(seq 0 "$N") 90 91; do busy $((P+q)) && { ok=0; break; }; done
    [ $ok = 1 ] && break
    P=$((P+100)); [ $P -lt 30017 ] || P=20017
  done
fi
mkdir -p "$D"/{run,log,state,spool,dev,munge,out}
chmod 755 "$D"; chmod 700 "$D/munge"

# --- munge: own key, own socket, never the system's ---------------------------------------------
[ -s "$D/munge/key" ] || { head -c 1024 /dev/urandom > "$D/munge/key"; chmod 600 "$D/munge/key"; }
chmod 755 "$D/run"
if ! alive "$D/run/munged.pid"; then
  munged --force --num-threads=2 --key-file="$D/munge/key" --socket="$D/run/munge.sock" --pid-file="$D/run/munged.pid" \
         --log-file="$D/munge/log" --seed-file="$D/munge/seed" 2>"$D/log/munged.err" || { cat "$D/log/munged.err"; die munged; }
fi

# --- fake GPUs: File= must name a character device (a symlink to /dev/null will do, no root needed); the number at
#     the end of its name is what CUDA_VISIBLE_DEVICES gets. A plain file is refused: the GRES counts, but no variable.
for i in $(seq 0 $((G-1))); do ln -sfn /dev/null "$D/dev/gpu$i"; done
if [ "$G" -gt 0 ]; then
  echo "NodeName=n[1-$N] Name=gpu Type=fake File=$D/dev/gpu[0-$((G-1))]" > "$D/gres.conf"; GRES="Gres=gpu:fake:$G"
else : > "$D/gres.conf"; GRES=""; fi
if [ "$DBD" = 1 ]; then
  ACCT="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((P+90))
AccountingStoragePass=$D/run/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment"
else
  ACCT="AccountingStorageType=accounting_storage/none"
fi
# Job processes are tracked by process group (works for anyone; a job that calls setsid escapes), or, as root where
# cgroups can be written, by cgroup with the memory limit enforced (gives OUT_OF_MEMORY).
TRACK="ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none"
if [ "${SLURM_CGROUP:-0}" = 1 ]; then
  TRACK="ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1"
  printf 'CgroupAutomount=yes\nConstrainRAMSpace=yes\nConstrainSwapSpace=no\nConstrainCores=no\nConstrainDevices=no\n' > "$D/cgroup.conf"
fi
# Bound to loopback only where the host's own name resolves to it; with NoInAddrAny Slurm binds to that name's
# address, and clients here call 127.0.0.1. Elsewhere (a container whose name is 172.x, or unknown) it must bind to all.
case "$(getent hosts "$HOST" | awk '{print $1; exit}')" in 127.*) COMM=CommunicationParameters=NoCtldInAddrAny,NoInAddrAny ;; *) COMM="# bound to all interfaces" ;; esac
cat > "$D/slurm.conf" <<CONF
ClusterName=throwaway
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$P
SlurmUser=$ME
MailProg=/bin/true
SlurmdUser=$ME
AuthType=auth/munge
AuthInfo=socket=$D/run/munge.sock,cred_expire=${SLURM_REQUEUE_DELAY:-5}
CredType=cred/munge
$COMM
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool/%n
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmdPidFile=$D/run/slurmd.%n.pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd.%n.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
$TRACK
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=0,defer_batch=0
SlurmctldTimeout=30
SlurmdTimeout=${SLURM_SLURMD_TIMEOUT:-15}
InactiveLimit=0
KillWait=${SLURM_KILLWAIT:-5}
OverTimeLimit=0
MinJobAge=${SLURM_MINJOBAGE:-300}
WaitTime=0
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
DefMemPerCPU=100
MaxArraySize=10001
MaxJobCount=20000
GresTypes=gpu
JobCompType=jobcomp/filetxt
JobCompLoc=$D/log/jobcomp.txt
$ACCT
NodeName=DEFAULT CPUs=$C RealMemory=$M $GRES State=UNKNOWN
CONF
for i in $(seq 1 "$N"); do echo "NodeName=n$i NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((P+i))"; done >> "$D/slurm.conf"
cat >> "$D/slurm.conf" <<CONF
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=spot Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=${SLURM_GRACE:-5}
CONF

# --- accounting (only with SLURM_DBD=1): a private MariaDB on loopback, then slurmdbd --------------
if [ "$DBD" = 1 ]; then
  if ! alive "$D/run/mariadbd.pid"; then
    [ -d "$D/db/mysql" ] || mariadb-install-db --no-defaults --datadir="$D/db" --user="$ME" --skip-test-db \
      --auth-root-authentication-method=normal >"$D/log/mariadb-install.log" 2>&1 || { tail -5 "$D/log/mariadb-install.log"; die mariadb-install-db; }
    mariadbd --no-defaults --datadir="$D/db" --user="$ME" --bind-address=127.0.0.1 --port=$((P+91)) --socket="$D/run/mariadb.sock" \
      --pid-file="$D/run/mariadbd.pid" --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0 \
      --innodb-lock-wait-timeout=900 --performance-schema=OFF >"$D/log/mariadbd.log" 2>&1 &
    for t in $(seq 1 100); do mariadb --no-defaults -u root -S "$D/run/mariadb.sock" -e 'select 1' >/dev/null 2>&1 && break; sleep 0.1; done
    mariadb --no-defaults -u root -S "$D/run/mariadb.sock" -e "create database if not exists acct; create user if not exists slurm@'127.0.0.1' identified by 'throwaway'; create user if not exists slurm@localhost identified by 'throwaway'; grant all on acct.* to slurm@'127.0.0.1'; grant all on acct.* to slurm@localhost"
  fi
  cat > "$D/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$D/run/munge.sock
DbdHost=$HOST
DbdAddr=127.0.0.1
DbdPort=$((P+90))
SlurmUser=$ME
PidFile=$D/run/slurmdbd.pid
LogFile=$D/log/slurmdbd.log
DebugLevel=info
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((P+91))
StorageUser=slurm
StoragePass=throwaway
StorageLoc=acct
CommitDelay=1
CONF
  chmod 600 "$D/slurmdbd.conf"
  # slurmdbd reads slurmdbd.conf from the directory of SLURM_CONF
  alive "$D/run/slurmdbd.pid" || slurmdbd >"$D/log/slurmdbd.out" 2>&1 || { cat "$D/log/slurmdbd.out"; die slurmdbd; }
  for t in $(seq 1 100); do timeout 5 sacctmgr -n -i list cluster >/dev/null 2>&1 && break; sleep 0.1; done
  timeout 10 sacctmgr -n -i add cluster throwaway >/dev/null 2>&1 || true
fi

# --- daemons -----------------------------------------------------------------------------------
slurmctld -f "$D/slurm.conf" -i >"$D/log/slurmctld.out" 2>&1 || { cat "$D/log/slurmctld.out"; tail -5 "$D/log/slurmctld.log"; die slurmctld; }
for i in $(seq 1 "$N"); do
  mkdir -p "$D/spool/n$i"
  slurmd -N "n$i" -f "$D/slurm.conf" >"$D/log/slurmd.n$i.out" 2>&1 || { cat "$D/log/slurmd.n$i.out"; die "slurmd n$i"; }
done
end=$((SECONDS+20))
while [ $SECONDS -lt $end ]; do
  alive "$D/run/slurmctld.pid" || { tail -n 5 "$D/log/slurmctld.log" >&2; die "slurmctld died"; }
  [ "$(timeout 5 sinfo -h -N -p main -t idle -o %N 2>/dev/null | wc -l)" = "$N" ] && { : > "$D/up"; break; }
  sleep 0.1
done
[ -e "$D/up" ] || { timeout 5 sinfo -R >&2 || true; die "not all nodes came up in 20 s; see $D/log"; }
say "up: $N nodes x $C CPUs x $G GPUs in $D"
echo "export SLURM_CONF=$SLURM_CONF"
