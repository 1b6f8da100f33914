#!/usr/bin/env bash
# Builds the benchmarks (release), runs them all, and prints one table: what a thing costs with lockstep, with others, and
# at least.
set -euo pipefail
# shellcheck source=../../deploy/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/packages.sh"

usage() {
  cat <<'USAGE'
usage: bash tests/bench/run.sh [--markdown] [--keep DIR]

  --markdown   the table in Markdown
  --keep DIR   keep the programs' results there (JSON)
  --help       this text

Needs root, and a Debian 12 or 13 machine with nothing else to do. The exit code is 0 whatever the numbers are, and 1
when something could not be built or run.
USAGE
}

markdown=()
keep=''
while (($# > 0)); do
  case $1 in
    --markdown) markdown=(--markdown) ;;
    --keep)
      (($# > 1)) || die "--keep needs a folder; see --help"
      keep=$(realpath -m "$2")
      shift
      ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) die "no option '$1'; see --help" ;;
  esac
  shift
done

need_root
install_packages build run
build release lockstep-bench-barrier lockstep-bench-hostile lockstep-bench-hook lockstep-bench-frozen lockstep-bench-table bench_lock \
  bench_sock_diag bench_connections
LOCKSTEP_CRIU=$("$LOCKSTEP_SOURCE/deploy/criu.sh" "$LOCKSTEP_SOURCE/build/criu")
export LOCKSTEP_CRIU
bin=$LOCKSTEP_SOURCE/build/release/bin

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed=0

# measure NAME COMMAND…: what the command prints is its results.
measure() {
  local name=$1 file=$results/$1.json
  shift
  # To a file, not through with_progress, which keeps the output to itself.
  # shellcheck disable=SC2016
  if with_progress "measuring: $name" bash -c '"${@:2}" >"$1"' - "$file" "$@"; then return; fi
  rm -f "$file"
  failed=1
}

measure hook "$bin/lockstep-bench-hook" --json
measure barrier "$bin/lockstep-bench-barrier" --json --soak
measure encrypted "$bin/lockstep-bench-barrier" --json --encrypted --members 2,128,1000
measure hostile "$bin/lockstep-bench-hostile" --json
measure lock "$bin/bench_lock" --benchmark_format=json
measure sock_diag "$bin/bench_sock_diag" --benchmark_format=json
# The table has the largest rounds; the other sizes show how the time grows.
measure connections "$bin/bench_connections" --benchmark_format=json --benchmark_filter='/(members:1000|each:100000$)'
measure frozen "$bin/lockstep-bench-frozen" --json

if [[ -n $keep ]]; then
  mkdir -p "$keep"
  cp "$results"/*.json "$keep"/
fi
"$bin/lockstep-bench-table" "${markdown[@]}" "$results"/*.json
((failed == 0)) || die "not everything could be measured (see above)"
