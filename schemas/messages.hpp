/// Every message of lockstep, as plain structs. PROTOCOL.md tells who sends what, when, and what it means; codec.hpp
/// turns them into bytes and back. This header names no socket and no encoding, so that the pure cores can use it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "common/ids.hpp"
#include "schemas/connection_report.hpp"
#include "schemas/connections.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// The version of the message format. A peer of another version is refused, never guessed at.
inline constexpr std::uint8_t kProtocolVersion = 2;
/// The oldest version that is still read from disks. A struct that has got fields since says in `kOldFields` how many
/// it had; those that are not there keep their defaults.
inline constexpr std::uint8_t kOldestKeptVersion = 1;

enum class Operation : std::uint8_t { dump, restore };

/// The barriers of a round. A dump passes prepare, lock, commit, unlock; a restore passes prepare, lock, commit, resume.
enum class Phase : std::uint8_t { prepare, lock, commit, unlock, resume };

inline constexpr std::size_t kPhasesPerRound = 4;
inline constexpr std::array<Phase, kPhasesPerRound> kDumpPhases{Phase::prepare, Phase::lock, Phase::commit, Phase::unlock};
inline constexpr std::array<Phase, kPhasesPerRound> kRestorePhases{Phase::prepare, Phase::lock, Phase::commit, Phase::resume};

[[nodiscard]] constexpr const std::array<Phase, kPhasesPerRound>& phases_of(Operation operation) {
  return operation == Operation::dump ? kDumpPhases : kRestorePhases;
}

/// Places in phases_of(), of either operation.
inline constexpr std::size_t kPrepare = 0;
inline constexpr std::size_t kLock = 1;
inline constexpr std::size_t kCommit = 2;
inline constexpr std::size_t kFinal = 3;  ///< unlock, or resume
[[nodiscard]] constexpr std::size_t place_of(Phase phase) {
  return phase == Phase::resume ? kFinal : static_cast<std::size_t>(phase);
}

/// CRIU's action-script actions (criu/include/action-scripts.h) that lockstep acts on; the others pass at once.
enum class HookAction : std::uint8_t {
  pre_dump, network_lock, post_dump, network_unlock, pre_restore, setup_namespaces, post_restore,
};

/// What a barrier or a round has come to.
enum class Verdict : std::uint8_t { go, abort };

/// Opaque bytes that a message carries along.
struct Blob {
  std::string bytes;
  [[nodiscard]] bool empty() const { return bytes.empty(); }
  auto operator<=>(const Blob&) const = default;
};

/// Who is speaking: decides which messages the broker takes from a peer.
enum class Role : std::uint8_t { agent, relay, client };

// --- everyone -> broker, and back -----------------------------------------------------------------------------------

/// First message of every peer. An agent that names pods owns them; with `whole_node` it owns every pod of its boot id
/// that nobody else has named. A relay owns none: it only carries hooks.
struct Hello {
  Role role = Role::client;
  std::string name;                       ///< for people: host name, pod name
  std::string boot_id;
  std::vector<std::uint64_t> pods;        ///< namespace inodes
  bool whole_node = false;
  std::vector<RoundId> held_rounds;        ///< rounds that it has to do with
  std::vector<RoundId> found_rounds = {};  ///< of these: whose locks a former life of it has left armed
  static auto fields(auto& self) {
    return std::tie(self.role, self.name, self.boot_id, self.pods, self.whole_node, self.held_rounds,
                    self.found_rounds);
  }
};

/// The broker's answer to Hello.
struct Welcome {
  std::string broker;                     ///< changes with every start of the broker
  std::uint32_t heartbeat_ms = 0;         ///< how often to send Heartbeat
  std::uint32_t silence_ms = 0;           ///< either side takes the other for dead after this long without a word
  std::uint64_t published = 0;            ///< number of the newest message on PUB
  static auto fields(auto& self) { return std::tie(self.broker, self.heartbeat_ms, self.silence_ms, self.published); }
};

/// Sent by agents each `heartbeat_ms`, echoed by the broker. The broker answers with an extra Release for each round
/// listed that is over or that it does not know: a lock cannot outlast a missed abort by more than one heartbeat.
struct Heartbeat {
  std::vector<RoundId> held_rounds;
  static auto fields(auto& self) { return std::tie(self.held_rounds); }
};

