#include "agent/kernel/lock_listing.hpp"

#include <netinet/in.h>  // in front of the kernel's, which then leaves out what libc has

#include <linux/netfilter.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <sstream>

#include "agent/kernel/iptables_lock.hpp"
#include "agent/kernel/nft_rules.hpp"
#include "agent/kernel/pod_lock_checks.hpp"
#include "common/netns.hpp"

namespace lockstep {
namespace {

constexpr std::string_view kCriuTable = "CRIU-";
constexpr std::array<std::string_view, 1> kCriuChains{"CRIU"};

std::span<const std::string_view> chains_of(LockMaker maker) {
  if (maker == LockMaker::criu) return kCriuChains;
  return kIptablesChains;
}

/// "CRIU-4711": the number is the pid of the tree that was dumped or restored.
bool is_criu_table(const NftTable& table) {
  const std::string_view name = table.name;
  return table.family == NFPROTO_INET && name.starts_with(kCriuTable) && name.size() > kCriuTable.size() &&
         name.find_first_not_of("0123456789", kCriuTable.size()) == std::string_view::npos;
}

Result<void> read_nft_lock(NftRuleset& ruleset, FoundLock& lock) {
  read_comment(lock.table.comment, lock.note);
  for (const ArmedSet set : {ArmedSet::armed, ArmedSet::rearmed}) {
    auto elements = ruleset.elements(lock.table, nft::name_of(set));
    // A table of our name with other sets is somebody's forgery, or of a version to come: still to be shown.
    if (!elements && elements.error().code == ErrorCode::not_found) continue;
    if (!elements) return Failure(elements.error());
    for (const NftElement& element : *elements) {
      if (lock.armed && element.expires <= lock.remaining) continue;
      lock.armed = true;
      lock.remaining = element.expires;
      read_comment(element.comment, lock.note);
    }
  }
  return {};
}

Result<void> find_nft_locks(NftRuleset& ruleset, std::vector<FoundLock>& found) {
  auto tables = ruleset.tables();
  if (!tables) return Failure(tables.error());
  for (NftTable& table : *tables) {
    FoundLock lock;
    lock.backend = "nftables";
    lock.what = "nftables table inet " + table.name;
    lock.maker = is_criu_table(table) ? LockMaker::criu : LockMaker::lockstep;
    if (lock.maker == LockMaker::lockstep && (table.family != NFPROTO_INET || table.name != nft::kTable)) continue;
    lock.table = std::move(table);
    lock.armed = lock.maker == LockMaker::criu;
    if (lock.maker == LockMaker::lockstep)
      if (auto read = read_nft_lock(ruleset, lock); !read) return read;
    found.push_back(std::move(lock));
  }
  return {};
}

/// The address families in which iptables-nft has one of the maker's chains: they are nf_tables chains.
std::vector<IpFamily> nft_families(const std::vector<NftChain>& chains, LockMaker maker) {
  std::vector<IpFamily> families;
  for (const auto& [family, number] : {std::pair{IpFamily::v4, NFPROTO_IPV4}, {IpFamily::v6, NFPROTO_IPV6}})
    if (std::ranges::any_of(chains, [&, number = number](const NftChain& chain) {
          return chain.family == number && chain.table == "filter" &&
                 std::ranges::find(chains_of(maker), chain.name) != chains_of(maker).end();
        }))
      families.push_back(family);
  return families;
}

/// The address families in which a filter table of iptables-legacy exists. Asking iptables itself would make one.
Result<std::vector<IpFamily>> legacy_families(const Fd& netns) {
  auto scope = NetnsScope::enter(netns);  // /proc/thread-self/net is the thread's namespace's
  if (!scope) return Failure(scope.error());
  std::vector<IpFamily> families;
  for (const auto& [family, file] : {std::pair{IpFamily::v4, "ip_tables_names"}, {IpFamily::v6, "ip6_tables_names"}}) {
    std::ifstream names(std::string("/proc/thread-self/net/") + file);
    for (std::string name; names >> name;)
      if (name == "filter") families.push_back(family);
  }
  return families;
}

Result<void> find_iptables_lock(const Fd& netns, LockMaker maker, const std::string& flavour,
                                const std::vector<IpFamily>& candidates, std::vector<FoundLock>& found) {
  FoundLock lock;
  lock.maker = maker;
  lock.backend = "iptables";
  lock.flavour = flavour;
  const auto chains = chains_of(maker);
  lock.what = "iptables" + flavour + (chains.size() > 1 ? " chains" : " chain");
  for (const std::string_view chain : chains) lock.what += " " + std::string(chain);
  for (const IpFamily family : candidates) {
    auto programs = find_iptables(family, flavour);
    if (!programs) return fail_from(programs.error(), "look for " + lock.what);
    auto saved = saved_filter_table(netns, *programs);
    if (!saved) return Failure(saved.error());
    if (!has_chain(*saved, chains)) continue;
    lock.families.push_back(family);
    if (maker == LockMaker::criu) lock.armed = true;
    if (maker == LockMaker::lockstep) read_iptables_lock(*saved, unix_ms(), lock);
  }
  if (!lock.families.empty()) found.push_back(std::move(lock));
  return {};
}

/// "2026-11-22T17:15:38", UTC; 0 when it is none.
std::int64_t parse_utc_ms(const std::string& text) {
  std::tm utc{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  return end != nullptr && *end == '\0' ? std::int64_t{::timegm(&utc)} * 1000 : 0;
}

std::string between(const std::string& text, const std::string& before, char after) {
  const std::size_t at = text.find(before);
  if (at == std::string::npos) return {};
  return text.substr(at + before.size(), text.find(after, at + before.size()) - at - before.size());
}

}  // namespace

void read_iptables_lock(const std::string& saved, std::int64_t now_unix_ms, FoundLock& lock) {
  std::istringstream lines(saved);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("-A LOCKSTEP-") || !line.ends_with(" -j DROP")) continue;
    read_comment(between(line, "--comment \"", '"'), lock.note);
    const std::string end = between(line, "--datestop ", ' ');
    if (end.empty()) lock.armed = true;  // somebody's own rule: for ever
    const std::int64_t left = parse_utc_ms(end) - now_unix_ms;
    if (left <= 0) continue;
    lock.armed = true;
    lock.remaining = milliseconds(left);
  }
}

