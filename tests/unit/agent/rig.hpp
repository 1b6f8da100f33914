/// An agent's core with a clock of its own and a network that does as it is told. Members m1, m2 … live in pods 1, 2 …
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/core/agent_core.hpp"

namespace lockstep::agent::test {

inline const RoundId kRound("r-1");
inline const GroupId kGroup("shop");

[[nodiscard]] inline MemberId member(int number) { return MemberId("m" + std::to_string(number)); }
[[nodiscard]] inline PodId pod(int number) { return {"boot-1", 1000 + static_cast<std::uint64_t>(number)}; }
[[nodiscard]] inline PodPlace place(int number) { return {pod(number), 0, {}}; }
[[nodiscard]] inline Holder holder(int number) { return {kRound, member(number)}; }

/// Remembers every call as a line ("arm 1001 15000"); the calls named in `broken` fail.
class FakeNetwork : public PodNetwork {
 public:
  Result<void> prepare(const PodPlace& where) override { return call("prepare", where.pod, {}); }
  Result<void> arm(const PodId& where, milliseconds lease, const RoundId& /*round*/) override {
    locked.insert(where.netns_inode);
    return call("arm", where, lease);
  }
  Result<void> renew(const PodId& where, milliseconds lease) override { return call("renew", where, lease); }
  [[nodiscard]] bool renews_quickly(const PodId& /*where*/) const override { return quick; }
  Result<void> disarm(const PodId& where) override {
    locked.erase(where.netns_inode);
    return call("disarm", where, {});
  }
  Result<std::vector<InterfaceAddress>> addresses(const PodId& where) override {
    if (auto done = call("addresses", where, {}); !done) return Failure(done.error());
    return std::vector<InterfaceAddress>{{"eth0", IpFamily::v4, {10, 0, 0, 1}, 24}};
  }
  Result<SocketTable> sockets(const PodId& where, const std::vector<std::uint64_t>& inodes) override {
    if (auto done = call("sockets", where, {}); !done) return Failure(done.error());
    SocketTable table;
    for (const std::uint64_t inode : inodes) {
      if (living.contains(inode)) table.emplace_back().inode = inode;
    }
    return table;
  }
  Result<std::vector<NatEntry>> nat_entries(const PodId& where, const SocketTable& connections) override {
    if (auto done = call("nat", where, {}); !done) return Failure(done.error());
    return connections.empty() ? std::vector<NatEntry>() : nat;
  }
  Result<ClosedConnections> close_connections(const PodId& where, const SocketTable& /*connections*/) override {
    if (auto done = call("close", where, {}); !done) return Failure(done.error());
    return closed;
  }
  Result<RestoreCheck> check_for_restore(const PodId& where, const SocketTable& /*wanted*/,
                                         const std::vector<InterfaceAddress>& /*addresses*/) override {
    if (auto done = call("check", where, {}); !done) return Failure(done.error());
    return check;
  }
  std::vector<std::string> take_calls() { return std::exchange(calls, {}); }

  std::vector<std::string> calls;
  std::set<std::string> broken;
  bool gone = false;  ///< the pods are not there any more
  bool quick = false;    ///< renewals take no time
  bool flushed = false;  ///< somebody has taken the locks away
  std::vector<NatEntry> nat;
  ClosedConnections closed;
  RestoreCheck check;
  std::set<std::uint64_t> locked;
  std::set<std::uint64_t> living{11, 12, 21, 22};  ///< inodes of sockets that exist

 private:
  Result<void> call(const std::string& name, const PodId& where, milliseconds lease) {
    calls.push_back(name + " " + std::to_string(where.netns_inode) + (lease.count() != 0 ? " " + std::to_string(lease.count()) : ""));
    if (gone && name == "sockets") return fail(ErrorCode::not_found, name + " pod", "not there");
    if (flushed && name == "renew") return fail(ErrorCode::not_found, name + " pod", "no table");
    if (broken.contains(name)) return fail(ErrorCode::system, name + " pod", "out of order");
    return {};
  }
};

struct Actions {
  std::vector<Action> all;
  [[nodiscard]] std::vector<Message> to_broker() const;
  [[nodiscard]] std::vector<Message> to_hook(HookId hook) const;
  /// "broker < HookEvent pre-dump m1", "hook 1 < Answer go, last"; no log lines, no heartbeats, no Alive.
  [[nodiscard]] std::vector<std::string> lines() const;
  [[nodiscard]] std::string log() const;
};

class Rig {
 public:
  explicit Rig(CoreSettings settings = settings_of_a_sidecar());
  [[nodiscard]] static CoreSettings settings_of_a_sidecar();

  /// Joins a broker of this name.
  Actions join(const std::string& broker = "broker-1");
  Actions hook(HookId id, HookAction action, int number);
  Actions hook_says(HookId id, Message message);
  Actions closed(HookId id);
  Actions criu_gone(std::int32_t pid, std::uint64_t start);
  Actions order(Phase phase, int number, Operation operation = Operation::dump);
  Actions broker_says(Message message);
  /// News on PUB, numbered one after the other unless `skip` are lost before.
  Actions publish(Release release, MemberId about = {}, std::uint64_t skip = 0);
  Actions release(Phase phase, Operation operation = Operation::dump);
  Actions round_ends(Verdict verdict, const std::string& reason = {});
  /// Lets time pass as the shell would; the broker answers heartbeats while it is `alive`.
  Actions pass(milliseconds duration, bool alive = true);
  Actions shut_down();
  /// Its former life has left pod `number` locked for kRound.
  Actions take_over(int number);
  Actions start();
  /// Member `number` has its pod locked, as after the lock phase of a dump.
  void lock(int number);
  /// And has voted: its post-dump hook `id` waits for the decision.
  void vote(HookId id, int number);

  FakeNetwork network;
  [[nodiscard]] AgentCore& core() { return core_; }
  void sleep(milliseconds duration) { now_ += duration; }
  Actions time();

 private:
  Actions take() { return {out_.take()}; }

  TimePoint now_{std::chrono::hours(1)};
  AgentCore core_;
  Outbox out_;
  std::uint64_t published_ = 0;
};

}  // namespace lockstep::agent::test
