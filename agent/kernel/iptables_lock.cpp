#include "agent/kernel/iptables_lock.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <sstream>

#include "agent/kernel/netns_command.hpp"
#include "agent/kernel/pod_lock_checks.hpp"

namespace lockstep {
namespace {

constexpr milliseconds kCommandLimit = seconds(5);

struct Chain {
  const char* name;
  const char* hook;     ///< the built-in chain that jumps to it
  const char* address;  ///< the options that match the far end
  const char* port;
};
constexpr std::array kChains{Chain{"LOCKSTEP-IN", "INPUT", "-s", "--sport"},
                             Chain{"LOCKSTEP-OUT", "OUTPUT", "-d", "--dport"}};

/// Empty when it is in no folder of PATH, nor in those where iptables lives and PATH often does not point.
std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders((path != nullptr ? path : "") + std::string(":/usr/sbin:/sbin"));
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = folder + "/" + name;
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

Result<IptablesPrograms> find_programs(const std::string& base) {
  IptablesPrograms programs{find_program(base + "-restore"), find_program(base + "-save")};
  if (programs.restore.empty() || programs.save.empty())
    return fail(ErrorCode::not_found, "find " + base + "-restore and " + base + "-save", "install iptables");
  return programs;
}

std::string address_text(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(endpoint.family == IpFamily::v4 ? AF_INET : AF_INET6, endpoint.address.data(), text, sizeof text);
  return text;
}

/// UTC, as `--datestop` takes it, at or after now + lease.
std::string lease_end(milliseconds lease) {
  const auto end = std::chrono::ceil<seconds>(std::chrono::system_clock::now() + lease);
  const std::time_t time = std::chrono::system_clock::to_time_t(end);
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  return text;
}

/// RETURN, not ACCEPT: what we let through still has to pass the pod's own rules.
std::string armed_rules(const Chain& chain, IpFamily family, const std::vector<Endpoint>& exempt,
                        const std::string& end) {
  const std::string append = std::string("-A ") + chain.name;
  std::ostringstream rules;
  rules << append << " -m mark --mark 0x" << std::hex << kCriuMark << std::dec << " -j RETURN\n";
  if (family == IpFamily::v6)
    for (int type = 133; type <= 136; ++type)
      rules << append << " -p ipv6-icmp -m icmp6 --icmpv6-type " << type << " -j RETURN\n";
  for (const Endpoint& peer : exempt)
    if (peer.family == family)
      rules << append << " -p tcp " << chain.address << ' ' << address_text(peer) << " -m tcp " << chain.port << ' '
            << peer.port << " -j RETURN\n";
  rules << append << " -m time --datestop " << end << " -j DROP\n";
  return rules.str();
}

/// For iptables-restore --noflush, a declared chain of a user's is one that is made, or emptied.
std::string declare_chains() {
  std::string text = "*filter\n";
  for (const Chain& chain : kChains) text += std::string(":") + chain.name + " - [0:0]\n";
  return text;
}

/// Deletions of all the jumps to our chains that iptables-save shows: iptables can't say "delete it if it is there".
std::string delete_jumps(const std::string& saved) {
  std::string text;
  std::istringstream lines(saved);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("-A ")) continue;
    for (const Chain& chain : kChains)
      if (line.ends_with(std::string(" -j ") + chain.name) || line.ends_with(std::string(" -g ") + chain.name))
        text += "-D " + line.substr(3) + "\n";
  }
  return text;
}

/// Runs one of the programs; what it prints. Its complaints become the error's text, on one line.
Result<std::string> run_program(const Fd& netns, const std::vector<std::string>& arguments, const std::string& input) {
  auto outcome = run_in_netns(netns, arguments, input, kCommandLimit);
  if (!outcome) return fail_from(outcome.error(), "iptables");
  if (outcome->exit_code == 0) return std::move(outcome->output);
  std::string operation = "run";
  for (const std::string& argument : arguments) operation += " " + argument;
  while (outcome->errors.ends_with('\n')) outcome->errors.pop_back();
  std::replace(outcome->errors.begin(), outcome->errors.end(), '\n', ' ');
  return fail(ErrorCode::system, operation + ": exit code " + std::to_string(outcome->exit_code), outcome->errors);
}

}  // namespace

Result<std::unique_ptr<PodLock>> IptablesLock::create(const Fd& netns, std::vector<Endpoint> exempt,
                                                      std::string_view flavour) {
  if (auto valid = check_exempt(exempt); !valid) return Failure(valid.error());
  Fd own(::fcntl(netns.get(), F_DUPFD_CLOEXEC, 3));
  if (!own) return fail_errno("fcntl F_DUPFD_CLOEXEC of a network namespace");
  auto v4 = find_programs("iptables" + std::string(flavour));
  if (!v4) return Failure(v4.error());
  std::vector<Family> families{{IpFamily::v4, std::move(*v4)}};
  if (::access("/proc/sys/net/ipv6", F_OK) == 0) {  // a kernel without IPv6 has none to lock
    auto v6 = find_programs("ip6tables" + std::string(flavour));
    if (!v6) return Failure(v6.error());
    families.push_back({IpFamily::v6, std::move(*v6)});
  }
  return std::unique_ptr<PodLock>(new IptablesLock(std::move(own), std::move(families), std::move(exempt)));
}

Result<void> IptablesLock::prepare() {
  for (const Family& family : families_) {
    auto saved = saved_rules(family);
    if (!saved) return Failure(saved.error());
    std::string script = declare_chains() + delete_jumps(*saved);
    for (const Chain& chain : kChains) script += std::string("-I ") + chain.hook + " 1 -j " + chain.name + "\n";
    if (auto done = restore(family, script + "COMMIT\n"); !done) return done;
  }
  prepared_ = true;
  return {};
}

Result<void> IptablesLock::arm(milliseconds lease) {
  if (auto valid = check_lease(lease); !valid) return valid;
  // Chains that nobody jumps to would lock nothing, and say nothing.
  if (!prepared_)
    return fail(ErrorCode::not_found, "iptables: arm", "the chains are not there: not prepared, or removed");
  const std::string end = lease_end(lease);
  for (const Family& family : families_) {
    std::string script = declare_chains();
    for (const Chain& chain : kChains) script += armed_rules(chain, family.ip, exempt_, end);
    if (auto done = restore(family, script + "COMMIT\n"); !done) return done;
  }
  return {};
}

Result<void> IptablesLock::disarm() {
  if (!prepared_) return remove();  // opens it too, and makes no chains where there are none
  for (const Family& family : families_)
    if (auto done = restore(family, declare_chains() + "COMMIT\n"); !done) return done;
  return {};
}

Result<void> IptablesLock::remove() {
  prepared_ = false;
  for (const Family& family : families_) {
    auto saved = saved_rules(family);
    if (!saved) return Failure(saved.error());
    if (saved->find("LOCKSTEP-") == std::string::npos) continue;
    std::string script = declare_chains() + delete_jumps(*saved);
    for (const Chain& chain : kChains) script += std::string("-X ") + chain.name + "\n";
    if (auto done = restore(family, script + "COMMIT\n"); !done) return done;
  }
  return {};
}

Result<std::string> IptablesLock::saved_rules(const Family& family) const {
  return run_program(netns_, {family.programs.save, "-t", "filter"}, {});
}

Result<void> IptablesLock::restore(const Family& family, const std::string& script) const {
  auto output = run_program(netns_, {family.programs.restore, "--noflush", "-w"}, script);
  if (!output) return Failure(output.error());
  return {};
}

}  // namespace lockstep
