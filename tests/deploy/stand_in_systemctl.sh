#!/usr/bin/env bash
# systemctl's place in podman_path_test.sh: starts and stops the daemons as their units in deploy/systemd say, from PATH,
# without systemd's own protections. Logs and pids are in the folder LOCKSTEP_SERVICES.
set -euo pipefail

# setting UNIT NAME
setting() { sed -n "s/^$2=//p" "$(dirname "$(realpath "$0")")/../../deploy/systemd/$1.service"; }

start() {
  local runtime state
  local -a command
  runtime=$(setting "$1" RuntimeDirectory) state=$(setting "$1" StateDirectory)
  mkdir -p "/run/$runtime"
  chmod "$(setting "$1" RuntimeDirectoryMode | grep . || echo 0755)" "/run/$runtime"
  [[ -z $state ]] || install -d -m "$(setting "$1" StateDirectoryMode)" "/var/lib/$state"
  read -ra command <<<"$(setting "$1" ExecStart)"
  setsid "${command[0]##*/}" "${command[@]:1}" </dev/null >>"$LOCKSTEP_SERVICES/$1.log" 2>&1 &
  echo $! >"$LOCKSTEP_SERVICES/$1.pid"
}

stop() {
  local pid
  pid=$(<"$LOCKSTEP_SERVICES/$1.pid")
  kill -TERM "$pid"
  timeout 20 tail -s 0.05 --pid "$pid" -f /dev/null
  [[ $(setting "$1" RuntimeDirectoryPreserve) == yes ]] || rm -rf "/run/$(setting "$1" RuntimeDirectory)"
}

verb=$1
shift
for unit in "$@"; do
  [[ $unit != --now ]] || continue
  case $verb in
    enable) start "$unit" ;;
    disable) stop "$unit" ;;
    restart)
      stop "$unit"
      start "$unit"
      ;;
    *) exit 2 ;;
  esac
done
