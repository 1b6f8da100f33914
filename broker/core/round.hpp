/// One round: a coordinated dump or restore of one group, from its opening to its end. The state machine behind
/// schemas/PROTOCOL.md; it touches nothing, and says what is to be done through an Outbox. One thread.
///
///   open ──(prepare, lock)──► commit barrier ──all votes──► committed ──all unlocked or resumed──► complete
///     └─ refusal, failure, deadline, silence, operator ──► aborted
///
/// round.cpp is the round whose members all come at once; round_serial.cpp what is different where the members of a pod
/// come one after another.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/command_hold.hpp"
#include "broker/core/connection_book.hpp"
#include "broker/core/directory.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/outbox.hpp"
#include "broker/core/pod_index.hpp"
#include "common/clock.hpp"
#include "schemas/codec.hpp"
#include "schemas/messages.hpp"

namespace lockstep::broker {

class Round {
 public:
  /// `begin.plan` has passed check_plan(). What is decided already only waits for its members to finish. All time that
  /// counts is `now`.
  Round(JournalRound begin, Journal& journal, TimePoint now);

  // What happens to a round. Each may be told any number of times, in any order, late; `from` is the sender, and
  // `sequence` the number of its message, for the answer.
  void on_hook_event(const MemberId& member, const HookEvent& event, const PeerId& from, std::uint64_t sequence,
                     const Directory& directory, TimePoint now, Outbox& out);
  void on_ready(const MemberId& member, const Ready& ready, const PeerId& from, std::uint64_t sequence,
                const Directory& directory, TimePoint now, Outbox& out);
  void on_hook_gone(const MemberId& member, const HookGone& gone, const PeerId& from, TimePoint now, Outbox& out);
  /// `from` is the agent that has carried its hooks: pids are a machine's own.
  void on_criu_gone(const CriuGone& gone, const PeerId& from, TimePoint now, Outbox& out);
  void on_member_result(const MemberId& member, const MemberResult& result, TimePoint now, Outbox& out);
  /// `from` is the client that runs the commands.
  void on_command_report(const MemberId& member, const CommandReport& report, const PeerId& from,
                         const Directory& directory, TimePoint now, Outbox& out);
  void on_peer_lost(const PeerId& peer, const std::string& name, const std::string& why, TimePoint now, Outbox& out);
  /// An agent that has just started has found the lock that its former life had armed for this round. What is undecided
  /// ends; of a decided round it gets the orders back that it needs to see it through.
  void on_found_lock(const PeerId& from, const std::string& name, const Directory& directory, TimePoint now,
                     Outbox& out);
  /// An agent that had joined says Hello: it has not heard the broker for too long, and may have opened its pods.
  void on_hello_again(const PeerId& peer, const std::string& name, TimePoint now, Outbox& out);
  void on_deadline(TimePoint now, Outbox& out);
  /// Ends an undecided round; after the decision, and while that is in doubt, it changes nothing.
  void abort(const std::string& reason, const MemberId& culprit, TimePoint now, Outbox& out);

  /// Who has opened it, and is told at once when there is something for it to do.
  void set_client(const PeerId& client) { client_ = client; }

  [[nodiscard]] const RoundId& id() const { return id_; }
  [[nodiscard]] const GroupId& group() const { return group_; }
  /// Without its members: status() has them.
  [[nodiscard]] const OpenRound& plan() const { return plan_; }
  [[nodiscard]] RoundState state() const { return state_; }
  [[nodiscard]] bool over() const { return state_ == RoundState::complete || state_ == RoundState::aborted; }
  /// The journal could neither keep the decision nor take it back: the disk may hold it. Nobody is told anything until
  /// it has been taken back.
  [[nodiscard]] bool in_doubt() const { return !doubt_.empty(); }
  /// When on_deadline() wants to be called; none when the round is over.
  [[nodiscard]] std::optional<TimePoint> deadline() const;
  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] bool has_member(const MemberId& member) const { return index_.contains(member); }
  /// It has a member on this machine, or one of whom that is not known.
  [[nodiscard]] bool concerns(const std::string& boot_id) const;
  /// Where the member lives or shall live, as far as it is known by now.
  [[nodiscard]] const PodId& pod_of(const MemberId& member) const { return members_[index_.at(member)].plan.pod; }
  /// Its barriers count pods.
  [[nodiscard]] bool serial() const { return serial_; }
  /// A former broker had decided it: which CRIUs are its members' is not known until they come.
  [[nodiscard]] bool taken_over() const { return taken_over_; }
  /// The member whose container id starts with the plan's, or the other way round; none where it is not exactly one.
  [[nodiscard]] std::optional<MemberId> member_of_container(const std::string& container) const;
  /// The member that is named by its pod alone; none where it is not exactly one.
  [[nodiscard]] std::optional<MemberId> member_of_pod(const std::string& pod_uid) const;
  /// The member whose CRIU the event comes from.
  [[nodiscard]] std::optional<MemberId> member_of_criu(const HookEvent& event) const;
  /// No hook of the member has come, so that none but its first can.
  [[nodiscard]] bool awaits(const MemberId& member) const;
  [[nodiscard]] RoundStatus status() const;
  [[nodiscard]] RoundSummary summary() const;
  /// The Release that tells that the round is over.
  [[nodiscard]] Message over_message() const;
  /// The Release that tells the decision to commit.
  [[nodiscard]] Message decision_message() const;

