#!/usr/bin/env bash
# What demo.sh shows: the pods, the application, the two rounds, the verdict. demo.sh starts it, and cleans up after it.
#   demo_rounds.sh WORK PREFIX CONNECTIONS
# Needs LOCKSTEP_BIN and LOCKSTEP_CRIU, and to run under lockstep-keeper.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

work=$1
prefix=$2
connections=$3
readonly port=9000
faults=0

headline() { printf '\n%s\n' "$*"; }

# start NETNS LOG COMMAND…: in a session of its own, as CRIU wants it. Only its network namespace differs: a mount
# namespace, as `ip netns exec` makes one, could not be dumped, nor could whatever the caller has left open. The subshell
# waits, so that a dumped tree's pids are free, and keeps to itself that CRIU killed it.
start() {
  local netns=$1 log=$2
  shift 2
  (close_inherited; nsenter --net="/run/netns/$netns" setsid "$@" </dev/null >"$work/$log" 2>&1 || true) 2>/dev/null &
}

make_pods() {
  local n=0 pod
  ip netns add "$prefix-hub"
  ip -n "$prefix-hub" link set lo up
  ip -n "$prefix-hub" link add br0 type bridge mcast_snooping 0
  ip -n "$prefix-hub" addr add 10.77.0.1/24 dev br0
  ip -n "$prefix-hub" addr add fd77::1/64 dev br0 nodad
  ip -n "$prefix-hub" link set br0 up
  for pod in a b; do
    n=$((n + 1))
    ip netns add "$prefix-$pod"
    ip -n "$prefix-hub" link add "port-$pod" type veth peer name eth0 netns "$prefix-$pod"
    ip -n "$prefix-hub" link set "port-$pod" master br0 up
    ip -n "$prefix-$pod" link set lo up
    ip -n "$prefix-$pod" addr add "10.77.0.1$n/24" dev eth0
    ip -n "$prefix-$pod" addr add "fd77::1$n/64" dev eth0 nodad
    ip -n "$prefix-$pod" link set eth0 up
  done
}

