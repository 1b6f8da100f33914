#!/usr/bin/env bash
# criu.sh DIR: prints the path of a criu command that can dump and restore TCP connections on this machine.
#
# The machine's own criu is taken where it passes a real trial. Otherwise one of a newer Debian suite is unpacked, with its
# libraries, into DIR: once. It is started through its own loader, so that nothing of it mixes with the machine's
# libraries. LOCKSTEP_CRIU_SUITES names the suites to try; the mirror is the one that this machine's apt uses.
set -euo pipefail
# shellcheck source=packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

read -ra suites <<<"${LOCKSTEP_CRIU_SUITES:-sid testing}"

# A process with both ends of an established connection on loopback: the least that older CRIUs trip over on newer
# kernels (3.17 does not start at all from 6.x on; 4.1 can't dump TCP sockets from 6.16 on).
# shellcheck disable=SC2016
readonly trial_process='
  use Socket; use POSIX ();
  my ($l, $c, $s, $f);
  POSIX::setsid();
  POSIX::close($_) for 3 .. 255;  # whatever the caller has left open may be nothing that CRIU can dump
  socket($l, PF_INET, SOCK_STREAM, 0) && bind($l, sockaddr_in(0, INADDR_LOOPBACK)) && listen($l, 1) or die "listen: $!";
  socket($c, PF_INET, SOCK_STREAM, 0) && connect($c, getsockname($l)) && accept($s, $l) or die "connect: $!";
  open($f, ">", "$ARGV[0]/pid.part") && print($f $$) && close($f) && rename("$ARGV[0]/pid.part", "$ARGV[0]/pid");
  sleep 30;'

is_told_or_gone() { [[ -e $1 ]] || ! kill -0 "$2" 2>/dev/null; }

# try_criu CRIU DIR: in a network namespace of its own. Leaves CRIU's log in DIR.
try_criu() {
  local criu=$1 dir=$2 pid keeper
  # shellcheck disable=SC2016
  { unshare --net sh -c 'ip link set lo up && exec perl -e "$0" "$1"' "$trial_process" "$dir" || true; } \
    </dev/null >"$dir/process.log" 2>&1 &
  keeper=$!
  wait_for 5 "the trial's process" is_told_or_gone "$dir/pid" "$keeper" || return
  [[ -e $dir/pid ]] || die "can't try criu: $(<"$dir/process.log")"
  pid=$(<"$dir/pid")
  local status=0
  "$criu" dump --tree "$pid" --images-dir "$dir" --log-file dump.log -v2 --tcp-established --network-lock skip \
    --external "net[$(stat -Lc %i "/proc/$pid/ns/net")]:pod" >"$dir/criu.log" 2>&1 || status=$?
  kill -KILL "$pid" 2>/dev/null || true
  wait "$keeper" 2>/dev/null || true
  return "$status"
}

# works CRIU: why it does not is left in $complaint.
works() {
  local dir status=0
  dir=$(mktemp -d)
  try_criu "$1" "$dir" || status=$?
  # The first error is the cause; that the limit of open files can't be raised is none.
  complaint=$(grep -hE 'Error|error' "$dir/dump.log" "$dir/criu.log" 2>/dev/null | grep -v RLIMIT_NOFILE | head -n 1) || true
  complaint=${complaint:-exit code $status}
  rm -rf "$dir"
  return "$status"
}

# unpack SUITE ROOT
unpack() {
  local mirror
  local -a options
  mirror=$(debian_archive) || die "this machine's apt knows no Debian archive; install criu 4.2 or newer by hand"
  mapfile -t options < <(apt_reach_options)
  mmdebstrap --variant=extract --include=criu "${options[@]}" "$1" "$2" "$mirror"
}

# write_wrapper FILE: starts the criu in the folder `root` beside FILE, wherever the two have been moved to.
write_wrapper() {
  cat >"$1" <<'WRAPPER'
#!/bin/sh
root=${0%/*}/root
for loader in "$root"/usr/lib64/ld-linux-*.so.* "$root"/usr/lib/ld-linux-*.so.*; do [ -e "$loader" ] && break; done
for libraries in "$root"/usr/lib/*-linux-gnu; do [ -d "$libraries" ] && break; done
exec "$loader" --library-path "$libraries" "$root/usr/sbin/criu" "$@"
WRAPPER
  chmod 755 "$1"
}

# bring SUITE DIR: DIR/criu and DIR/root, whole or not at all.
bring() {
  local suite=$1 dir=$2 part
  mkdir -p "$(dirname "$dir")"
  part=$(mktemp -d "$dir.part.XXXXXX")
  if with_progress "bringing criu from Debian $suite" unpack "$suite" "$part/root" && write_wrapper "$part/criu"; then
    chmod 755 "$part"
    rm -rf "$dir"
    mv -T "$part" "$dir"
  else
    rm -rf "$part"
    return 1
  fi
}

main() {
  if (($# != 1)) || [[ $1 == -* ]]; then die "usage: criu.sh DIR"; fi
  need_root
  local dir own suite complaint=''
  dir=$(realpath -m "$1")
  install_packages run
  if own=$(command -v criu) && works "$own"; then
    echo "$own"
    return
  fi
  if [[ -x $dir/criu ]] && works "$dir/criu"; then
    echo "$dir/criu"
    return
  fi
  [[ -z $own ]] || say "  this machine's criu can't dump TCP connections here ($complaint)"
  install_packages criu
  for suite in "${suites[@]}"; do
    bring "$suite" "$dir" || continue
    if works "$dir/criu"; then
      echo "$dir/criu"
      return
    fi
    say "  the criu of Debian $suite does not work here: $complaint"
  done
  die "found no criu that can dump TCP connections on this kernel ($(uname -r)), tried: ${suites[*]}"
}

main "$@"