Result<std::vector<FoundLock>> find_locks(const Fd& netns) {
  auto ruleset = NftRuleset::open(netns);
  if (!ruleset) return Failure(ruleset.error());
  std::vector<FoundLock> found;
  if (auto done = find_nft_locks(*ruleset, found); !done) return Failure(done.error());
  auto chains = ruleset->chains();
  if (!chains) return Failure(chains.error());
  auto legacy = legacy_families(netns);
  if (!legacy) return Failure(legacy.error());
  for (const LockMaker maker : {LockMaker::lockstep, LockMaker::criu}) {
    if (auto done = find_iptables_lock(netns, maker, "-nft", nft_families(*chains, maker), found); !done)
      return Failure(done.error());
    if (auto done = find_iptables_lock(netns, maker, "-legacy", *legacy, found); !done) return Failure(done.error());
  }
  return found;
}

Result<bool> is_anothers(const Fd& netns, std::string_view backend, const LockOwner& owner) {
  std::vector<FoundLock> found;
  if (backend == "nftables") {  // without the programs that find_locks() starts for the others
    auto ruleset = NftRuleset::open(netns);
    if (!ruleset) return Failure(ruleset.error());
    if (auto done = find_nft_locks(*ruleset, found); !done) return Failure(done.error());
  } else {
    auto all = find_locks(netns);
    if (!all) return Failure(all.error());
    found = std::move(*all);
  }
  return std::ranges::any_of(found, [&](const FoundLock& lock) {
    const std::string told = owner_comment(lock.note.owner);
    return lock.maker == LockMaker::lockstep && lock.backend == backend && told != owner_comment(owner) &&
           (lock.armed || !told.empty());
  });
}

Result<void> remove_lock(const Fd& netns, const FoundLock& lock) {
  if (lock.backend == "nftables") {
    auto ruleset = NftRuleset::open(netns);
    if (!ruleset) return Failure(ruleset.error());
    return ruleset->remove(lock.table);
  }
  for (const IpFamily family : lock.families) {
    auto programs = find_iptables(family, lock.flavour);
    if (!programs) return Failure(programs.error());
    if (auto done = remove_chains(netns, *programs, chains_of(lock.maker)); !done) return done;
  }
  return {};
}

}  // namespace lockstep