/// The broker's answer to what it can't take: malformed, not permitted, unknown, in conflict.
struct Refused {
  std::string reason;
  bool say_hello = false;                 ///< the broker does not know this peer (it was restarted): begin again
  static auto fields(auto& self) { return std::tie(self.reason, self.say_hello); }
};

// --- agent (as relay of a hook) -> broker ---------------------------------------------------------------------------

/// CRIU has run the action script of one member. Sent again, with the same sequence number, until a Release answers it.
struct HookEvent {
  HookAction action = HookAction::pre_dump;
  PodId pod;                              ///< the tree's namespace; in pre-restore: the target's, when known
  std::int32_t criu_pid = 0;              ///< as the host sees it
  std::uint64_t criu_start = 0;           ///< field 22 of /proc/PID/stat: clock ticks since boot
  std::int32_t root_pid = 0;              ///< CRTOOLS_INIT_PID; 0: not told
  std::string container;                  ///< container id out of the tree's cgroup path; may be empty
  std::vector<std::uint64_t> socket_inodes;  ///< network-lock, post-restore: the sockets that the tree's processes hold
  Blob record;                            ///< pre-restore only: the record found in the images folder
  /// Said again over another connection by a hook whose vote may be out: it may not be answered with an abort that is
  /// not the broker's.
  bool in_doubt = false;
  std::string pod_uid{};  ///< Kubernetes' uid of its pod, out of the same path; may be empty
  /// Members that this one says it belongs with, where a configuration of the hook's own tells (the envelope's member
  /// is its id, its group is empty): the group is the set that these connect.
  std::vector<MemberId> dependencies{};
  static auto fields(auto& self) {
    return std::tie(self.action, self.pod, self.criu_pid, self.criu_start, self.root_pid, self.container,
                    self.socket_inodes, self.record, self.in_doubt, self.pod_uid, self.dependencies);
  }
};

/// The hook has gone (its process was killed) before it had its answer.
struct HookGone {
  HookAction action = HookAction::pre_dump;
  static auto fields(auto& self) { return std::tie(self.action); }
};

/// A CRIU whose hooks this agent has carried has ended. Said once, by agents that can see its process.
struct CriuGone {
  std::int32_t criu_pid = 0;
  std::uint64_t criu_start = 0;
  static auto fields(auto& self) { return std::tie(self.criu_pid, self.criu_start); }
};

// --- broker -> agent ------------------------------------------------------------------------------------------------

/// What the agent has to do for one member before the phase's barrier can open. Obeying it again changes nothing.
///   prepare  make the pod's lock table ready, clear what an earlier agent left; on restore also see to it that nothing
///            is in the way of `sockets`
///   lock     arm the lock for this member, then read addresses and, on dump, the member's sockets and what translates
///            their addresses
///   commit   on dump: have the hook store `record`; on restore: close `sockets`, then read what the member holds
///   unlock, resume  let go of the lock for this member
struct Order {
  Phase phase = Phase::prepare;
  Operation operation = Operation::dump;
  PodId pod;
  std::int32_t root_pid = 0;
  std::string netns_path;                 ///< a path to the namespace where a member names one; else by root_pid
  std::uint32_t lease_ms = 0;             ///< the lock opens by itself when nobody renews it for this long
  std::vector<std::uint64_t> socket_inodes;
  Blob record;
  SocketTable sockets{};                  ///< restore: prepare: all that come back; commit: those to be closed
  std::vector<InterfaceAddress> addresses{};  ///< prepare of a restore: the pod's at the dump
  static auto fields(auto& self) {
    return std::tie(self.phase, self.operation, self.pod, self.root_pid, self.netns_path, self.lease_ms,
                    self.socket_inodes, self.record, self.sockets, self.addresses);
  }
};