write_config() {
  local pod
  mkdir -p "$work/run"
  "$LOCKSTEP_BIN/lockstep" keys init --keys "$work/keys" >"$work/keys.log"
  "$LOCKSTEP_BIN/lockstep" keys add agent --role agent --node demo --keys "$work/keys" >>"$work/keys.log"
  cat >"$work/broker.yaml" <<YAML
listen: [tcp://10.77.0.1:7600, ipc://$work/run/broker]
journal: $work/journal.db
keys: $work/keys
YAML
  for pod in a b; do
    cat >"$work/agent-$pod.yaml" <<YAML
broker: tcp://10.77.0.1:7600
key: $work/keys/agent.key
name: agent-$pod
socket_dir: $work/run
YAML
  done
  cat >"$work/group.yaml" <<YAML
group: demo
broker: ipc://$work/run/broker
socket_dir: $work/run
criu: $LOCKSTEP_CRIU
members:
  - { id: server, pidfile: server.pid, images: images/server }
  - { id: client, pidfile: client.pid, images: images/client }
YAML
}

agents_are_known() {
  local status
  status=$("$LOCKSTEP_BIN/lockstep" status --broker "ipc://$work/run/broker" --output json 2>/dev/null) || return
  [[ $status == *'"agent-a"'* && $status == *'"agent-b"'* ]]
}

start_lockstep() {
  local pod
  start "$prefix-hub" broker.log "$LOCKSTEP_BIN/lockstep-broker" --config "$work/broker.yaml"
  for pod in a b; do
    start "$prefix-$pod" "agent-$pod.log" "$LOCKSTEP_BIN/lockstep-agent" --config "$work/agent-$pod.yaml" --pod self
  done
  if ! wait_for 10 "both agents at the broker" agents_are_known; then
    tail -n 5 "$work"/broker.log "$work"/agent-?.log >&2
    return 1
  fi
}

start_application() {
  start "$prefix-a" server.log "$LOCKSTEP_BIN/lockstep-traffic" serve --port "$port" \
    --status "$work/server.json" --pidfile "$work/server.pid"
  wait_for 10 "the server" test -e "$work/server.pid"
  start "$prefix-b" client.log "$LOCKSTEP_BIN/lockstep-traffic" connect --connections "$connections" \
    --to "10.77.0.11:$port" --to "[fd77::11]:$port" --status "$work/client.json" --pidfile "$work/client.pid"
  wait_for 10 "the client" test -e "$work/client.pid"
}

# check OPTION…: the judge, on all connections.
check() {
  "$LOCKSTEP_BIN/lockstep-traffic-check" --server "$work/server.json" --client "$work/client.json" \
    --expect $((2 * connections)) "$@"
}

# judge WHAT OPTION…: prints the table and what it comes to.
judge() {
  local what=$1
  shift
  if check "$@"; then
    printf '  ok: %s\n' "$what"
  else
    printf '  BAD: not so: %s\n' "$what"
    faults=$((faults + 1))
  fi
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

both_are_gone() { is_gone "$1" && is_gone "$2"; }

kill_and_restore() {
  local server client
  server=$(<"$work/server.pid") client=$(<"$work/client.pid")
  headline "1. checkpoint (dump and kill)"
  "$LOCKSTEP_BIN/lockstep" checkpoint "$work/group.yaml" || return
  wait_for 10 "the dumped processes to be gone" both_are_gone "$server" "$client" || return
  headline "   restore"
  "$LOCKSTEP_BIN/lockstep" restore "$work/group.yaml" || return
  judge "every connection goes on after the restore, no message lost, doubled or out of order" \
    --recall "$work/connections"
}

leave_running() {
  headline "2. checkpoint --leave-running"
  rm -rf "$work/images"
  "$LOCKSTEP_BIN/lockstep" checkpoint "$work/group.yaml" --leave-running || return
  judge "every connection goes on while the images are kept, no message lost, doubled or out of order" \
    --recall "$work/connections"
}

# The client says goodbye, the server answers: then both can be compared to the last message.
finish() {
  headline "3. the end: every message that was ever sent"
  kill -TERM "$(<"$work/client.pid")"
  judge "each end has received exactly what the other one sent" --recall "$work/connections" --finished
}

# Ends agents and broker, which must leave no table of theirs in the pods.
tables_are_gone() {
  local pod
  for pod in a b; do
    [[ -z $(nsenter --net="/run/netns/$prefix-$pod" nft list tables) ]] || return
  done
}

stop_lockstep() {
  local name
  for name in agent broker; do
    pids_of "$LOCKSTEP_BIN/lockstep-$name" "$work" | while read -r pid; do kill -TERM "$pid"; done
  done
  if wait_for 5 "the agents to remove their tables" tables_are_gone; then
    printf '  ok: no table is left in the pods\n'
  else
    printf '  BAD: a table is left in a pod\n'
    faults=$((faults + 1))
  fi
}

# pids_of PROGRAM WORK: the processes of this demo, which name its folder on their command line.
pids_of() {
  local file
  local -a words
  for file in /proc/[0-9]*/cmdline; do
    mapfile -d '' words 2>/dev/null <"$file" || continue
    [[ ${words[0]:-} == "$1" && "${words[*]}" == *"$2"* ]] && file=${file%/cmdline} && echo "${file#/proc/}"
  done
  return 0
}

main() {
  make_pods
  write_config
  start_lockstep
  start_application
  headline "two pods, $connections connections over IPv4 and $connections over IPv6, messages both ways as fast as they go"
  check --quiet --remember "$work/connections" || die "the application does not work by itself"
  kill_and_restore || faults=$((faults + 1))
  if ((faults == 0)); then leave_running || faults=$((faults + 1)); fi
  if ((faults == 0)); then finish; fi
  stop_lockstep
  if ((faults == 0)); then
    headline "verdict: GOOD: the application was checkpointed and restored as one, and noticed nothing"
  else
    headline "verdict: BAD: see above"
    exit 1
  fi
}

main
