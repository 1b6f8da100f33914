#!/usr/bin/env bash
# Installs the Debian packages that lockstep needs, those of them that are missing. Debian 12 and 13.
# As a program: packages.sh SET…        As a library: source it, then install_packages SET…
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

package_sets='build, run, criu, apps, fuzz, packages, podman, kubernetes'

# packages_of SET: its packages, separated by blanks.
packages_of() {
  case $1 in
    build)
      echo g++ cmake ninja-build pkg-config \
        libzmq3-dev cppzmq-dev libmsgpack-cxx-dev libspdlog-dev libexpected-dev libyaml-cpp-dev \
        libnl-3-dev libnl-route-3-dev libnl-idiag-3-dev libnl-nf-3-dev librapidcheck-dev nlohmann-json3-dev libcli11-dev \
        libprotobuf-dev protobuf-compiler zlib1g-dev libsqlite3-dev libcurl4-openssl-dev libcap-ng-dev libsodium-dev libgtest-dev libgmock-dev libbenchmark-dev
      ;;
    run) echo iproute2 nftables iptables util-linux ;;
    criu) echo mmdebstrap ;; # only where the machine's own criu does not do
    apps) echo redis-server postgresql nats-server memcached openmpi-bin libopenmpi-dev ;; # for tests/e2e/apps
    fuzz) echo clang lld libclang-rt-dev ;; # the latter has libFuzzer and the sanitizers
    packages) echo dpkg-dev file mmdebstrap buildah runc man-db ;; # the .deb (CPack needs file), the images, a Debian
    podman) echo podman runc conmon netavark catatonit zstd ;; # without catatonit, no pod gets its first process
    kubernetes) # the tests of the manifests and of the kubelet driver. Where kubectl comes from elsewhere, Debian's would be
      # in its way
      echo python3 python3-yaml openssl "$(command -v kubectl >/dev/null || echo kubernetes-client)"
      ;;
    *) die "no set of packages is called '$1'; there are: $package_sets" ;;
  esac
}

# The packages among the arguments that are not installed.
missing_packages() {
  local installed
  # dpkg-query fails when it does not know one of them; it still lists the others.
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  printf '%s installed\n' "$@" | sort -u | comm -23 - <(sort -u <<<"$installed") | cut -d' ' -f1
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "$@"
}

# The lists may be missing altogether (container images come without), or be too old to name files that still exist.
install_after_update() {
  apt_install "$@" || { apt-get -q -o DPkg::Lock::Timeout=120 update && apt_install "$@"; }
}

# without_services COMMAND…: installing a server's package would start the server, unless a policy says no. A policy that
# is there already is the machine's own, and stays.
without_services() (
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy && ! -L $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  "$@"
)

install_packages() {
  local -a wanted missing
  local set names
  for set in "$@"; do
    names=$(packages_of "$set")
    read -ra missing <<<"$names"
    wanted+=("${missing[@]}")
  done
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  ((${#missing[@]} > 0)) || return 0
  command -v apt-get >/dev/null || die "needs the programs of these Debian packages: ${missing[*]}"
  [[ $EUID -eq 0 ]] || die "must run as root to install: ${missing[*]}"
  with_progress "installing ${#missing[@]} packages" without_services install_after_update "${missing[@]}" ||
    die "could not install: ${missing[*]}"
}

# The address of the Debian archive that this machine's apt uses; fails where it knows none.
debian_archive() {
  local try address
  for try in first again; do
    # shellcheck disable=SC2016
    address=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)
    [[ -z $address ]] || break
    [[ $try == again ]] || apt-get -q update >&2
  done
  [[ -n $address ]] && echo "$address"
}

# Settings of this machine's apt that decide whether the archive can be reached, as options of mmdebstrap, which starts
# from none. A mirror of the past has out-of-date signatures, and is as good.
apt_reach_options() {
  echo '--aptopt=Acquire::Check-Valid-Until "false"'
  apt-config dump | grep -E '^Acquire::(http|https|ftp)(::[^ ]*)? ".' | sed 's/^/--aptopt=/' || true
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  (($# > 0)) || die "usage: packages.sh SET…   ($package_sets)"
  install_packages "$@"
fi