/// A barrier has opened, or the round is over. On PUB to everybody, and over ROUTER to whoever asks again.
/// A `go` of the commit phase is the round's decision, but where it is `early`.
struct Release {
  Operation operation = Operation::dump;
  Phase phase = Phase::prepare;
  Verdict verdict = Verdict::abort;
  std::string reason;  ///< abort: why
  MemberId culprit;    ///< abort: whose fault; may be empty
  bool over = false;   ///< nothing of this round may stay locked
  /// Go, to one member of a serial round, whose hook must not wait for those that come after it in its pod. It decides
  /// nothing, and opens no lock.
  bool early = false;
  static auto fields(auto& self) {
    return std::tie(self.operation, self.phase, self.verdict, self.reason, self.culprit, self.over, self.early);
  }
};

/// Answer to a repeated HookEvent or Ready whose barrier has not opened.
struct Pending {
  Phase phase = Phase::prepare;
  std::uint32_t remaining_ms = 0;         ///< until the phase's deadline
  static auto fields(auto& self) { return std::tie(self.phase, self.remaining_ms); }
};

// --- agent -> broker ------------------------------------------------------------------------------------------------

/// The order of this phase is done for this member, or can't be. An order that comes again is answered again. Said
/// unasked with phase lock and !ok when an armed lock has been lost, and with phase unlock when the last socket of a
/// killed member has gone and its share of the lock has been given back (then at each heartbeat, until the round is over).
struct Ready {
  Phase phase = Phase::prepare;
  bool ok = false;
  std::string reason;                     ///< where !ok: what failed, and what to do
  std::vector<InterfaceAddress> addresses;  ///< phase lock
  SocketTable sockets;                    ///< phase lock of a dump, commit of a restore: the member's own
  ClosedConnections closed{};             ///< commit of a restore
  std::vector<std::string> notes{};       ///< what an operator may want to know: stale state that was cleared
  std::vector<NatEntry> nat{};            ///< phase lock of a dump: what translates connections of `sockets`
  static auto fields(auto& self) {
    return std::tie(self.phase, self.ok, self.reason, self.addresses, self.sockets, self.closed, self.notes, self.nat);
  }
};

// --- command line -> broker -----------------------------------------------------------------------------------------

/// Deadlines of the phases in milliseconds, each counted from the release of the phase before.
struct Deadlines {
  std::uint32_t prepare_ms = 10'000;
  std::uint32_t lock_ms = 10'000;
  std::uint32_t commit_ms = 300'000;
  std::uint32_t finish_ms = 30'000;       ///< unlock, resume
  static auto fields(auto& self) { return std::tie(self.prepare_ms, self.lock_ms, self.commit_ms, self.finish_ms); }
  auto operator<=>(const Deadlines&) const = default;
};

struct RoundMember {
  MemberId id;
  PodId pod;                     ///< dump: where the tree lives; restore: where it shall live
  std::string netns_path;        ///< for a node agent; may be empty
  std::string container;         ///< container id or a prefix of it; may be empty
  ConnectionPolicy policy{};     ///< what differs from the round's
  bool frozen_commands = false;  ///< the client has commands for the frozen point: no vote before they are done
  std::string pod_uid{};         ///< Kubernetes' uid of its pod, where that is what names it; may be empty
  static constexpr std::size_t kOldFields = 6;
  static auto fields(auto& self) {
    return std::tie(self.id, self.pod, self.netns_path, self.container, self.policy, self.frozen_commands,
                    self.pod_uid);
  }
};

/// How a runtime dumps the members of one pod: all at once, or each only when the one before is done. `detect`: taken
/// for serial when one member of a pod waits and the next does not come.
enum class MemberOrder : std::uint8_t { detect, parallel, serial };

/// Begins a round. The opener makes the id, so that a repeated OpenRound opens nothing twice. Answer: RoundStatus.
struct OpenRound {
  Operation operation = Operation::dump;
  bool leave_running = false;
  std::vector<RoundMember> members;
  Deadlines deadlines;
  std::uint32_t lease_ms = 15'000;
  ConnectionPolicy policy{};
  MemberOrder order = MemberOrder::detect;
  static constexpr std::size_t kOldFields = 6;
  static auto fields(auto& self) {
    return std::tie(self.operation, self.leave_running, self.members, self.deadlines, self.lease_ms, self.policy,
                    self.order);
  }
};

/// Ends a round that has not been decided. Answer: RoundStatus.
struct AbortRound {
  std::string reason;
  static auto fields(auto& self) { return std::tie(self.reason); }
};

