/// The broker without its sockets: takes what peers say and the time, and tells what to send. Pure; one thread.
///
///   peers -> on_message() -> Directory (who is there), Round (what it means) -> Outbox -> the shell sends
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/directory.hpp"
#include "broker/core/gathering.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/opening_limit.hpp"
#include "broker/core/outbox.hpp"
#include "broker/core/permissions.hpp"
#include "broker/core/refusal_log.hpp"
#include "broker/core/round.hpp"
#include "broker/core/standing_groups.hpp"
#include "common/clock.hpp"

namespace lockstep::broker {

struct CoreSettings {
  std::string name;                        ///< of this broker's life; new at each start
  milliseconds heartbeat{500};             ///< what agents are told
  milliseconds silence{3000};              ///< a peer not heard for so long is lost
  milliseconds status_delay{20};           ///< status publications of one round are gathered for this long
  std::size_t kept_rounds = 100;           ///< rounds that are remembered, ended ones included
  std::size_t kept_members = 4096;         ///< of all of them together: about 1 KiB each
  std::size_t max_peers = 8192;
  std::size_t max_pods = 65'536;           ///< that all agents together may claim
  std::size_t own_rounds_in_a_minute = 120;  ///< that hooks of one identity may open
  std::string own_rounds = "hook";         ///< how the ids of rounds begin that no client opens; new at each start
};

/// The shortest lease of a round: an agent's death has to be noticed, and its successor has to find the lock, before it
/// opens by itself.
[[nodiscard]] std::uint32_t least_lease_ms(milliseconds silence);

class BrokerCore {
 public:
  /// `unix_ms` is the wall clock's time at `now`, for people.
  BrokerCore(CoreSettings settings, Journal& journal, TimePoint now, std::int64_t unix_ms);
  /// Takes up what a former broker has left unfinished: what it had decided is seen through, the rest is aborted. To be
  /// called once, before anything else; where the journal can't be read, the core itself tries again.
  void recover(TimePoint now, Outbox& out);
  /// The groups whose rounds may be started from outside, from now on. Rounds that are open stay as they are.
  void set_standing_groups(StandingGroups groups) { standing_ = std::move(groups); }

  /// `who` has sent it, as its connection has proved.
  void on_message(const PeerId& from, const Message& message, TimePoint now, Outbox& out, const Identity& who = {});
  /// Somebody was turned away before it could say a word.
  void on_turned_away(const std::string& why, TimePoint now, Outbox& out);
  /// These identities count no more: what they have said stands, what they carry is lost. `nodes` still have an agent's
  /// key.
  void on_revoked(const std::vector<Identity>& revoked, const std::set<std::string>& nodes, TimePoint now, Outbox& out);
  /// A frame that could not be decoded.
  void on_malformed(const PeerId& from, const std::string& why, Outbox& out);
  /// ROUTER could not deliver: the peer is gone, or does not read.
  void on_unroutable(const PeerId& peer, TimePoint now, Outbox& out);
  void on_time(TimePoint now, Outbox& out);
  /// When on_time() wants to be called next.
  [[nodiscard]] TimePoint next_deadline() const;
  /// The shell has published so many messages; told to new peers.
  void set_published(std::uint64_t published) { published_ = published; }

 private:
  struct Sender {
    const PeerId& id;
    const Message& message;
    TimePoint now;
    Outbox& out;
    const Identity& who;
  };
  /// What a message is about.
  struct Place {
    Round* round = nullptr;
    MemberId member;      ///< may be none of the round's
    std::string doubt{};  ///< no round, because these two could be meant
  };

  void on(const Sender& from, const Hello& hello);
  void on(const Sender& from, const Heartbeat& heartbeat);
  void on(const Sender& from, const HookEvent& event);
  void on(const Sender& from, const HookGone& gone);
  void on(const Sender& from, const CriuGone& gone);
  void on(const Sender& from, const Ready& ready);
  void on(const Sender& from, const OpenRound& open);
  void on(const Sender& from, const AbortRound& abort);
  void on(const Sender& from, const MemberResult& result);
  /// Of a round that is not in memory any more: into its last word in the journal.
  void on_late_result(const Sender& from, const MemberResult& result);
  void on(const Sender& from, const CommandReport& report);
  void on(const Sender& from, const GetRound& get);
  void on(const Sender& from, const GetStatus& get);
  void on(const Sender& from, const GetHistory& get);
  template <class Other>
  void on(const Sender& from, const Other&);  ///< what only a broker may say

