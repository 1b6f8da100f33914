#!/usr/bin/env bash
# package_test.sh BUILD DEBIAN: makes the .deb out of the build folder, looks into it, and installs, upgrades and purges it
# in a throw-away copy of the minimal Debian in the folder DEBIAN; then `cmake --install` with DESTDIR.
#
# The copy is an overlay on a tmpfs, in mount and pid namespaces of this test: it ends with it, however that ends.
set -euo pipefail
# Not followed: shellcheck 0.9 takes minutes and gigabytes for the two together.
# shellcheck source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root
need_programs cpack cmake dpkg-deb dpkg-shlibdeps file readelf man unshare
if [[ ${1-} != --inside ]]; then
  (($# == 2)) || die "usage: package_test.sh BUILD DEBIAN"
  exec unshare --mount --propagation private --pid --fork --kill-child bash "$0" --inside "$@"
fi
build=$(realpath "$2") debian=$(realpath "$3")
version=$(project_version)
work=$(mktemp -d)
trap 'umount -R -l "$work" 2>/dev/null; rmdir "$work"' EXIT
mount -t tmpfs -o size=1g lockstep-test "$work"
mkdir "$work"/{package,root,upper,overlay,staged}

# Every path that a package with this project has to hold.
expected_files() {
  local file
  printf '%s\n' /usr/bin/lockstep /usr/bin/lockstep-hook /usr/sbin/lockstep-agent /usr/sbin/lockstep-broker \
    /usr/share/bash-completion/completions/lockstep /usr/share/zsh/vendor-completions/_lockstep \
    /usr/share/doc/lockstep/{README.md,DESIGN.md,PROTOCOL.md,SECURITY.md,copyright}
  for file in "$LOCKSTEP_SOURCE"/deploy/systemd/*; do echo "/usr/lib/systemd/system/${file##*/}"; done
  for file in "$LOCKSTEP_SOURCE"/docs/man/*.[1-9]; do echo "/usr/share/man/man${file##*.}/${file##*/}.gz"; done
  (cd "$LOCKSTEP_SOURCE/deploy" && find examples -type f -printf '/usr/share/doc/lockstep/%p\n')
}

check_contents() {
  local mode owner path
  diff <(expected_files | sort) <(dpkg-deb --fsys-tarfile "$package" | tar -t | grep -v '/$' | sed 's/^\.//' | sort) ||
    fail "the package does not hold what it should (<: missing, >: not expected)"
  while read -r mode owner _ _ _ path; do
    expect "owner of $path" root/root "$owner"
    case $mode:$path in
      d*) expect "mode of $path" drwxr-xr-x "$mode" ;;
      *:./usr/bin/* | *:./usr/sbin/*) expect "mode of $path" -rwxr-xr-x "$mode" ;;
      *) expect "mode of $path" -rw-r--r-- "$mode" ;;
    esac
  done < <(dpkg-deb -c "$package")
}

check_control() {
  local field
  expect "Package" lockstep "$(dpkg-deb -f "$package" Package)"
  expect "Version" "$version" "$(dpkg-deb -f "$package" Version)"
  expect "Architecture" "$(dpkg --print-architecture)" "$(dpkg-deb -f "$package" Architecture)"
  for field in Maintainer Section Priority Installed-Size Description; do
    [[ -n $(dpkg-deb -f "$package" "$field") ]] || fail "the package has no field $field"
  done
  [[ $(dpkg-deb -f "$package" Depends) == *libzmq5* ]] || fail "the dependencies are not there: $(dpkg-deb -f "$package" Depends)"
  # A second line that begins with more than one blank is shown as it stands, not as a paragraph.
  ! dpkg-deb -f "$package" Description | grep -q '^  ' || fail "the description is indented"
  dpkg-deb -e "$package" "$work/control"
  for field in postinst prerm postrm; do
    [[ -x $work/control/$field ]] || fail "$field is not there, or can't be executed"
    sh -n "$work/control/$field"
  done
}

check_files() {
  local program manual complaints
  dpkg-deb -x "$package" "$work/files"
  (cd "$work/files" && md5sum --quiet -c "$work/control/md5sums") || fail "md5sums do not fit"
  for program in "$work"/files/usr/{bin,sbin}/*; do
    ! readelf -SW "$program" | grep -q '\.symtab' || fail "$program is not stripped"
    ! readelf -d "$program" | grep -Eq 'RPATH|RUNPATH' || fail "$program looks for libraries in the build's folders"
  done
  for manual in "$work"/files/usr/share/man/man*/*.gz; do
    complaints=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$manual" 2>&1 >/dev/null)
    [[ -z $complaints ]] || fail "${manual##*/}: $complaints"
  done
  bash -n "$work/files/usr/share/bash-completion/completions/lockstep"
}