/// How CRIU ended for one member (the envelope's), as whoever started it saw. Answer: RoundStatus.
struct MemberResult {
  bool ok = false;
  std::string detail;                     ///< where !ok: the last lines that explain it
  static auto fields(auto& self) { return std::tie(self.ok, self.detail); }
};

/// When a member's own commands run: before CRIU is started; when every member has been dumped (or restored), and
/// before any vote; when the round is over.
enum class CommandMoment : std::uint8_t { prepare, frozen, resume };
inline constexpr std::size_t kCommandMoments = 3;

enum class CommandState : std::uint8_t { running, succeeded, failed };

/// How one command of a member has ended.
struct CommandResult {
  CommandMoment moment = CommandMoment::prepare;
  std::string command;
  bool ok = false;
  std::uint32_t duration_ms = 0;
  std::string output;                     ///< the end of what it has printed; where !ok preceded by how it ended
  static auto fields(auto& self) {
    return std::tie(self.moment, self.command, self.ok, self.duration_ms, self.output);
  }
};

/// How far the commands of one member (the envelope's) have come. `running` is said again and again while commands at
/// the frozen point run, as a sign of life; the other two once for each moment. Answer: RoundStatus.
struct CommandReport {
  CommandMoment moment = CommandMoment::prepare;
  CommandState state = CommandState::running;
  std::vector<CommandResult> commands;    ///< where not running: all that have been run
  static auto fields(auto& self) { return std::tie(self.moment, self.state, self.commands); }
};

/// Asks for the envelope's round, or with an empty round id for the group's newest. Answer: RoundStatus or Refused.
struct GetRound {
  static auto fields(auto&) { return std::tuple<>{}; }
};

/// Asks for everything. Answer: BrokerStatus.
struct GetStatus {
  static auto fields(auto&) { return std::tuple<>{}; }
};

/// Asks for rounds that have ended, the envelope's group's or, with an empty one, all. Answer: History or Refused.
struct GetHistory {
  std::uint32_t limit = 20;
  static auto fields(auto& self) { return std::tie(self.limit); }
};

enum class RoundState : std::uint8_t {
  open,       ///< undecided
  committed,  ///< decided; members still unlock or resume
  complete,   ///< committed, and nothing of it is left to do
  aborted,
};

/// When one member passed one phase: microseconds since the round was opened, -1 where it has not.
struct PhaseTimes {
  std::int64_t arrived_us = -1;           ///< its hook's event came
  std::int64_t ready_us = -1;             ///< its agent had done its order
  std::int64_t released_us = -1;          ///< the barrier opened
  static auto fields(auto& self) { return std::tie(self.arrived_us, self.ready_us, self.released_us); }
};

enum class CriuOutcome : std::uint8_t { running, succeeded, failed };

struct MemberStatus {
  MemberId id;
  PodId pod;
  std::string agent;                      ///< the name of the agent that owns the pod
  std::array<PhaseTimes, kPhasesPerRound> phases;  ///< in the order of phases_of(operation)
  std::int64_t unlocked_us = -1;          ///< its share of the pod's lock was given back
  std::uint32_t sockets = 0;              ///< in its table at the lock
  CriuOutcome criu = CriuOutcome::running;
  std::string detail;
  ConnectionCounts connections{};         ///< once its sockets have been labelled
  std::vector<std::string> notes{};
  std::vector<CommandResult> commands{};
  static auto fields(auto& self) {
    return std::tie(self.id, self.pod, self.agent, self.phases, self.unlocked_us, self.sockets, self.criu, self.detail,
                    self.connections, self.notes, self.commands);
  }
};

/// A round as the broker sees it. Also on PUB, topic kStatusTopic, at each change.
struct RoundStatus {
  Operation operation = Operation::dump;
  bool leave_running = false;
  RoundState state = RoundState::open;
  Phase phase = Phase::prepare;           ///< the barrier that is being waited for
  std::string reason;
  MemberId culprit;
  std::int64_t opened_unix_ms = 0;
  std::vector<MemberStatus> members;
  std::vector<ConnectionDifference> differences{};  ///< of a restore; the first kMaxDifferences
  /// When every member had come to its vote and the commands at the frozen point were to run, and when all were done:
  /// microseconds since the opening, -1 where that has not been. The client runs them when it sees the first without
  /// the second in an open round.
  std::int64_t hold_begin_us = -1;
  std::int64_t hold_end_us = -1;
  bool serial = false;  ///< its barriers count pods: so opened, or so detected
  static constexpr std::size_t kOldFields = 11;
  static auto fields(auto& self) {
    return std::tie(self.operation, self.leave_running, self.state, self.phase, self.reason, self.culprit,
                    self.opened_unix_ms, self.members, self.differences, self.hold_begin_us, self.hold_end_us,
                    self.serial);
  }
};

