#include "cli/images/connection_pairs.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "cli/images/cut_check.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep::images {
namespace {

/// More ends than this under one key are no client's: nothing is chosen among them, and the work stays linear.
constexpr std::size_t kMostCandidates = 16;

using Address = std::pair<IpFamily, std::array<std::uint8_t, 16>>;
using Key = std::pair<Endpoint, Endpoint>;
using KeyOf = Key (*)(const TcpEnd&);
using Predicate = bool (*)(const TcpEnd& x, const TcpEnd& y);
using Index = std::vector<std::pair<Key, std::size_t>>;

/// One way to match: x and y belong together when `seen(x)` is `own(y)` and `accepts` agrees.
struct Rule {
  KeyOf own;
  KeyOf seen;
  Predicate accepts;
  bool translated = false;
};

enum class Fate { open, paired, ambiguous };

struct Candidate {
  EndRef ref;
  const TcpEnd* end = nullptr;
  Fate fate = Fate::open;
};

/// The ends that qualify as somebody's other end.
struct Choice {
  std::array<std::size_t, kMostCandidates> ends{};
  std::size_t count = 0;
  void add(std::size_t i) { ends[count++] = i; }
  [[nodiscard]] bool is(std::size_t i) const { return count == 1 && ends[0] == i; }
};

bool lives(const TcpEnd& end) { return end.state != TcpState::close; }

constexpr std::array<Rule, 3> kRules{{
    {[](const TcpEnd& end) { return Key(end.local, end.remote); },
     [](const TcpEnd& end) { return Key(end.remote, end.local); },
     [](const TcpEnd& x, const TcpEnd& y) { return lives(x) && lives(y); }},
    {[](const TcpEnd& end) { return Key(end.local, end.remote); },
     [](const TcpEnd& end) { return Key(end.remote, end.local); },
     [](const TcpEnd& x, const TcpEnd& y) { return lives(x) != lives(y) && can_be_one_connection(x, y); }},
    // x is the server's end. The client's address passes a destination NAT unchanged.
    {[](const TcpEnd& end) { return Key(end.local, {}); }, [](const TcpEnd& end) { return Key(end.remote, {}); },
     [](const TcpEnd& x, const TcpEnd& y) {
       return x.local != y.remote && lives(x) && lives(y) && can_be_one_connection(x, y);
     },
     true},
}};

class Matcher {
 public:
  explicit Matcher(const std::vector<MemberEnds>& members) : members_(members) {
    for (std::size_t member = 0; member < members.size(); ++member) {
      auto& own = own_addresses_.emplace_back();
      for (const auto& address : members[member].addresses) own.emplace_back(address.family, address.address);
      std::sort(own.begin(), own.end());
      const auto& ends = members[member].ends;
      for (std::size_t index = 0; index < ends.size(); ++index) all_.push_back({{member, index}, &ends[index]});
    }
  }

  Pairing run() {
    for (const Rule& rule : kRules) apply(rule);
    for (const Candidate& candidate : all_) file_away(candidate);
    return std::move(result_);
  }

 private:
  [[nodiscard]] Index open_ends(KeyOf key) const {
    Index index;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (all_[i].fate == Fate::open) index.emplace_back(key(*all_[i].end), i);
    }
    std::sort(index.begin(), index.end());
    return index;
  }

  /// What goes to an address of the pod's own never leaves it.
  [[nodiscard]] bool stays_in_pod(const Candidate& candidate) const {
    const Endpoint& remote = candidate.end->remote;
    const auto& own = own_addresses_[candidate.ref.member];
    return is_loopback(remote) || std::binary_search(own.begin(), own.end(), Address(remote.family, remote.address));
  }

  [[nodiscard]] bool can_meet(const Candidate& x, const Candidate& y) const {
    const PodId& pod = members_[x.ref.member].pod;
    const bool same_pod = x.ref.member == y.ref.member || (pod.known() && pod == members_[y.ref.member].pod);
    return same_pod || (!stays_in_pod(x) && !stays_in_pod(y));
  }