  /// A hook that knows no round, of a CRIU whose round is over: it is told so, and belongs to none that lives.
  [[nodiscard]] bool answer_of_former(const Sender& from, const HookEvent& event);
  /// A member's first hook, and no live round waits for it: where it may open one, it does. Nothing when it has been
  /// answered here.
  [[nodiscard]] std::optional<Place> begin_from_outside(const Sender& from, const HookEvent& event);
  /// A first hook that names those it belongs with; the last one of them opens their round.
  void gather(const Sender& from, const HookEvent& event);
  void take_event(const Sender& from, const HookEvent& event, const Place& place);
  /// `who` has said the last of it.
  void open_gathered(std::vector<KeptEvent> set, const Identity& who, TimePoint now, Outbox& out);
  /// open_round() for a hook of `who`'s.
  [[nodiscard]] Result<Round*> open_own_round(const GroupId& group, const OpenRound& plan, const std::string& by,
                                              const Identity& who, TimePoint now, Outbox& out);
  /// Opens a round, or tells why it can't be. `by`: who has, for the log.
  [[nodiscard]] Result<Round*> open_round(const RoundId& id, const GroupId& group, const OpenRound& plan,
                                          const std::string& by, TimePoint now, Outbox& out);
  /// The same, where nothing speaks against it but the journal.
  [[nodiscard]] Result<Round*> enter_round(const RoundId& id, const GroupId& group, const OpenRound& plan,
                                           const std::string& by, TimePoint now, Outbox& out);
  [[nodiscard]] std::optional<std::string> why_not_open(const GroupId& group, const OpenRound& plan);
  /// Answers a hook that no round has: it fails.
  void answer_abort(const Sender& from, std::string reason);
  /// Begins to keep a round in step.
  Round& take_in(JournalRound begin, TimePoint now);
  /// What is to be said about a round that is not in memory: its outcome, that it was never decided, or (the journal
  /// can't be read) nothing.
  [[nodiscard]] std::optional<Message> past_verdict(const RoundId& id) const;
  /// Tells a round what its client says of one member, and answers with the round's status.
  template <class Tell>
  void take_client_word(const Sender& from, const Tell& tell);
  void answer(const Sender& from, Body body);
  void refuse(const Sender& from, std::string reason);
  /// Why this peer may not say this, or nothing.
  [[nodiscard]] std::optional<std::string> not_permitted(const Sender& from);
  /// refuse(), for want of a right to it.
  void forbid(const Sender& from, const std::string& reason);
  /// Aborts what is undecided when this broker has not run for longer than its agents wait for it.
  void notice_standstill(TimePoint now, Outbox& out);
  void answer_status(const Sender& from, const Round& round);
  void lose_peer(const PeerId& id, const std::string& why, TimePoint now, Outbox& out);
  void lose_peers(const std::vector<PeerId>& ids, const std::string& why, TimePoint now, Outbox& out);
  void release_ended(const Sender& from, const std::vector<RoundId>& held);
  /// The round that a message is about: by its id, else the group's live one, else the one live round with that
  /// member, container or pod. `event`: where it is a hook's.
  [[nodiscard]] Place place_of(const Message& message, const HookEvent* event);
  [[nodiscard]] Round* find(const RoundId& id);
  [[nodiscard]] Round* newest_of(const GroupId& group);
  /// The round and the member that an agent's message is about; tells the agent when there is none.
  template <class Use>
  void with_member(const Sender& from, const Place& place, const Use& use);
  /// To be called after anything that may have changed a round: counts and archives its end, and schedules its status.
  void touched(Round& round, RoundState before, TimePoint now, Outbox& out);
  /// Forgets the oldest ended rounds beyond what is to be kept; not `current`, which the caller is still busy with.
  void forget_old(const Round& current);

  CoreSettings settings_;
  Journal& journal_;
  TimePoint started_;
  std::int64_t started_unix_ms_;
  std::uint64_t published_ = 0;
  bool recovered_ = true;                    ///< false: the journal may hold decided rounds that are not known here
  TimePoint last_turn_;                      ///< when this core was last called with the time
  TimePoint next_silence_check_;
  Directory directory_;
  NodeBook nodes_;
  StandingGroups standing_;
  Gathering gathering_;
  std::uint64_t own_rounds_ = 0;             ///< opened by hooks, so far
  OpeningLimit openings_;
  std::map<RoundId, std::unique_ptr<Round>> rounds_;
  std::deque<RoundId> order_;                ///< oldest first
  std::size_t members_ = 0;                  ///< of all rounds in `rounds_`
  std::vector<Round*> live_;
  std::map<RoundId, TimePoint> status_due_;  ///< rounds whose status has changed, and when to publish it
  Counters counters_;
  RefusalLog refusals_;
};

}  // namespace lockstep::broker
