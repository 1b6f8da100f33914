/// First hooks that name those they have to be in step with, and no group: kept until the set that they connect has
/// come. Pure; one thread.
///
///   add() ──all that are named have come──► the set, to be one round
///     └─ expire(): too late ──► abort, with the ids that are missing
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/outbox.hpp"
#include "broker/core/permissions.hpp"
#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep::broker {

/// A first hook's event, as it came. Its envelope has the member's id; operations don't mix.
struct KeptEvent {
  PeerId from;
  Identity who;
  Message message;
  TimePoint since;  ///< when it came first
};

/// The group's name of a set: the same set has the same one each time.
[[nodiscard]] GroupId group_of(const std::vector<MemberId>& members);

class Gathering {
 public:
  /// What is kept at most, of all sets together.
  static constexpr std::size_t kMaxEvents = 4'096;
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
  /// Of those, what one peer carries at most: a node's containers, each of which names 64.
  static constexpr std::size_t kMaxEventsOfOne = 256;
  static constexpr std::size_t kMaxNamesOfOne = 16'384;

  struct Added {
    std::vector<KeptEvent> set;  ///< the whole set, which is forgotten here; by member
    std::string refused;         ///< why the event is not kept
    TimePoint deadline;          ///< of its set, where it is kept
  };
  /// Takes the event of a hook's, which may be one that was said before. What is neither refused nor a whole set waits.
  [[nodiscard]] Added add(KeptEvent event, milliseconds limit);
  /// The hook has gone: its event no longer counts. True when there was one.
  bool drop(const MemberId& member, const PeerId& from);
  /// All that these peers carry. Many that are lost at once are to be told at once: it costs their sets, not each of
  /// them its set.
  void drop_all_of(const std::vector<PeerId>& peers);

  struct Expired {
    KeptEvent event;
    std::string reason;
  };
  /// Sets that were not whole in time; they are forgotten here.
  [[nodiscard]] std::vector<Expired> expire(TimePoint now);
  /// When to call expire(); may be too early.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return next_; }
  [[nodiscard]] std::size_t size() const { return events_; }

 private:
  using Key = std::pair<Operation, MemberId>;
  /// An id that was heard of: whose event is here, or only named. Sets are trees of parents, and rings; counts are the
  /// root's.
  struct Node {
    Key key;
    Node* parent = nullptr;
    Node* next = this;  ///< of the same set, round in a ring
    std::size_t named = 1;
    std::size_t come = 0;
    TimePoint deadline = TimePoint::max();
    std::unique_ptr<KeptEvent> event;  ///< of few: most are only named
    Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
  };
  /// What one peer carries.
  struct Share {
    std::set<Node*> nodes;
    std::size_t names = 0;
  };
  using Roots = std::map<Key, Node*>;

  Node& node_of(const Key& key);
  static Node& root_of(Node& node);
  static void join(Node& a, Node& b);
  void enter(KeptEvent event, TimePoint deadline);
  /// All of a set, by key.
  [[nodiscard]] static std::vector<Node*> nodes_under(Node& root);
  /// Forgets a whole set; its events, by member.
  std::vector<KeptEvent> take(const std::vector<Node*>& set);
  /// Forgets of these sets the events of which that is true.
  template <class Gone>
  void remove(const Roots& roots, const Gone& gone);
  /// The event at this node counts for the peer that carries it, or counts no more.
  void enter_share(Node& node);
  void leave_share(Node& node);
  [[nodiscard]] std::string missing(const std::vector<Node*>& set) const;

  std::map<Key, Node> nodes_;
  std::map<PeerId, Share> shares_;
  std::size_t events_ = 0;
  std::size_t bytes_ = 0;
  std::optional<TimePoint> next_;
  milliseconds limit_{};  ///< of the newest event; they all have the same
};

}  // namespace lockstep::broker