 private:
  struct Member {
    RoundMember plan;
    PeerId owner;  ///< the agent that got the newest order
    std::string owner_name;
    PeerId relay;  ///< carries this member's hooks
    std::int32_t root_pid = 0;
    std::array<PhaseTimes, kPhasesPerRound> times;
    std::array<bool, kPhasesPerRound> ready{};
    std::int64_t unlocked_us = -1;
    std::vector<std::uint64_t> socket_inodes;
    std::vector<InterfaceAddress> pod_addresses;
    std::vector<std::string> notes;
    std::uint32_t socket_count = 0;
    RoundId images_round;       ///< restore: the round of the record that the images folder held
    std::int32_t criu_pid = 0;  ///< the process whose hooks these are, as its first one told
    std::uint64_t criu_start = 0;
    std::string criu_boot;  ///< of the machine that it runs on
    CriuOutcome criu = CriuOutcome::running;
    std::string detail;
    std::vector<CommandResult> commands;
    std::array<bool, kCommandMoments> commands_told{};
    bool early = false;            ///< serial: others of its pod had not come when it came to its vote
    bool left_early = false;       ///< serial: its CRIU has come to network-unlock after its early go
    bool wants_companion = false;  ///< restore: its record counts only beside another one, which has not come
    TimePoint seen;                ///< when its hook, or the end of its CRIU, was last heard of
  };

  [[nodiscard]] Phase phase() const { return phases_of(plan_.operation)[phase_index_]; }
  [[nodiscard]] Member* find(const MemberId& id);
  [[nodiscard]] std::int64_t since_opened_us(TimePoint now) const;
  [[nodiscard]] Message message(const MemberId& member, std::uint64_t sequence, Body body) const;
  [[nodiscard]] Release release_of(std::size_t phase_index) const;

  /// Why this event belongs to no CRIU of this round, or nothing. Notes the CRIU of the member's first event.
  [[nodiscard]] std::optional<std::string> stranger(Member& member, const HookEvent& event) const;
  /// Why this event can't be now, or nothing.
  [[nodiscard]] std::optional<std::string> objection(Member& member, const HookEvent& event);
  [[nodiscard]] std::optional<std::string> record_objection(Member& member, const HookEvent& event);
  void order(Member& member, std::size_t at, const Directory& directory, TimePoint now, Outbox& out);
  /// The member has come to its vote, and commands have to run before anybody votes.
  void hold(const Member& member, const PeerId& to, std::uint64_t sequence, TimePoint now, Outbox& out);
  [[nodiscard]] Order make_order(const Member& member, Phase phase) const;
  /// The round with the pods as they are known by now.
  [[nodiscard]] JournalRound journal_entry() const;
  [[nodiscard]] Record make_record(const Member& member) const;
  void take_tables(Member& member, const Ready& ready);
  void member_ready(Member& member, std::size_t at, TimePoint now, Outbox& out);
  /// Every member, or of a serial round every pod, has done its part of the current phase.
  [[nodiscard]] bool barrier_is_full() const;
  void open_barrier(TimePoint now, Outbox& out);
  /// The decision could not be kept: aborts when that is sure, else tries again later.
  void take_back(TimePoint now, Outbox& out);
  void finish(TimePoint now, Outbox& out);
  void order_unlock(Member& member, TimePoint now, Outbox& out);
  void answer_again(const Member& member, std::size_t phase_index, const PeerId& to, std::uint64_t sequence,
                    TimePoint now, Outbox& out);
  /// Answers one hook with abort; the round is decided, and goes on.
  void refuse_hook(const MemberId& member, const HookEvent& event, const std::string& reason, const PeerId& to,
                   std::uint64_t sequence, Outbox& out) const;
  /// What the connections have against opening the barrier that everybody is ready for.
  [[nodiscard]] std::optional<ConnectionBook::Objection> connection_objection();
  /// The members' tables have done their work, and may be large.
  void forget_tables();
  void tell_everyone(const Message& message, Outbox& out);
  [[nodiscard]] Duration phase_limit(std::size_t phase_index) const;
  /// A hook of the member waits for the barrier of this phase.
  [[nodiscard]] bool waits_at(const Member& member, std::size_t at) const;
  /// Who is missing in the current phase, and why; `first` is the first of them.
  [[nodiscard]] std::string missing_text(MemberId& first) const;

