#!/usr/bin/env bash
# The demo: a live application in two pods is checkpointed, killed and restored as one; then once more, left running.
# It needs a Debian 12 or 13 machine and root, and leaves nothing behind but the build folder.
set -euo pipefail
# shellcheck source=packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

usage() {
  cat <<'USAGE'
usage: bash deploy/demo.sh [--connections N] [--keep-logs DIR] [--help]

Installs the missing Debian packages, builds lockstep (release), makes two pods (network namespaces on a bridge), with an
agent in each, a server in one and a client in the other. They exchange numbered messages as fast as they can. Then:

  1. lockstep checkpoint: both are dumped at one moment, and killed;  lockstep restore: both come back and go on
  2. lockstep checkpoint --leave-running: both are dumped, and go on

  --connections N   connections over IPv4, and as many over IPv6 (default: 3)
  --keep-logs DIR   copy the logs of broker, agents, application and CRIU to DIR
  --help            this text

Exit code: 0 when every connection went on and no message was lost, doubled or out of order; 1 when not, or when
something could not be done.
USAGE
}

connections=3
keep_logs=''
while (($# > 0)); do
  case $1 in
    --connections | --keep-logs) (($# > 1)) || die "$1 needs a value; see --help" ;;
  esac
  case $1 in
    --connections) connections=$2 ;;
    --keep-logs) keep_logs=$(realpath -m "$2") ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) die "no option '$1'; see --help" ;;
  esac
  shift 2
done
# 20: more would not be listed one by one in the status files.
if [[ ! $connections =~ ^[1-9][0-9]?$ ]] || ((connections > 20)); then die "--connections takes a number from 1 to 20"; fi

need_root
install_packages build run
build release lockstep-broker lockstep-agent lockstep-hook lockstep_cli \
  lockstep_traffic lockstep_traffic_check lockstep_keeper
LOCKSTEP_CRIU=$("$LOCKSTEP_SOURCE/deploy/criu.sh" "$LOCKSTEP_SOURCE/build/criu")
LOCKSTEP_BIN=$LOCKSTEP_SOURCE/build/release/bin
export LOCKSTEP_CRIU LOCKSTEP_BIN

remove_stale lockstep-demo
prefix=lockstep-demo-$$
work=$(mktemp -d "${TMPDIR:-/tmp}/$prefix.XXXXXX")
keeper=''

# shellcheck disable=SC2317 # called by the trap
clean_up() {
  local status=$?
  trap '' INT TERM HUP
  # The keeper returns when no process is left of all that ran under it, so that nobody holds what is removed next.
  if [[ -n $keeper ]]; then
    kill -TERM "$keeper" 2>/dev/null || true
    wait "$keeper" 2>/dev/null || true
  fi
  if [[ -n $keep_logs ]]; then
    mkdir -p "$keep_logs"
    (cd "$work" && find . -name '*.log' -o -name '*.yaml' -o -name '*.json') | tar -C "$work" -cf - -T - |
      tar -C "$keep_logs" -xf -
  fi
  remove_namespaces "$prefix-"
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In the background, so that a signal is acted on at once, not when the demo is over.
"$LOCKSTEP_BIN/lockstep-keeper" bash "$LOCKSTEP_SOURCE/deploy/demo_rounds.sh" "$work" "$prefix" "$connections" &
keeper=$!
status=0
wait "$keeper" || status=$?
keeper=''
exit "$status"
