#!/usr/bin/env bash
# Builds, and checkpoints real applications: as tests, for a table, or for hours.
set -euo pipefail
# shellcheck source=../../../deploy/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../../deploy/packages.sh"

usage() {
  cat <<'USAGE'
usage: bash tests/e2e/apps/run.sh [--table | --soak[=DURATION]] [--application NAME] [--preset NAME]

                       without --table or --soak: runs the tests
  --table              prints a table (Markdown): what became of each application, and how long everything took
  --soak[=DURATION]    cycles back to back for so long (90s, 10m, 1h: the default); ends at the first fault
  --application NAME   only this one: redis, memcached, nats, postgres, mpi; redis_in_podman, postgres_in_podman
  --preset NAME        how to build: release (default), dev (CMakePresets.json)
  --help               this text

Needs root, and a Debian 12 or 13 machine. docs/APPLICATIONS.md tells what is tried, and what it takes. The exit code is
0 when every application came back with every connection and every acknowledged write, else not 0.
USAGE
}

# seconds_of DURATION
seconds_of() {
  [[ $1 =~ ^([0-9]+)([smh])$ ]] || die "'$1' is no duration; see --help"
  local -A units=([s]=1 [m]=60 [h]=3600)
  echo $((10#${BASH_REMATCH[1]} * units[${BASH_REMATCH[2]}]))
}

mode=tests
preset=release
application=''
soak=3600
while (($# > 0)); do
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --table) mode=table ;;
    --soak) mode=soak ;;
    --soak=*)
      mode=soak
      soak=$(seconds_of "${1#*=}")
      ;;
    --application | --preset)
      (($# > 1)) || die "$1 needs a value; see --help"
      if [[ $1 == --preset ]]; then preset=$2; else application=$2; fi
      shift
      ;;
    *) die "no option '$1'; see --help" ;;
  esac
  shift
done

need_root
install_packages build run apps podman
build "$preset" lockstep lockstep-agent lockstep-broker lockstep-hook lockstep_app_tests lockstep_app_cycles
LOCKSTEP_CRIU=$("$LOCKSTEP_SOURCE/deploy/criu.sh" "$LOCKSTEP_SOURCE/build/criu")
LOCKSTEP_BIN=$LOCKSTEP_SOURCE/build/$preset/bin
export LOCKSTEP_CRIU LOCKSTEP_BIN

case $mode in
  tests)
    # A name that fits nothing is a mistake, not a success.
    exec ctest --test-dir "$LOCKSTEP_SOURCE/build/$preset" --output-on-failure --no-tests=error -L '^apps$' \
      -R "/$application${application:+\$}"
    ;;
  table) exec "$LOCKSTEP_BIN/lockstep-app-cycles" ${application:+--application "$application"} ;;
  soak) exec "$LOCKSTEP_BIN/lockstep-app-cycles" --soak "$soak" ${application:+--application "$application"} ;;
esac
