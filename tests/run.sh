#!/usr/bin/env bash
# Installs what the tests need, builds, and runs them: unit, simulated, netns, and end to end with a real CRIU, with
# applications made for it and with real ones, by itself and through Podman; then what reads foreign bytes again, under
# sanitizers and under fuzzers.
set -euo pipefail
# shellcheck source=../deploy/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/packages.sh"

usage() {
  cat <<'USAGE'
usage: bash tests/run.sh [--quick] [--preset NAME] [--label REGEX] [-R REGEX]

  Without options: what CI runs. Every test in a release build; unit, netns and hostile tests again under ASan and
  UBSan; the fuzzers, for some seconds each.

  --quick         every test in a release build, and no more
  --preset NAME   only the tests, built so: release, dev, asan-ubsan, tsan (CMakePresets.json)
  --label REGEX   only the tests with such a label: unit, sim, netns, hostile, e2e, faults, apps,
                  podman, packages, deploy
  -R REGEX        only the tests with such a name
  --help          this text

Needs root, and a Debian 12 or 13 machine. The exit code is 0 when everything has passed.
USAGE
}

preset=release
complete=true
filters=()
while (($# > 0)); do
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --quick)
      complete=false
      shift
      continue
      ;;
    --preset | --label | -R) (($# > 1)) || die "$1 needs a value; see --help" ;;
    *) die "no option '$1'; see --help" ;;
  esac
  complete=false
  case $1 in
    --preset) preset=$2 ;;
    --label) filters+=(-L "$2") ;;
    -R) filters+=(-R "$2") ;;
  esac
  shift 2
done

# run_tests PRESET FILTER…: a filter that fits no test is a mistake, not a success. End-to-end tests keep one another off by
# their RESOURCE_LOCK. One that fails is run once more: what passes then is unsteady, and ctest's lines
# say so; what is broken fails twice.
run_tests() {
  local dir=$LOCKSTEP_SOURCE/build/$1
  shift
  # Under ASan freed memory is kept, by default more of it than hostile tests let a daemon have.
  export TSAN_OPTIONS=suppressions=$LOCKSTEP_SOURCE/tests/tsan.supp${TSAN_OPTIONS:+:$TSAN_OPTIONS}
  LOCKSTEP_BIN=$dir/bin ASAN_OPTIONS=quarantine_size_mb=16${ASAN_OPTIONS:+:$ASAN_OPTIONS} \
    ctest --test-dir "$dir" --output-on-failure --no-tests=error --repeat until-pass:2 -j2 "$@"
}

need_root
install_packages build run apps packages kubernetes podman
LOCKSTEP_CRIU=$("$LOCKSTEP_SOURCE/deploy/criu.sh" "$LOCKSTEP_SOURCE/build/criu")
export LOCKSTEP_CRIU

[[ $preset != asan-ubsan ]] || install_packages fuzz
build "$preset"
status=0
run_tests "$preset" "${filters[@]}" || status=1
if $complete; then
  say "unit, netns and hostile tests under ASan and UBSan:"
  install_packages fuzz
  build asan-ubsan tests/unit/all tests/netns/all tests/hostile/all
  # But for one: UBSan looks at objects through a pipe, and takes it for an error that no descriptor is left for that.
  run_tests asan-ubsan -L 'unit|netns|hostile' -E ConnectionsBeyondTheLimitAreTurnedAwayWithoutSpinning || status=1
  # One seed, so that two runs of the same code look at the same inputs. What is to be found beyond them, a longer run
  # finds: bash tests/fuzz/run.sh --seconds 600
  bash "$LOCKSTEP_SOURCE/tests/fuzz/run.sh" --seconds 5 --seed 1 || status=1
fi
exit "$status"
