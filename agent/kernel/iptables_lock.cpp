#include "agent/kernel/iptables_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <ctime>
#include <sstream>

#include "agent/kernel/pod_lock_checks.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep {
namespace {

struct Chain {
  std::string_view name;
  const char* hook;     ///< the built-in chain that jumps to it
  const char* address;  ///< the options that match the far end
  const char* port;
};
constexpr std::array kChains{Chain{kIptablesChains[0], "INPUT", "-s", "--sport"},
                             Chain{kIptablesChains[1], "OUTPUT", "-d", "--dport"}};

/// UTC, as `--datestop` takes it, at or after now + lease.
std::string end_of(milliseconds lease) {
  const auto end = std::chrono::ceil<seconds>(std::chrono::system_clock::now() + lease);
  const std::time_t time = std::chrono::system_clock::to_time_t(end);
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  return text;
}

/// What the rules of a closed chain depend on.
struct Closed {
  IpFamily family = IpFamily::v4;
  const std::vector<Endpoint>& exempt;
  const SocketTable& answered;
  std::string comment;
  std::string lease_end;
  std::string resets_end;
};

/// RETURN, not ACCEPT: what we let through still has to pass the pod's own rules.
std::string armed_rules(const Chain& chain, const Closed& closed) {
  const std::string append = "-A " + std::string(chain.name);
  std::ostringstream rules;
  rules << append << " -m mark --mark 0x" << std::hex << kCriuMark << std::dec << " -j RETURN\n";
  if (closed.family == IpFamily::v6)
    for (int type = 133; type <= 136; ++type)
      rules << append << " -p ipv6-icmp -m icmp6 --icmpv6-type " << type << " -j RETURN\n";
  for (const Endpoint& peer : closed.exempt)
    if (peer.family == closed.family)
      rules << append << " -p tcp " << chain.address << ' ' << address_text(peer.family, peer.address) << " -m tcp "
            << chain.port << ' ' << peer.port << " -j RETURN\n";
  const std::string until = " -m time --datestop " + closed.resets_end + " -j RETURN\n";
  if (!closed.resets_end.empty() && chain.hook == std::string_view("OUTPUT"))
    rules << append << " -p tcp -m tcp --tcp-flags RST RST" << until;
  if (!closed.resets_end.empty() && chain.hook == std::string_view("INPUT"))
    for (const Socket& socket : closed.answered)
      if (socket.local.family == closed.family)
        rules << append << " -p tcp -s " << address_text(closed.family, socket.remote.address) << " -d "
              << address_text(closed.family, socket.local.address) << " -m tcp --sport " << socket.remote.port
              << " --dport " << socket.local.port << " ! --syn" << until;
  rules << append << " -m time --datestop " << closed.lease_end << closed.comment << " -j DROP\n";
  return rules.str();
}

std::string comment_option(const std::string& owner, const std::string& round) {
  const std::string text = owner + (owner.empty() || round.empty() ? "" : " ") + round;
  return text.empty() ? "" : " -m comment --comment \"" + text + "\"";
}

}  // namespace

Result<std::unique_ptr<PodLock>> IptablesLock::create(const Fd& netns, std::vector<Endpoint> exempt,
                                                      std::string_view flavour, const LockOwner& owner) {
  if (auto valid = check_exempt(exempt); !valid) return Failure(valid.error());
  Fd own(::fcntl(netns.get(), F_DUPFD_CLOEXEC, 3));
  if (!own) return fail_errno("fcntl F_DUPFD_CLOEXEC of a network namespace");
  auto v4 = find_iptables(IpFamily::v4, flavour);
  if (!v4) return Failure(v4.error());
  std::vector<Family> families{{IpFamily::v4, std::move(*v4)}};
  if (::access("/proc/sys/net/ipv6", F_OK) == 0) {  // a kernel without IPv6 has none to lock
    auto v6 = find_iptables(IpFamily::v6, flavour);
    if (!v6) return Failure(v6.error());
    families.push_back({IpFamily::v6, std::move(*v6)});
  }
  return std::unique_ptr<PodLock>(
      new IptablesLock(std::move(own), std::move(families), std::move(exempt), owner_comment(owner)));
}

Result<void> IptablesLock::prepare() {
  lease_end_.clear();
  return put_in_place();
}

Result<void> IptablesLock::take_over(milliseconds lease, std::string_view round) {
  if (auto valid = check_lease(lease); !valid) return valid;
  armed_comment_ = round_comment(round, unix_ms());
  lease_end_ = end_of(lease);
  return put_in_place();
}

Result<void> IptablesLock::put_in_place() {
  for (const Family& family : families_) {
    auto saved = saved_filter_table(netns_, family.programs);
    if (!saved) return Failure(saved.error());
    std::string script = declare_chains(kIptablesChains) + delete_jumps(*saved, kIptablesChains);
    for (const Chain& chain : kChains)
      script += std::string("-I ") + chain.hook + " 1 -j " + std::string(chain.name) + "\n";
    if (!lease_end_.empty()) script += closing_rules(family);
    if (auto done = restore_rules(netns_, family.programs, script + "COMMIT\n"); !done) return done;
  }
  prepared_ = true;
  return {};
}

Result<void> IptablesLock::arm(milliseconds lease, std::string_view round) {
  armed_comment_ = round_comment(round, unix_ms());
  return renew(lease);
}

Result<void> IptablesLock::renew(milliseconds lease) {
  if (auto valid = check_lease(lease); !valid) return valid;
  // Chains that nobody jumps to would lock nothing, and say nothing.
  if (!prepared_)
    return fail(ErrorCode::not_found, "iptables: arm", "the chains are not there: not prepared, or removed");
  lease_end_ = end_of(lease);
  return fill();
}

std::string IptablesLock::closing_rules(const Family& family) const {
  const Closed closed{family.ip,  exempt_,    answered_, comment_option(owner_comment_, armed_comment_),
                      lease_end_, resets_end_};
  std::string rules;
  for (const Chain& chain : kChains) rules += armed_rules(chain, closed);
  return rules;
}

Result<void> IptablesLock::fill() {
  for (const Family& family : families_) {
    const std::string script = declare_chains(kIptablesChains) + closing_rules(family);
    if (auto done = restore_rules(netns_, family.programs, script + "COMMIT\n"); !done) return done;
  }
  return {};
}

Result<void> IptablesLock::disarm() {
  lease_end_.clear();
  resets_end_.clear();
  answered_.clear();
  if (!prepared_) return remove();  // opens it too, and makes no chains where there are none
  for (const Family& family : families_)
    if (auto done = restore_rules(netns_, family.programs, declare_chains(kIptablesChains) + "COMMIT\n"); !done)
      return done;
  return {};
}

Result<void> IptablesLock::remove() {
  prepared_ = false;
  lease_end_.clear();
  for (const Family& family : families_)
    if (auto done = remove_chains(netns_, family.programs, kIptablesChains); !done) return done;
  return {};
}

Result<void> IptablesLock::pass_resets(milliseconds limit, std::span<const Socket> answered) {
  if (auto valid = check_lease(limit); !valid) return valid;
  if (lease_end_.empty()) return {};  // nothing is dropped
  resets_end_ = end_of(limit);
  answered_.insert(answered_.end(), answered.begin(), answered.end());
  return fill();
}

Result<void> IptablesLock::stop_resets() {
  if (resets_end_.empty()) return {};
  resets_end_.clear();
  answered_.clear();
  return lease_end_.empty() ? Result<void>() : fill();
}

}  // namespace lockstep
