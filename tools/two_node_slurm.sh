#!/usr/bin/env bash
# A real SLURM of two nodes on one machine, in a folder of its own; for tests and for trying out.
#   two_node_slurm.sh up FOLDER [PORT]    start; then `. FOLDER/env` for sbatch, squeue, srun
#   two_node_slurm.sh down FOLDER         stop every daemon of FOLDER and what runs on it
#   two_node_slurm.sh node FOLDER n1|n2   start that node again after it was killed
# Debian and Ubuntu: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
set -euo pipefail

refuse() { echo "no SLURM here: $*" >&2; exit 3; }

export PATH="$PATH:/usr/sbin:/sbin"
what=${1:-}; folder=${2:-}; first=${3:-17817}
[ -n "$folder" ] || { sed -n '2,6s/^# *//p' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || refuse "it needs root, and this is $(id -un)"
for command in slurmctld slurmd munged mungekey squeue sbatch; do
  command -v "$command" >/dev/null || refuse "$command is not installed"
done

node() {
  mkdir -p "$folder/$1"
  SLURM_CONF="$folder/slurm.conf" slurmd -N "$1" || refuse "slurmd of $1: $(tail -n 1 "$folder/$1.log")"
}

stop() {
  for pid in "$folder"/n1.pid "$folder"/n2.pid "$folder"/slurmctld.pid "$folder"/munged.pid; do
    [ -s "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true
  done
}

up() {
  mkdir -p "$folder/state"
  folder=$(cd "$folder" && pwd)
  # munged refuses sockets and keys that others could replace.
  chmod 755 "$folder"; chown root: "$folder"
  [ -s "$folder/munge.key" ] || mungekey --create --keyfile "$folder/munge.key"
  munged --force --socket "$folder/munge.sock" --key-file "$folder/munge.key" \
    --pid-file "$folder/munged.pid" --log-file "$folder/munged.log" \
    --seed-file "$folder/munge.seed" || refuse "munged: $(tail -n 1 "$folder/munged.log")"
  local host cores memory
  host=$(hostname -s); cores=$(nproc)
  memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.4)}' /proc/meminfo)
  cat >"$folder/slurm.conf" <<CONF
ClusterName=two
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$first
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge.sock,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core,CR_LLN
SchedulerParameters=defer,sched_min_interval=0,batch_sched_delay=0,sched_interval=2,bf_interval=2
ReturnToService=2
SlurmdTimeout=10
KillWait=2
InactiveLimit=0
MinJobAge=300
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((first + 1)) CPUs=$cores RealMemory=$memory
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((first + 2)) CPUs=$cores RealMemory=$memory
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
CONF
  cat >"$folder/env" <<ENV
export SLURM_CONF=$folder/slurm.conf
ENV
  export SLURM_CONF="$folder/slurm.conf"
  slurmctld || refuse "slurmctld: $(tail -n 1 "$folder/slurmctld.log")"
  node n1; node n2
  for _ in $(seq 100); do
    [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" = 2 ] && return
    sleep 0.2
  done
  stop
  refuse "the nodes did not come up: $(tail -n 1 "$folder/slurmctld.log")"
}

case $what in
  up) up; sinfo ;;
  node) folder=$(cd "$folder" && pwd); node "$3" ;;
  down)
    folder=$(cd "$folder" && pwd)
    SLURM_CONF="$folder/slurm.conf" timeout 5 scancel --full --signal=KILL --state=RUNNING 2>/dev/null || true
    stop ;;
  *) refuse "'$what' is not up, down or node" ;;
esac