  /// The entries of `index` under `key` that `matches` accepts as the other end of `from`.
  template <class Matches>
  [[nodiscard]] Choice choose(const Index& index, const Key& key, std::size_t from, Matches matches) const {
    const auto first = std::lower_bound(index.begin(), index.end(), std::pair(key, std::size_t{0}));
    const auto last = std::upper_bound(first, index.end(), std::pair(key, SIZE_MAX));
    if (static_cast<std::size_t>(last - first) > kMostCandidates) return {};
    Choice all;
    Choice fitting;
    for (auto it = first; it != last; ++it) {
      const std::size_t i = it->second;
      if (i == from || !matches(*all_[i].end) || !can_meet(all_[from], all_[i])) continue;
      all.add(i);
      if (check_connection(*all_[from].end, *all_[i].end).fits()) fitting.add(i);
    }
    return fitting.count == 1 ? fitting : all;
  }

  /// Decides on all open ends first and settles them then, so that their order does not matter.
  void apply(const Rule& rule) {
    const Index by_own = open_ends(rule.own);
    const Index by_seen = open_ends(rule.seen);
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    std::vector<std::size_t> ambiguous;
    for (const auto& [key, i] : by_seen) {
      const TcpEnd& x = *all_[i].end;
      const Choice there = choose(by_own, key, i, [&](const TcpEnd& y) { return rule.accepts(x, y); });
      if (there.count == 0) continue;
      if (there.count > 1) {
        ambiguous.push_back(i);
        ambiguous.insert(ambiguous.end(), there.ends.begin(),
                         there.ends.begin() + static_cast<std::ptrdiff_t>(there.count));
        continue;
      }
      const std::size_t other = there.ends[0];
      const TcpEnd& y = *all_[other].end;
      const Choice back = choose(by_seen, rule.own(y), other, [&](const TcpEnd& z) { return rule.accepts(z, y); });
      if (back.is(i)) {
        pairs.emplace_back(i, other);
      } else {
        ambiguous.push_back(i);
        if (back.count > 1) ambiguous.push_back(other);
      }
    }
    for (const auto& [x, y] : pairs) {
      if (all_[x].fate == Fate::open && all_[y].fate == Fate::open) settle(x, y, rule.translated);
    }
    for (const std::size_t i : ambiguous) {
      if (all_[i].fate == Fate::open) all_[i].fate = Fate::ambiguous;
    }
  }

  void settle(std::size_t x, std::size_t y, bool translated) {
    all_[x].fate = all_[y].fate = Fate::paired;
    result_.internal.push_back({std::min(all_[x].ref, all_[y].ref), std::max(all_[x].ref, all_[y].ref), translated});
  }

  void file_away(const Candidate& candidate) {
    if (candidate.fate == Fate::paired) return;
    if (candidate.fate == Fate::ambiguous) {
      result_.ambiguous.push_back(candidate.ref);
    } else if (candidate.end->state == TcpState::close) {
      result_.closed.push_back(candidate.ref);
    } else if (candidate.end->state == TcpState::syn_sent) {
      result_.opening.push_back(candidate.ref);
    } else {
      result_.external.push_back(candidate.ref);
    }
  }

  const std::vector<MemberEnds>& members_;
  std::vector<std::vector<Address>> own_addresses_;  ///< by member, sorted
  std::vector<Candidate> all_;
  Pairing result_;
};

}  // namespace

Pairing pair_ends(const std::vector<MemberEnds>& members) {
  Pairing pairing = Matcher(members).run();
  std::sort(pairing.internal.begin(), pairing.internal.end(),
            [](const EndPair& x, const EndPair& y) { return std::pair(x.a, x.b) < std::pair(y.a, y.b); });
  return pairing;
}

}  // namespace lockstep::images