inside() { chroot "$work/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
apt_inside() { inside apt-get -q -y -o Dpkg::Use-Pty=0 "$@"; }

# A Debian that is as if booted by systemd, whose systemctl only notes what it was asked.
make_root() {
  mount -t overlay -o "lowerdir=$debian,upperdir=$work/upper,workdir=$work/overlay" lockstep-test "$work/root"
  mount -t proc proc "$work/root/proc"
  mount --rbind /dev "$work/root/dev"
  # The host's own, so that names resolve; and the filters that keep manuals out of images are not wanted here.
  cat /etc/resolv.conf >"$work/root/etc/resolv.conf"
  rm -f "$work"/root/etc/dpkg/dpkg.cfg.d/*
  mkdir -p "$work/root/run/systemd/system"
  printf '#!/bin/sh\necho "$*" >>/run/systemctl.log\n' >"$work/root/usr/bin/systemctl"
  chmod 755 "$work/root/usr/bin/systemctl"
}

# What systemctl has been asked since the last call.
asked() {
  paste -sd';' "$work/root/run/systemctl.log"
  : >"$work/root/run/systemctl.log"
}

files_inside() {
  find "$work/root" -xdev \( -path "$work/root/var/lib/dpkg" -o -path "$work/root/var/lib/apt" -o -path "$work/root/var/cache" \
    -o -path "$work/root/var/log" -o -path "$work/root/run" -o -path "$work/root/tmp" \) -prune -o -printf '/%P\n' | sort
}

check_installation() {
  local program
  expect "lockstep" "lockstep $version" "$(inside lockstep --version)"
  for program in lockstep-agent lockstep-broker; do
    expect "$program" "$version" "$(inside "$program" --version)"
    inside "$program" --check || fail "$program --check refuses its defaults"
  done
  inside lockstep-hook --version | grep -qF "$version" || fail "lockstep-hook tells no version"
  # It names the folder of the keys.
  inside lockstep keys init >/dev/null
  inside lockstep-broker --check --config /usr/share/doc/lockstep/examples/broker.yaml || fail "the broker's example is refused"
  inside lockstep-broker --check --groups /usr/share/doc/lockstep/examples/groups.yaml ||
    fail "the groups' example is refused"
  inside lockstep-agent --check --config /usr/share/doc/lockstep/examples/agent.yaml || fail "the agent's example is refused"
  # shellcheck disable=SC2016
  expect "state" "install ok installed" "$(inside dpkg-query -W -f '${Status}' lockstep)"
  [[ -z $(inside dpkg --verify lockstep) ]] || fail "installed files differ from the package's"
  [[ -z $(inside dpkg --audit) ]] || fail "dpkg complains: $(inside dpkg --audit)"
}

check_life() {
  make_root
  with_progress "updating the lists" apt_inside update || exit 1
  files_inside >"$work/before"
  cp "$package" "$work/root/tmp/"
  local deb=/tmp/${package##*/}
  with_progress "installing the package" apt_inside install --no-install-recommends "$deb" || exit 1
  check_installation
  expect "systemctl on installation" "--system daemon-reload" "$(asked)"
  inside mkdir -p /var/lib/lockstep /etc/lockstep
  inside touch /var/lib/lockstep/journal.db /etc/lockstep/broker.yaml
  with_progress "installing it again" apt_inside install --reinstall --no-install-recommends "$deb" || exit 1
  expect "systemctl on upgrade" \
    "--system daemon-reload;try-restart lockstep-broker.service lockstep-agent.service" "$(asked)"
  with_progress "removing it" apt_inside remove lockstep || exit 1
  expect "systemctl on removal" \
    "disable --now lockstep-agent.service lockstep-broker.service;--system daemon-reload" "$(asked)"
  [[ -e $work/root/var/lib/lockstep/journal.db ]] || fail "removal has taken the journal away: that is for purge"
  with_progress "purging it" apt_inside purge --autoremove lockstep || exit 1
  [[ -e $work/root/etc/lockstep/broker.yaml ]] || fail "purge has taken the administrator's files away"
  inside rm -r /etc/lockstep
  diff "$work/before" <(files_inside) || fail "something is left, or missing, after purge (<: missing, >: left)"
}

# The same by hand, for a prefix of its own: units have to name the programs where they are.
check_cmake_install() {
  local prefix=$1 zsh=$2 unit program
  DESTDIR=$work/staged cmake --install "$build" --prefix "$prefix" >"$work/install.log" || fail "cmake --install: $(<"$work/install.log")"
  for unit in "$work/staged$prefix"/lib/systemd/system/*.service; do
    program=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")
    [[ $program == "$prefix"/* && -x $work/staged$program ]] || fail "${unit##*/} starts '$program', which is not installed"
  done
  [[ -e $work/staged$prefix/share/zsh/$zsh/_lockstep ]] || fail "zsh would find no completion below $prefix"
  expect "staged lockstep" "lockstep $version" "$("$work/staged$prefix/bin/lockstep" --version)"
  # Nothing may be put beside DESTDIR.
  [[ -z $(find "$work/staged" -mindepth 1 -not -path "$work/staged$prefix*" -not -path "$work/staged${prefix%/*}") ]] ||
    fail "files were installed outside of $prefix"
  rm -rf "${work:?}/staged"/*
}

step "the package's contents"
package=$(make_package "$build" "$work/package")
check_contents
check_control
check_files
step "its life on a Debian: installed, upgraded, removed, purged"
check_life
step "cmake --install"
check_cmake_install /usr vendor-completions
check_cmake_install /opt/lockstep site-functions
say "passed"
