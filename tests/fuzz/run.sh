#!/usr/bin/env bash
# Builds the fuzzers (clang) and runs each for a bounded time, beginning with its seeds.
set -euo pipefail
# shellcheck source=../../deploy/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/packages.sh"

seconds=20
only=''
seed=0

usage() {
  cat <<'USAGE'
usage: bash tests/fuzz/run.sh [--seconds N] [--target NAME] [--seed N] [--list] [--help]

  --seconds N    how long each fuzzer looks for something new (default: 20)
  --target NAME  only this one
  --seed N       where its dice begin (default: 0, anew each time)
  --list         tells the targets' names

Needs clang (installed where it is missing, as root). Stops at the first finding, with exit code 1, and says where the
input is that shows it. What a run has learned stays in build/fuzz-corpus, and the next one goes on from there.
USAGE
}

# The largest allocation that any input may lead to, in MiB, and the longest input: a decoder may take 48 MiB and 40
# bytes for each byte of its input (schemas/codec.hpp); protobuf makes room for up to 50 MB on a length's word; all others
# need far less.
limits_of() {
  case $1 in
    message | record | broker | images | criu_stats) echo -malloc_limit_mb=64 -max_len=65536 ;;
    frames) echo -malloc_limit_mb=32 -max_len=65536 ;;
    *) echo -malloc_limit_mb=16 -max_len=16384 ;;
  esac
}

# Sums a run up in one line out of libFuzzer's log.
summary_of() {
  sed -n 's/^stat::number_of_executed_units: *\([0-9]*\)$/\1 inputs/p; s/^stat::peak_rss_mb: *\([0-9]*\)$/\1 MiB/p' "$1" |
    paste -sd, | sed 's/,/, /'
}

# run TARGET: one fuzzer. Its seeds are only read; what it finds goes to the build folder.
run() {
  local name=$1 build=$LOCKSTEP_SOURCE/build/asan-ubsan
  local corpus=$LOCKSTEP_SOURCE/build/fuzz-corpus/$name finding=$build/findings/$name- log=$build/$name.log
  local -a limits
  read -ra limits <<<"$(limits_of "$name")"
  mkdir -p "$corpus" "$build/findings"
  # libFuzzer's own limit for one input, and a hard one for the whole run: seeds and the leak check take time, too.
  if ! timeout -k 5 $((seconds + 120)) "$build/bin/fuzz_$name" "${limits[@]}" -rss_limit_mb=1024 -timeout=10 \
    -seed="$seed" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$finding" \
    "$corpus" "$LOCKSTEP_SOURCE/tests/fuzz/seeds/$name" >"$log" 2>&1 </dev/null; then
    tail -n 60 "$log" >&2
    say "fuzz $name: FAILED; all of its output is in $log"
    local input
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    [[ -z $input ]] || say "fuzz $name: to see it again: $build/bin/fuzz_$name ${limits[*]} $input"
    return 1
  fi
  say "fuzz $name: $(summary_of "$log")"
}

# Every fuzzer of the folder, by name.
targets() {
  local file
  for file in "$LOCKSTEP_SOURCE"/tests/fuzz/fuzz_*.cpp; do basename "$file" .cpp | sed 's/^fuzz_//'; done
}

while (($# > 0)); do
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --list)
      targets
      exit 0
      ;;
    --seconds | --target | --seed) (($# > 1)) || die "$1 needs a value; see --help" ;;
    *) die "no option '$1'; see --help" ;;
  esac
  case $1 in
    --seconds)
      [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || die "--seconds needs a number of seconds, got '$2'"
      seconds=$2
      ;;
    --target) only=$2 ;;
    --seed)
      [[ $2 =~ ^[0-9]{1,9}$ ]] || die "--seed needs a number, got '$2'"
      seed=$2
      ;;
  esac
  shift 2
done

mapfile -t names < <(targets)
if [[ -n $only ]]; then
  [[ " ${names[*]} " == *" $only "* ]] || die "no target '$only'; there are: ${names[*]}"
  names=("$only")
fi

install_packages build fuzz
build asan-ubsan "${names[@]/#/fuzz_}"
for name in "${names[@]}"; do run "$name"; done
