#!/usr/bin/env bash
# images_test.sh BUILD DEBIAN: builds the images of deploy/images with the package made out of the build folder, on the
# minimal Debian in the folder DEBIAN in the place of debian:*-slim, and runs what is in them. No registry is asked.
#
# buildah's storage is a tmpfs in a mount namespace of this test, and ends with it.
set -euo pipefail
# Not followed: shellcheck 0.9 takes minutes and gigabytes for the two together.
# shellcheck source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What an image may have more than the Debian below it, in MiB.
readonly max_added=48
readonly broker_user=7600

need_root
need_programs buildah cpack dpkg-shlibdeps file unshare
if [[ ${1-} != --inside ]]; then
  (($# == 2)) || die "usage: images_test.sh BUILD DEBIAN"
  exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc bash "$0" --inside "$@"
fi
build=$(realpath "$2") debian=$(realpath "$3")
version=$(project_version)
work=$(mktemp -d)
trap 'umount -R -l "$work" 2>/dev/null; rmdir "$work"' EXIT
mount -t tmpfs -o size=2g lockstep-test "$work"
mkdir "$work"/{context,tmp}
export TMPDIR=$work/tmp BUILDAH_ISOLATION=chroot
# Nothing of the machine's own settings: a policy would be needed only for what comes from elsewhere.
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$work/policy.json"

in_storage() { buildah --log-level error --root "$work/storage" --runroot "$work/run" --storage-driver overlay "$@"; }

make_base() {
  local container
  container=$(in_storage from scratch)
  in_storage add -q "$container" "$debian" / >/dev/null
  in_storage commit -q --signature-policy "$work/policy.json" "$container" localhost/debian-base >/dev/null
  in_storage rm "$container" >/dev/null
}

build_image() {
  with_progress "building the image of the $1" in_storage bud --signature-policy "$work/policy.json" --pull-never --network host \
    --build-arg BASE=localhost/debian-base -f "$LOCKSTEP_SOURCE/deploy/images/$1.Containerfile" \
    -t "localhost/lockstep-$1" "$work/context" || exit 1
}

# config IMAGE FIELD: as Go templates name it.
config() { in_storage inspect --type image --format "{{$2}}" "localhost/lockstep-$1"; }

# size CONTAINER: of its files, in MiB.
size() {
  local mounted
  mounted=$(in_storage mount "$1")
  du -sxm --apparent-size "$mounted" | cut -f1
}

check_size() {
  local base added
  base=$(du -sxm --apparent-size "$debian" | cut -f1)
  added=$(($(size "$2") - base))
  say "   image of the $1: the Debian's $base MiB and $added MiB more"
  ((added <= max_added)) || fail "the image of the $1 adds $added MiB to its base, more than $max_added"
}

# What a container's process is let do: as the image says who it is.
run_in() {
  local container=$1
  shift
  in_storage run --network host "$container" -- "$@"
}

answers() { run_in "$1" lockstep status --output json >"$work/status.json" 2>"$work/status.log"; }

check_broker() {
  local container server
  expect "the broker's user" "$broker_user:$broker_user" "$(config broker .OCIv1.Config.User)"
  expect "the broker's entrypoint" "[/usr/sbin/lockstep-broker]" "$(config broker .OCIv1.Config.Entrypoint)"
  container=$(in_storage from --pull-never --signature-policy "$work/policy.json" localhost/lockstep-broker)
  check_size broker "$container"
  expect "who runs in it" "$broker_user" "$(run_in "$container" id -u)"
  expect "lockstep-broker --version" "$version" "$(run_in "$container" lockstep-broker --version)"
  run_in "$container" lockstep-broker --check || fail "lockstep-broker --check refuses its defaults"
  # As it will run: with its journal and its socket, by a user that may write nowhere else.
  run_in "$container" lockstep-broker >"$work/broker.log" 2>&1 &
  server=$!
  wait_for 20 "the broker in its container to answer" answers "$container" || fail "$(cat "$work/broker.log" "$work/status.log")"
  grep -q '"agents"' "$work/status.json" || fail "lockstep status in the container says: $(<"$work/status.json")"
  run_in "$container" test -s /var/lib/lockstep/journal.db || fail "the broker keeps no journal"
  kill "$server"
  wait "$server" || true
  in_storage rm "$container" >/dev/null
}

check_agent() {
  local container
  expect "the agent's user" 0:0 "$(config agent .OCIv1.Config.User)"
  expect "the agent's entrypoint" "[/usr/sbin/lockstep-agent]" "$(config agent .OCIv1.Config.Entrypoint)"
  container=$(in_storage from --pull-never --signature-policy "$work/policy.json" localhost/lockstep-agent)
  check_size agent "$container"
  expect "lockstep-agent --version" "$version" "$(run_in "$container" lockstep-agent --version)"
  run_in "$container" lockstep-agent --node --check || fail "lockstep-agent --node --check refuses its defaults"
  run_in "$container" lockstep-agent --pod self --check || fail "lockstep-agent --pod self --check refuses its defaults"
  run_in "$container" /usr/bin/lockstep-hook --version | grep -qF "$version" || fail "the agent's image has no hook"
  in_storage rm "$container" >/dev/null
}

step "the package and a base image"
make_package "$build" "$work/package" >/dev/null
cp "$work"/package/*.deb "$work/context/"
make_base
step "the broker's image"
build_image broker
check_broker
step "the agent's image"
build_image agent
check_agent
say "passed"
