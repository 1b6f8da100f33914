#include "broker/core/gathering.hpp"

#include <algorithm>

namespace lockstep::broker {
namespace {

const HookEvent& event_in(const KeptEvent& kept) { return std::get<HookEvent>(kept.message.body); }

std::size_t bytes_of(const KeptEvent& kept) {
  const HookEvent& event = event_in(kept);
  constexpr std::size_t kEach = 256;  // an id, and the node that stands for it
  return sizeof(KeptEvent) + event.record.bytes.size() + event.socket_inodes.size() * sizeof(std::uint64_t) +
         (1 + event.dependencies.size()) * kEach;
}

bool same_criu(const HookEvent& a, const HookEvent& b) {
  return a.pod.boot_id == b.pod.boot_id && a.criu_pid == b.criu_pid && a.criu_start == b.criu_start;
}

}  // namespace

GroupId group_of(const std::vector<MemberId>& members) {
  const std::set<MemberId> sorted(members.begin(), members.end());
  std::uint32_t hash = 2'166'136'261U;  // FNV-1a; '/' is in no name
  for (const MemberId& member : sorted) {
    for (const char c : member.value + "/") hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619U;
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string name = sorted.empty() ? std::string() : sorted.begin()->value.substr(0, 40);
  name += '-';
  for (int shift = 28; shift >= 0; shift -= 4) name += kDigits[(hash >> static_cast<unsigned>(shift)) & 15U];
  return GroupId(std::move(name));
}

Gathering::Added Gathering::add(KeptEvent event, milliseconds limit) {
  limit_ = limit;
  const Key key{operation_of(event_in(event).action), event.message.member};
  const auto known = nodes_.find(key);
  if (known != nodes_.end() && known->second.event) {
    KeptEvent& former = *known->second.event;
    if (!same_criu(event_in(former), event_in(event))) {
      return {{},
              "another CRIU (process " + std::to_string(event_in(former).criu_pid) + ") waits as member " +
                  key.second.value + " already; every member needs an id of its own",
              {}};
    }
    // Said again, perhaps through another agent.
    leave_share(known->second);
    former.from = event.from;
    enter_share(known->second);
    former.who = event.who;
    former.message.sequence = event.message.sequence;
    Node& root = root_of(known->second);
    // One that it was waiting for may have been named only by an event that was dropped.
    if (root.come == root.named) return {take(nodes_under(root)), {}, {}};
    return {{}, {}, root.deadline};
  }
  if (events_ >= kMaxEvents || bytes_ + bytes_of(event) > kMaxBytes) {
    return {{}, "the broker keeps too many hooks already that wait for those they name; try again later", {}};
  }
  const auto share = shares_.find(event.from);
  const std::size_t carried = share == shares_.end() ? 0 : share->second.nodes.size();
  const std::size_t named = share == shares_.end() ? 0 : share->second.names;
  if (carried >= kMaxEventsOfOne || named + event_in(event).dependencies.size() > kMaxNamesOfOne) {
    return {{},
            "whoever carries this hook carries too many already that wait for those they name (at most " +
                std::to_string(kMaxEventsOfOne) + ", with " + std::to_string(kMaxNamesOfOne) +
                " names); try again later",
            {}};
  }
  const TimePoint deadline = event.since + limit;
  enter(std::move(event), deadline);
  Node& root = root_of(nodes_.at(key));
  if (root.come < root.named) return {{}, {}, root.deadline};
  return {take(nodes_under(root)), {}, {}};
}

bool Gathering::drop(const MemberId& member, const PeerId& from) {
  bool dropped = false;
  for (const Operation operation : {Operation::dump, Operation::restore}) {
    const auto node = nodes_.find(Key{operation, member});
    if (node == nodes_.end() || !node->second.event || node->second.event->from != from) continue;
    Node& root = root_of(node->second);
    remove({{root.key, &root}}, [&](const KeptEvent& event) { return event.message.member == member; });
    dropped = true;
  }
  return dropped;
}

void Gathering::drop_all_of(const std::vector<PeerId>& peers) {
  const std::set<PeerId> lost(peers.begin(), peers.end());
  Roots roots;
  for (const PeerId& peer : lost) {
    const auto share = shares_.find(peer);
    if (share == shares_.end()) continue;
    for (Node* node : share->second.nodes) roots.emplace(root_of(*node).key, &root_of(*node));
  }
  remove(roots, [&](const KeptEvent& event) { return lost.contains(event.from); });
}

std::vector<Gathering::Expired> Gathering::expire(TimePoint now) {
  std::vector<Expired> expired;
  if (!next_ || now < *next_) return expired;
  next_.reset();
  Roots late;
  for (const auto& [peer, share] : shares_) {  // no set is without an event
    for (Node* node : share.nodes) {
      Node& root = root_of(*node);
      if (now >= root.deadline) {
        late.emplace(root.key, &root);
      } else {
        next_ = std::min(next_.value_or(root.deadline), root.deadline);
      }
    }
  }
  for (const auto& [key, root] : late) {
    const std::vector<Node*> set = nodes_under(*root);
    const std::string reason = missing(set);
    for (KeptEvent& event : take(set)) expired.push_back({std::move(event), reason});
  }
  return expired;
}

// --- sets -----------------------------------------------------------------------------------------------------------

Gathering::Node& Gathering::node_of(const Key& key) {
  const auto [entry, fresh] = nodes_.try_emplace(key);
  if (fresh) entry->second.key = key;
  return entry->second;
}

Gathering::Node& Gathering::root_of(Node& node) {
  Node* at = &node;
  while (at->parent != nullptr) {
    if (at->parent->parent != nullptr) at->parent = at->parent->parent;
    at = at->parent;
  }
  return *at;
}

void Gathering::join(Node& a, Node& b) {
  Node* large = &root_of(a);
  Node* small = &root_of(b);
  if (large == small) return;
  if (large->named < small->named) std::swap(large, small);
  small->parent = large;
  std::swap(small->next, large->next);  // two rings are one
  large->named += small->named;
  large->come += small->come;
  large->deadline = std::min(large->deadline, small->deadline);
}

void Gathering::enter(KeptEvent event, TimePoint deadline) {
  const Operation operation = operation_of(event_in(event).action);
  Node& own = node_of(Key{operation, event.message.member});
  for (const MemberId& dependency : event_in(event).dependencies) join(own, node_of(Key{operation, dependency}));
  bytes_ += bytes_of(event);
  ++events_;
  own.event = std::make_unique<KeptEvent>(std::move(event));
  enter_share(own);
  Node& root = root_of(own);
  ++root.come;
  root.deadline = std::min(root.deadline, deadline);
  next_ = std::min(next_.value_or(root.deadline), root.deadline);
}

void Gathering::enter_share(Node& node) {
  Share& share = shares_[node.event->from];
  share.nodes.insert(&node);
  share.names += event_in(*node.event).dependencies.size();
}

void Gathering::leave_share(Node& node) {
  const auto share = shares_.find(node.event->from);
  share->second.nodes.erase(&node);
  share->second.names -= event_in(*node.event).dependencies.size();
  if (share->second.nodes.empty()) shares_.erase(share);
}

std::vector<Gathering::Node*> Gathering::nodes_under(Node& root) {
  std::vector<Node*> set{&root};
  for (Node* node = root.next; node != &root; node = node->next) set.push_back(node);
  std::ranges::sort(set, {}, &Node::key);
  return set;
}

std::vector<KeptEvent> Gathering::take(const std::vector<Node*>& set) {
  std::vector<KeptEvent> events;
  for (Node* node : set) {
    if (!node->event) continue;
    leave_share(*node);
    bytes_ -= bytes_of(*node->event);
    --events_;
    events.push_back(std::move(*node->event));
  }
  for (const Node* node : set) nodes_.erase(Key(node->key));
  return events;
}

template <class Gone>
void Gathering::remove(const Roots& roots, const Gone& gone) {
  for (const auto& [key, root] : roots) {
    std::vector<KeptEvent> others = take(nodes_under(*root));
    std::erase_if(others, gone);
    // Without their names the rest may be several sets. Which of them is whole shows when its events are said again.
    for (KeptEvent& event : others) {
      const TimePoint deadline = event.since + limit_;
      enter(std::move(event), deadline);
    }
  }
}

std::string Gathering::missing(const std::vector<Node*>& set) const {
  std::string text;
  std::size_t count = 0;
  constexpr std::size_t kShown = 5;
  for (const Node* node : set) {
    if (node->event || ++count > kShown) continue;
    const auto namer = std::ranges::find_if(set, [&](const Node* other) {
      return other->event && std::ranges::count(event_in(*other->event).dependencies, node->key.second) > 0;
    });
    const std::string by = namer == set.end() ? "one that has gone" : (*namer)->key.second.value;
    text += (text.empty() ? "" : ", ") + node->key.second.value + " (named by " + by + ")";
  }
  if (count > kShown) text += " and " + std::to_string(count - kShown) + " more";
  return "those that belong together have not all come within " + std::to_string(limit_.count()) + " ms; waiting for " +
         text;
}

}  // namespace lockstep::broker
