#!/usr/bin/env bash
# base.sh DIR: makes DIR a folder with a minimal Debian of this machine's release (what the debian:*-slim images hold),
# once, and prints its path. Images and packages are tried on it where no registry can be reached.
set -euo pipefail
# shellcheck source=../packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/../packages.sh"

# bootstrap SUITE DIR
bootstrap() {
  local mirror
  local -a options
  mirror=$(debian_archive) || die "this machine's apt knows no Debian archive"
  mapfile -t options < <(apt_reach_options)
  mmdebstrap --variant=apt --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "${options[@]}" "$1" "$2" "$mirror"
}

main() {
  if (($# != 1)) || [[ $1 == -* ]]; then die "usage: base.sh DIR"; fi
  [[ $EUID -eq 0 ]] || die "must run as root: the folder's files have many owners"
  local dir part suite
  dir=$(realpath -m "$1")
  if [[ ! -e $dir/etc/debian_version ]]; then
    install_packages packages
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:?this machine names no release of Debian}")
    mkdir -p "$(dirname "$dir")"
    part=$(mktemp -d "$dir.part.XXXXXX")
    with_progress "unpacking a minimal Debian ($suite)" bootstrap "$suite" "$part" || {
      rm -rf "$part"
      exit 1
    }
    chmod 755 "$part"
    mv -T "$part" "$dir" # whole or not at all
  fi
  echo "$dir"
}

main "$@"