  // round_restore.cpp: records that count only beside others.
  /// The member's record has been taken: whoever waited for it is ordered, too.
  void settle_records(Member& member, const PeerId& from, std::uint64_t sequence, const Directory& directory,
                      TimePoint now, Outbox& out);

  // round_serial.cpp
  /// Nothing speaks against its being serial.
  [[nodiscard]] bool can_be_serial() const;
  /// When the round is taken for serial if nobody new has come by then.
  [[nodiscard]] std::optional<TimePoint> detection() const;
  void become_serial(TimePoint now, Outbox& out);
  [[nodiscard]] bool has_come(const Member& member) const { return member.times.front().arrived_us >= 0; }
  [[nodiscard]] bool all_have_come() const;
  [[nodiscard]] bool each_pod_is_ready(std::size_t at) const;
  [[nodiscard]] bool all_are_ready(std::size_t at) const;
  [[nodiscard]] bool went_early(const Member& member) const;
  /// Somebody of its pod has not come yet.
  [[nodiscard]] bool awaits_others(const Member& member) const;
  /// It has come when the barrier of this phase was open already.
  [[nodiscard]] bool is_late(const Member& member, std::size_t at) const;
  void on_late_hook(Member& member, const HookEvent& event, std::size_t at, const PeerId& from, std::uint64_t sequence,
                    const Directory& directory, TimePoint now, Outbox& out);
  /// What is special about a vote in a serial round; true: there is nothing else to be done.
  [[nodiscard]] bool on_serial_vote(Member& member, const PeerId& from, std::uint64_t sequence, TimePoint now,
                                    Outbox& out);
  /// A member is let go past a barrier alone.
  void release_alone(Member& member, std::size_t at, const PeerId& to, std::uint64_t sequence, TimePoint now,
                     Outbox& out);
  /// Its pod has been locked, and its table read, after the lock barrier had opened.
  void on_late_table(Member& member, TimePoint now, Outbox& out);
  /// The tables are complete: whoever has come to the vote, and was not early, may cast it.
  void order_votes(const Directory& directory, TimePoint now, Outbox& out);
  /// The others of its pod whose hooks don't come any more: their shares of the lock go with its own.
  [[nodiscard]] std::vector<Member*> left_behind_by(const Member& member);
  [[nodiscard]] bool share_a_pod(const Member& a, const Member& b) const;
  [[nodiscard]] bool carries_earlier(const Member& member) const;
  /// When the next member of a pod has to have come.
  [[nodiscard]] std::optional<TimePoint> next_member_due() const;
  /// Why the round has not got past prepare, where it looks like a runtime that goes one by one.
  [[nodiscard]] std::string serial_hint() const;

  Journal& journal_;
  RoundId id_;
  GroupId group_;
  OpenRound plan_;  ///< its members have moved to members_
  ConnectionBook book_;
  RecordWriter records_;
  std::vector<ConnectionDifference> differences_;
  CommandHold hold_;
  bool has_frozen_commands_ = false;
  PodIndex pods_;
  bool serial_ = false;    ///< its barriers count pods
  bool labelled_ = false;  ///< every socket of a dump has its label
  TimePoint newest_;       ///< when the last new member came
  std::int64_t hold_begin_us_ = -1;
  std::int64_t hold_end_us_ = -1;
  PeerId client_;  ///< may be gone
  std::vector<Member> members_;
  std::unordered_map<MemberId, std::size_t> index_;
  bool taken_over_ = false;
  RoundState state_ = RoundState::open;
  std::string doubt_;  ///< why the decision can't be kept, while it may stand on the disk all the same
  std::size_t phase_index_ = 0;
  std::size_t ready_count_ = 0;  ///< members that are ready in the current phase; not serial
  std::string reason_;
  MemberId culprit_;
  TimePoint opened_;
  TimePoint phase_deadline_;
  std::int64_t opened_unix_ms_;
};

/// What is wrong with a plan, as one line that names the member; nothing when it is sound.
[[nodiscard]] std::optional<std::string> check_plan(const OpenRound& plan);

}  // namespace lockstep::broker