struct AgentStatus {
  std::string name;
  Role role = Role::agent;
  std::string boot_id;
  std::vector<std::uint64_t> pods;
  bool whole_node = false;
  std::uint32_t last_heard_ms = 0;
  static auto fields(auto& self) {
    return std::tie(self.name, self.role, self.boot_id, self.pods, self.whole_node, self.last_heard_ms);
  }
};

struct RoundSummary {
  RoundId id;
  GroupId group;
  Operation operation = Operation::dump;
  RoundState state = RoundState::open;
  Phase phase = Phase::prepare;
  std::uint32_t members = 0;
  std::int64_t opened_unix_ms = 0;
  std::string reason;
  MemberId culprit;
  static auto fields(auto& self) {
    return std::tie(self.id, self.group, self.operation, self.state, self.phase, self.members, self.opened_unix_ms,
                    self.reason, self.culprit);
  }
};

/// What has been counted since the broker started.
struct Counters {
  std::uint64_t messages = 0;
  std::uint64_t malformed = 0;            ///< could not be decoded, or broke a limit
  std::uint64_t refused = 0;              ///< decoded, and not permitted or not sensible
  std::uint64_t unroutable = 0;           ///< for a peer that was gone or did not read
  std::uint64_t rounds_opened = 0;
  std::uint64_t rounds_committed = 0;
  std::uint64_t rounds_aborted = 0;
  std::uint64_t unauthenticated = 0;      ///< connections turned away: no key, a wrong or revoked one, a wrong user
  std::uint64_t forbidden = 0;            ///< messages that their sender's key or role does not allow
  static auto fields(auto& self) {
    return std::tie(self.messages, self.malformed, self.refused, self.unroutable, self.rounds_opened,
                    self.rounds_committed, self.rounds_aborted, self.unauthenticated, self.forbidden);
  }
};

struct BrokerStatus {
  std::string broker;
  std::int64_t up_ms = 0;
  std::vector<AgentStatus> agents;
  std::vector<RoundSummary> rounds;       ///< newest first
  Counters counters;
  static auto fields(auto& self) { return std::tie(self.broker, self.up_ms, self.agents, self.rounds, self.counters); }
};

struct History {
  std::vector<RoundSummary> rounds;       ///< newest first
  static auto fields(auto& self) { return std::tie(self.rounds); }
};

// --- hook <-> agent, over the unix socket ---------------------------------------------------------------------------

/// Agent to hook, each second while it has to wait: the agent and its broker are alive.
struct Alive {
  static auto fields(auto&) { return std::tuple<>{}; }
};

/// Agent to hook, in post-dump: write these bytes next to the images, under a temporary name.
struct Store {
  Blob record;
  static auto fields(auto& self) { return std::tie(self.record); }
};

/// Hook to agent: the record is in the images folder under its temporary name (or could not be written).
struct Stored {
  bool ok = false;
  std::string reason;
  static auto fields(auto& self) { return std::tie(self.ok, self.reason); }
};

/// Agent to hook, last: on go the hook gives the record its final name and exits with 0.
struct Answer {
  Verdict verdict = Verdict::abort;
  std::string reason;
  static auto fields(auto& self) { return std::tie(self.verdict, self.reason); }
};

// --------------------------------------------------------------------------------------------------------------------

/// One of all. The position in this list is the type's number on the wire: append, never reorder.
using Body = std::variant<Hello, Welcome, Heartbeat, Refused, HookEvent, HookGone, Order, Release, Pending, Ready,
                          OpenRound, AbortRound, MemberResult, GetRound, GetStatus, RoundStatus, BrokerStatus,
                          Alive, Store, Stored, Answer, GetHistory, History,
                          CriuGone, CommandReport>;

