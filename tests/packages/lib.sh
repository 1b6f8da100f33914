# shellcheck shell=bash
# What the tests of packages and images have in common. To be sourced; every function ends the test when it fails.
# shellcheck source=../../deploy/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/packages.sh"

fail() {
  say "FAILED: $*"
  exit 1
}

step() { say "-- $*"; }

need_programs() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "needs the program $program; bash deploy/packages.sh packages kubernetes"
  done
}

# expect WHAT WANTED GOT
expect() { [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"; }

# The project's version, as CMake knows it.
project_version() { sed -n 's/^project(lockstep VERSION \([0-9.]*\).*/\1/p' "$LOCKSTEP_SOURCE/CMakeLists.txt"; }

# make_package BUILD DIR: prints the path of the .deb that it makes in DIR.
make_package() {
  local -a packages
  with_progress "making the package" cpack -G DEB --config "$1/CPackConfig.cmake" -B "$2" || exit 1
  mapfile -t packages < <(compgen -G "$2/*.deb")
  expect "packages made" 1 "${#packages[@]}"
  echo "${packages[0]}"
}
