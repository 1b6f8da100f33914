#!/usr/bin/env bash
# Installs what the tests need, builds, and runs them: unit, simulated, netns, and end to end with a real CRIU, with
# applications made for it and with real ones.
set -euo pipefail
# shellcheck source=../deploy/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/packages.sh"

usage() {
  cat <<'USAGE'
usage: bash tests/run.sh [--preset NAME] [--label REGEX] [-R REGEX]

  --preset NAME   how to build: release (default), dev, asan-ubsan, tsan (CMakePresets.json)
  --label REGEX   only the tests with such a label: unit, sim, netns, e2e, apps
  -R REGEX        only the tests with such a name
  --help          this text

Needs root, and a Debian 12 or 13 machine. The exit code is ctest's. Fuzzers are built apart, with clang:
bash tests/fuzz/run.sh.
USAGE
}

preset=release
filters=()
while (($# > 0)); do
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --preset | --label | -R) (($# > 1)) || die "$1 needs a value; see --help" ;;
    *) die "no option '$1'; see --help" ;;
  esac
  case $1 in
    --preset) preset=$2 ;;
    --label) filters+=(-L "$2") ;;
    -R) filters+=(-R "$2") ;;
  esac
  shift 2
done

need_root
install_packages build run apps
build "$preset"
LOCKSTEP_CRIU=$("$LOCKSTEP_SOURCE/deploy/criu.sh" "$LOCKSTEP_SOURCE/build/criu")
LOCKSTEP_BIN=$LOCKSTEP_SOURCE/build/$preset/bin
export LOCKSTEP_CRIU LOCKSTEP_BIN

# A filter that fits no test is a mistake, not a success. End-to-end tests keep one another off by their RESOURCE_LOCK.
exec ctest --test-dir "$LOCKSTEP_SOURCE/build/$preset" --output-on-failure --no-tests=error -j2 "${filters[@]}"