/// A message: what it concerns, its number, and its body.
struct Message {
  RoundId round;      ///< empty in messages that concern no round
  GroupId group;
  MemberId member;
  /// A sender numbers its messages upward from 1; a message that is sent again keeps its number, and an answer
  /// carries the number of what it answers (0 when it answers nothing). On PUB: the broker's publication number.
  std::uint64_t sequence = 0;
  Body body;
};

/// The most differences that a status carries: who has more has another problem.
inline constexpr std::size_t kMaxDifferences = 100;
/// Bytes of a command's output that are kept with the round.
inline constexpr std::size_t kCommandOutput = 1024;
/// The most commands of one member.
inline constexpr std::size_t kMaxCommands = 16;

/// PUB topics: the first frame of a published message.
inline constexpr std::string_view kReleaseTopic = "release";
inline constexpr std::string_view kStatusTopic = "status";

/// What the record of a serial pod's last member holds of one that went before it: that one's own record was written
/// when not all sockets of the round were known.
struct EarlierMember {
  MemberId member;
  SocketTable sockets;
  SocketLabels labels{};  ///< as in Record
  static auto fields(auto& self) { return std::tie(self.member, self.sockets, self.labels); }
};

/// What a member leaves in its images folder at the commit of a dump: proof of which round the images belong to.
struct Record {
  RoundId round;
  GroupId group;
  MemberId member;
  std::vector<MemberId> members;          ///< of the whole round
  PodId pod;
  std::int32_t root_pid = 0;
  bool leave_running = false;
  std::int64_t opened_unix_ms = 0;
  std::vector<InterfaceAddress> addresses;
  SocketTable sockets;
  SocketLabels labels{};  ///< parallel to `sockets`; their peers are places in `members`
  /// Written before the round was decided (an earlier member of a serial pod): proves nothing alone, and counts only
  /// beside a record of the same round that has it among its `earlier`.
  bool conditional = false;
  std::vector<EarlierMember> earlier{};
  static constexpr std::size_t kOldFields = 10;
  static auto fields(auto& self) {
    // Without `members`: its encoding is the same for all records of a round (codec.hpp, RecordWriter).
    return std::tie(self.round, self.group, self.member, self.pod, self.root_pid, self.leave_running,
                    self.opened_unix_ms, self.addresses, self.sockets, self.labels, self.conditional, self.earlier);
  }
};

/// The record's file in the images folder, and its name until the round has committed.
inline constexpr std::string_view kRecordFile = "lockstep.record";
inline constexpr std::string_view kRecordPartFile = "lockstep.record.part";
/// Optional file in the images folder that tells the hook whose images these are: lines `round: …`, `group: …`,
/// `member: …`.
inline constexpr std::string_view kMemberFile = "lockstep.member";

// --- words for logs, tables and JSON --------------------------------------------------------------------------------

[[nodiscard]] std::string_view to_string(Operation operation);
[[nodiscard]] std::string_view to_string(Phase phase);
[[nodiscard]] std::string_view to_string(HookAction action);
[[nodiscard]] std::string_view to_string(Verdict verdict);
[[nodiscard]] std::string_view to_string(Role role);
[[nodiscard]] std::string_view to_string(RoundState state);
[[nodiscard]] std::string_view to_string(MemberOrder order);
[[nodiscard]] std::string_view to_string(CommandMoment moment);
[[nodiscard]] std::string_view to_string(CriuOutcome outcome);
[[nodiscard]] std::string_view to_string(TcpState state);
/// The message type's name: "HookEvent".
[[nodiscard]] std::string_view type_name(const Body& body);
/// CRIU's own name for an action ("network-lock"); nothing for an action that lockstep lets pass.
[[nodiscard]] std::optional<HookAction> hook_action_from(std::string_view criu_name);
/// The barrier that an action belongs to: network-unlock, which CRIU runs at the end of either operation, to unlock.
[[nodiscard]] Phase phase_of(HookAction action);
[[nodiscard]] Operation operation_of(HookAction action);
/// Whether CRIU runs it in such an operation: network-unlock in either.
[[nodiscard]] bool belongs_to(HookAction action, Operation operation);

}  // namespace lockstep
