# shellcheck shell=bash
# What deploy/ and tests/ scripts have in common: how they speak, stop, and build. To be sourced.

LOCKSTEP_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LOCKSTEP_SOURCE

say() { printf '%s\n' "$*" >&2; }

die() {
  say "${0##*/}: $*"
  exit 1
}

need_root() {
  [[ $EUID -eq 0 ]] || die "must run as root: it makes network namespaces and runs CRIU"
}

# with_progress WHAT COMMAND…: runs a command that may take long. Its output goes to a file, and is shown when it fails;
# a terminal sees that time goes by, and anything else gets a line at the begin and one at the end. Steps of less than
# a second, as most are in a second run, say nothing.
with_progress() {
  local what=$1 log status=0 begin=$SECONDS watcher=''
  shift
  log=$(mktemp)
  if [[ -t 2 ]]; then
    (
      trap 'exit 0' TERM
      while sleep 1; do printf '\r  %s … %d s ' "$what" $((SECONDS - begin)) >&2; done
    ) &
    watcher=$!
  else
    (
      trap 'exit 0' TERM
      sleep 1 && say "  $what …"
    ) &
    watcher=$!
  fi
  "$@" >"$log" 2>&1 </dev/null || status=$?
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
  [[ ! -t 2 ]] || printf '\r\033[K' >&2
  if ((status != 0)); then
    tail -n 60 "$log" >&2
    rm -f "$log"
    say "${0##*/}: $what: failed with exit code $status (the last lines of its output are above)"
    return "$status"
  fi
  ((SECONDS - begin < 1)) || say "  $what: done in $((SECONDS - begin)) s"
  rm -f "$log"
}

# wait_for SECONDS WHAT COMMAND…: until the command succeeds. Says what it has waited for in vain.
wait_for() {
  local limit=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS <= limit)) || {
      say "${0##*/}: waited in vain for $what"
      return 1
    }
    sleep 0.02
  done
}

# close_inherited: in a subshell, closes every descriptor but the standard ones.
close_inherited() {
  local fd
  for fd in "/proc/$BASHPID/fd/"*; do
    fd=${fd##*/}
    ((fd <= 2)) || exec {fd}>&-
  done
}

# build PRESET [TARGET…]: configures once and when the presets have changed, builds what has changed.
build() {
  local preset=$1 dir=$LOCKSTEP_SOURCE/build/$1
  shift
  # An old cache keeps settings that the preset has no more.
  if [[ ! -e $dir/build.ninja || $LOCKSTEP_SOURCE/CMakePresets.json -nt $dir/CMakeCache.txt ]]; then
    with_progress "configuring ($preset)" cmake --fresh -S "$LOCKSTEP_SOURCE" --preset "$preset" || return
    touch "$dir/CMakeCache.txt"
  fi
  with_progress "building ($preset)" cmake --build "$dir" ${1:+--target "$@"}
}

# remove_namespaces PREFIX: the named network namespaces whose names begin so.
remove_namespaces() {
  local path
  for path in /run/netns/"$1"*; do
    [[ ! -e $path ]] || ip netns delete "${path##*/}" || true
  done
}

# remove_stale NAME: what runs of NAME that were killed (SIGKILL runs no trap) have left: namespaces NAME-PID-… and folders
# NAME-PID.… whose maker lives no more. No process is left in them: lockstep-keeper outlives its parent for that.
remove_stale() {
  local path pid
  for path in /run/netns/"$1"-[0-9]* "${TMPDIR:-/tmp}/$1"-[0-9]*; do
    pid=${path##*/"$1"-}
    pid=${pid%%[!0-9]*}
    if [[ ! -e $path || -e /proc/$pid ]]; then continue; fi
    case $path in
      /run/netns/*) ip netns delete "${path##*/}" || true ;;
      *) rm -rf "$path" ;;
    esac
  done
}
