#!/usr/bin/env bash
# podman_path_test.sh BIN: does what deploy/README.md says in its section on Podman: takes the commands out of it and runs
# them as they stand, with the programs of the folder BIN in PATH, and looks at what has come of them.
#
# All of it lives in namespaces of this test: /etc and /var/lib are overlays, /run is a tmpfs, the network is its own. systemd
# is not there: `systemctl` is stand_in_systemctl.sh. LOCKSTEP_CRIU names the CRIU that runc is to find.
set -euo pipefail
# Not followed: shellcheck 0.9 takes minutes and gigabytes for the two together.
# shellcheck source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../packages/lib.sh"

need_root
need_programs podman runc conmon unshare
if [[ ${1-} != --inside ]]; then
  (($# == 1)) || die "usage: podman_path_test.sh BIN"
  [[ -n ${LOCKSTEP_CRIU-} ]] || die "LOCKSTEP_CRIU is not set: start this test with tests/run.sh"
  exec unshare --mount --propagation private --net --pid --fork --kill-child --mount-proc bash "$0" --inside "$1"
fi
bin=$(realpath "$2")
work=$(mktemp -d)

clean_up() {
  local status=$?
  trap - EXIT
  # Containers' cgroups are the machine's, all else ends with the namespaces.
  timeout 60 podman pod rm --force --all --time 0 >/dev/null 2>&1 || true
  umount -R -l "$work" 2>/dev/null || true
  rmdir "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# over DIR: what is written there stays in this test.
over() {
  local name=${1//\//-}
  mkdir -p "$work/layers/$name"/{upper,work}
  mount -t overlay -o "lowerdir=$1,upperdir=$work/layers/$name/upper,workdir=$work/layers/$name/work" lockstep-test "$1"
}

make_machine() {
  mount -t tmpfs -o size=2g,mode=755 lockstep-test "$work"
  mount -t tmpfs -o mode=755 lockstep-test /run
  over /etc
  over /var/lib
  rm -rf /etc/criu /etc/lockstep /var/lib/lockstep
  ip link set lo up
  mkdir "$work"/{bin,shop,images,services}
  ln -s "$(realpath "$(dirname "${BASH_SOURCE[0]}")")/stand_in_systemctl.sh" "$work/bin/systemctl"
  export PATH=$work/bin:$bin:${LOCKSTEP_CRIU%/*}:/usr/sbin:/usr/bin:/sbin:/bin
  export LOCKSTEP_SERVICES=$work/services
  configure_podman
}

# What an administrator has done before: where limits can't be raised, and cgroups are nobody's but ours.
configure_podman() {
  local files processes
  files=$(ulimit -Hn) processes=$(ulimit -Hu)
  [[ $processes != unlimited ]] || processes=4096
  cat >/etc/containers/containers.conf <<CONF
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=$processes:$processes"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
conmon_env_vars = ["PATH=$PATH"]
[network]
network_backend = "netavark"
CONF
  cat >/etc/containers/storage.conf <<CONF
[storage]
driver = "overlay"
graphroot = "$work/store"
runroot = "/run/containers/storage"
CONF
}

# make_image NAME PROGRAM CHANGE…: of one program and the libraries that it needs.
make_image() {
  local name=$1 program=$2 library
  local -a changes=()
  shift 2
  mkdir -p "$work/images/$name"/{dev,etc,proc,run,sys,tmp,usr/bin}
  cp "$program" "$work/images/$name/usr/bin/"
  while read -r library; do
    install -D "$library" "$work/images/$name$library"
  done < <(ldd "$program" | grep -o '/[^ ]*' | grep -v ':$')
  for change in "$@"; do changes+=(--change "$change"); done
  tar -C "$work/images/$name" -cf - . | podman import "${changes[@]}" - "localhost/$name" >"$work/import.log" 2>&1 ||
    fail "$(<"$work/import.log")"
}

make_images() {
  local status='"--rate", "500", "--status", "/tmp/status.json"'
  make_image shop-database "$bin/lockstep-traffic" \
    "CMD [\"/usr/bin/lockstep-traffic\", \"serve\", \"--port\", \"9000\", $status]"
  make_image shop-web "$bin/lockstep-traffic" \
    "CMD [\"/usr/bin/lockstep-traffic\", \"connect\", \"--to\", \"10.89.8.10:9000\", \"--connections\", \"3\", $status]"
  make_image lockstep-agent "$bin/lockstep-agent" 'ENTRYPOINT ["/usr/bin/lockstep-agent"]'
}

# The fenced blocks of the section on Podman, each into a file.
extract_blocks() {
  awk -v dir="$work" '
    /^## / { inside = ($0 == "## Podman") }
    inside && /^```/ { open = !open; if (open) ++count; next }
    inside && open { print >(dir "/block." count) }' "$LOCKSTEP_SOURCE/deploy/README.md"
}

# run_block WHAT WORD: the next block; it has to be about WORD, so that nobody's reordering goes unnoticed.
block=0
run_block() {
  ((block += 1))
  step "block $block of the section: $1"
  grep -q -- "$2" "$work/block.$block" || fail "block $block is not about $2: $(<"$work/block.$block")"
  (cd "$work/shop" && bash -euxo pipefail "$work/block.$block") >"$work/block.log" 2>&1 ||
    fail "it fails: $(tail -n 40 "$work/block.log" "$work"/services/*.log)"
}

status_of() { echo "/proc/$(podman container inspect "$1" --format '{{.State.Pid}}')/root/tmp/status.json"; }

# flows OPTION…: every connection, no message lost, doubled or out of order.
flows() {
  lockstep-traffic-check --quiet --messages 300 --wait 20 --server "$(status_of shop-database)" \
    --client "$(status_of shop-web)" --expect 3 "$@" >&2 || fail "the application does not go on"
}

# Every round that was opened has ended well: as many as the section has of them.
check_rounds() {
  local opened complete
  opened=$(cat "$work"/block.[0-9]* | grep -Ec '^lockstep (checkpoint|restore) ')
  complete=$(lockstep history --output json | grep -c '"state": "complete"')
  expect "rounds of the history that are complete" "$opened" "$complete"
}

check_sidecars() {
  local round agents
  round=$(lockstep history --limit 1 --output json | sed -n 's/.*"round": "\(.*\)",/\1/p')
  agents=$(lockstep show "$round" --output json | sed -n 's,.*"agent": "\([a-z]*\)/.*,\1,p' | sort -u | xargs)
  expect "agents that took part in the last round" "database web" "$agents"
}

check_nothing_is_left() {
  expect "containers left" "" "$(podman ps --all --quiet)"
  expect "pods left" "" "$(podman pod ps --quiet)"
  ! podman network exists shop || fail "the network is left"
  [[ ! -e /etc/criu/runc.conf ]] || fail "runc's configuration is left: $(</etc/criu/runc.conf)"
  local pids
  for pids in "$work"/services/*.pid; do
    [[ ! -e /proc/$(<"$pids") ]] || fail "a daemon still runs: ${pids##*/}"
  done
}

make_machine
make_images
extract_blocks
run_block "setting up" "lockstep setup"
grep -q "^action-script $bin/lockstep-hook$" /etc/criu/runc.conf || fail "runc does not hear of the hook: $(</etc/criu/runc.conf)"
run_block "the application" "podman network create"
wait_for 10 "the application" test -e "$(status_of shop-web)"
flows --remember "$work/connections"
run_block "checkpoints" "lockstep checkpoint"
flows --recall "$work/connections"
run_block "back to the archives" "podman rm"
flows --recall "$work/connections"
run_block "keys and sidecars" "lockstep keys init"
flows --recall "$work/connections"
check_sidecars
check_rounds
run_block "taking it away" "podman pod rm"
check_nothing_is_left
((block == $(find "$work" -name 'block.[0-9]*' | wc -l))) || fail "the section has more blocks than this test runs"
say "passed"
