/// A table of what may go wrong with whom at which phase, with real CRIU and real processes. After each: nobody is
/// frozen or locked, all members have the same end, the application has lost no byte or was cleanly refused, what went
/// wrong is named, and the next round succeeds.
///
/// In each case the server's hook is held back at one phase, so that the client's side of the round (hook, CRIU, agent)
/// and the broker wait there. Then one of them is hit.
#include <signal.h>

#include "tests/e2e/end_to_end.hpp"
#include "tests/e2e/faults/held_round.hpp"
#include "tests/e2e/harness/small_disk.hpp"

namespace lockstep::e2e {
namespace {

/// Long enough for a machine that is busy with other things.
constexpr auto kLongestWait = 30s;

/// The broker's, and what a round lives by, so that nobody waits longer than a case may take.
constexpr auto kSilence = 2s;  // as the next line says
const std::string kBrokerSettings = "silence: 2s\nheartbeat: 250ms\n";
const std::string kBounds = "deadlines: {prepare: 10s, lock: 10s, commit: 15s, finish: 5s}\nlease: 8s\n";
/// For faults that nothing but a deadline ends.
const std::string kTightBounds = "deadlines: {prepare: 4s, lock: 4s, commit: 4s, finish: 4s}\nlease: 8s\n";

enum class Kind { dump, dump_and_kill, restore };
enum class Victim { broker, agent, hook, criu, agent_and_broker, network, images_disk, journal_disk };
enum class Blow { kill, stop, terminate, cut, fill };

struct Case {
  Kind kind;
  const char* action;  ///< of the hook that is held back
  Victim victim;
  Blow blow;
};

std::string name_of(const Case& row) {
  static constexpr std::array kKinds{"Dump", "DumpAndKill", "Restore"};
  static constexpr std::array kVictims{"Broker",         "Agent",   "Hook",       "Criu",
                                       "AgentAndBroker", "Network", "ImagesDisk", "JournalDisk"};
  static constexpr std::array kBlows{"Killed", "Stopped", "Terminated", "Cut", "Full"};
  std::string name = std::string(kKinds[static_cast<std::size_t>(row.kind)]) + "_" + row.action + "_" +
                     kVictims[static_cast<std::size_t>(row.victim)] + kBlows[static_cast<std::size_t>(row.blow)];
  std::ranges::replace(name, '-', '_');
  return name;
}

void PrintTo(const Case& row, std::ostream* out) { *out << name_of(row); }

std::vector<Case> table() {
  std::vector<Case> rows;
  const std::array dump{"pre-dump", "network-lock", "post-dump", "network-unlock"};
  const std::array restore{"pre-restore", "setup-namespaces", "post-restore", "network-unlock"};
  for (const auto& [kind, actions] : {std::pair{Kind::dump, dump}, {Kind::restore, restore}}) {
    for (const char* action : actions) {
      for (const Victim victim : {Victim::broker, Victim::agent, Victim::hook, Victim::criu}) {
        // CRIU that is killed amid sockets in repair mode loses them, and with them the application: README, Limits.
        const bool in_repair = kind == Kind::dump && (action == dump[2] || action == dump[3]);
        if (victim != Victim::criu || !in_repair) rows.push_back({kind, action, victim, Blow::kill});
      }
      for (const Victim victim : {Victim::broker, Victim::agent}) rows.push_back({kind, action, victim, Blow::stop});
    }
    for (const char* action : {actions[1], actions[2]}) {
      for (const Victim victim : {Victim::hook, Victim::criu}) rows.push_back({kind, action, victim, Blow::stop});
    }
    rows.push_back({kind, actions[2], Victim::agent, Blow::terminate});
    rows.push_back({kind, actions[2], Victim::agent_and_broker, Blow::kill});
    rows.push_back({kind, actions[1], Victim::network, Blow::cut});
    rows.push_back({kind, actions[2], Victim::network, Blow::cut});
    rows.push_back({kind, actions[3], Victim::network, Blow::cut});
  }
  for (const Victim victim : {Victim::broker, Victim::agent, Victim::agent_and_broker}) {
    rows.push_back({Kind::dump_and_kill, dump[2], victim, Blow::kill});
  }
  rows.push_back({Kind::dump_and_kill, dump[2], Victim::images_disk, Blow::fill});
  rows.push_back({Kind::dump_and_kill, dump[0], Victim::images_disk, Blow::fill});
  rows.push_back({Kind::dump_and_kill, dump[2], Victim::journal_disk, Blow::fill});
  rows.push_back({Kind::restore, restore[2], Victim::journal_disk, Blow::fill});
  return rows;
}

class Faults : public EndToEnd, public ::testing::WithParamInterface<Case> {
 protected:
  Faults()
      : cluster_(2, Agents::sidecars, kBrokerSettings),
        traffic_(cluster_.dir(), cluster_.network(), {.rate = 500}),
        hook_(cluster_.dir() / "hold") {}

  [[nodiscard]] std::string group(const std::string& bounds) const {
    return cluster_.write_group(traffic_.group(), bounds + hook_.setting());
  }

  /// Opens the round, and returns when it stands still; the client's hook waits for the server's.
  void begin_round() {
    const Case& row = GetParam();
    const std::string file = group(row.blow == Blow::stop ? kTightBounds : kBounds);
    before_ = traffic_.snapshot();
    pids_ = traffic_.pids();
    hook_.hold("server", row.action);
    std::vector<std::string> command{program("lockstep"), row.kind == Kind::restore ? "restore" : "checkpoint", file};
    if (row.kind == Kind::dump) command.emplace_back("--leave-running");
    round_.emplace(Process::start({.command = command, .log = cluster_.dir() / "round.log"}));
    ASSERT_TRUE(wait_until([&] { return hook_.holds(); }, kLongestWait)) << read_file(round_->log());
    waiting_ = await_hook(cluster_, "client0", row.action);
    ASSERT_TRUE(waiting_) << "the client's hook does not wait: " << read_file(round_->log());
  }

  void strike() {
    const Blow blow = GetParam().blow;
    const int number = blow == Blow::kill ? SIGKILL : blow == Blow::stop ? SIGSTOP : SIGTERM;
    switch (GetParam().victim) {
      case Victim::broker:
        cluster_.broker().signal(number);
        if (blow != Blow::stop) (void)cluster_.broker().wait(kLongestWait);
        return;
      case Victim::agent:
        cluster_.agent(1).signal(number);
        if (blow != Blow::stop) (void)cluster_.agent(1).wait(kLongestWait);
        return;
      case Victim::agent_and_broker:
        cluster_.agent(1).kill();
        cluster_.broker().kill();
        return;
      case Victim::hook: ::kill(waiting_->pid, number); return;
      case Victim::criu: ::kill(waiting_->criu, number); return;
      case Victim::network: must_run({"nft", "-f", cut_file()}, cluster_.network().hub().path()); return;
      case Victim::images_disk: images_disk_->fill(); return;
      case Victim::journal_disk: journal_disk_->fill(); return;
    }
  }

  /// What was killed is started again; a hook and a CRIU are not. At once, as its supervisor would.
  void restart_the_dead() {
    const Victim victim = GetParam().victim;
    if (GetParam().blow != Blow::kill && GetParam().blow != Blow::terminate) return;
    if (victim == Victim::broker || victim == Victim::agent_and_broker) cluster_.start_broker();
    if (victim == Victim::agent || victim == Victim::agent_and_broker) cluster_.start_agent(1);
  }

  /// What was stopped goes on, what was cut is joined, when everybody else has given it up.
  void mend() {
    switch (GetParam().blow) {
      case Blow::stop:
        await_end_for_the_others();
        if (GetParam().victim == Victim::broker) cluster_.broker().signal(SIGCONT);
        if (GetParam().victim == Victim::agent) cluster_.agent(1).signal(SIGCONT);
        if (GetParam().victim == Victim::hook) ::kill(waiting_->pid, SIGCONT);
        if (GetParam().victim == Victim::criu) ::kill(waiting_->criu, SIGCONT);
        return;
      case Blow::cut:
        await_end_for_the_others();
        must_run({"nft", "delete", "table", "inet", "cut"}, cluster_.network().hub().path());
        return;
      default: return;
    }
  }

  /// The broker has ended the round without whom it can't hear; where it is the broker: its agents have missed it.
  void await_end_for_the_others() const {
    if (GetParam().victim == Victim::broker) {
      const auto missed = [&] {
        return read_file(cluster_.dir() / "agent-0-1.log").find("has not been heard") != std::string::npos;
      };
      EXPECT_TRUE(wait_until(missed, kLongestWait));
      return;
    }
    const std::string round = "round " + waiting_->round;
    const auto ended = [&] {
      const std::string log = read_file(cluster_.dir() / "broker.log");
      return log.find(round + " complete") != std::string::npos ||
             log.find(round + " of group e2e aborted") != std::string::npos;
    };
    EXPECT_TRUE(wait_until(ended, kLongestWait)) << read_file(cluster_.dir() / "broker.log");
  }

  // --- afterwards ---------------------------------------------------------------------------------------------------

  /// 0, 1 or 3; the report says why it is not 0.
  int await_round() {
    const auto code = round_->wait(kLongestWait);
    EXPECT_TRUE(code) << "lockstep itself hangs";
    report_ = read_file(round_->log());
    return code.value_or(-1);
  }

  [[nodiscard]] std::size_t recorded() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        traffic_.members(), [&](const auto& member) { return std::filesystem::exists(cluster_.record_of(member)); }));
  }
  [[nodiscard]] std::size_t alive() const {
    return static_cast<std::size_t>(std::ranges::count_if(pids_, [](pid_t pid) { return exists(pid); }));
  }

  /// A hook or CRIU that dies after the decision takes what is left of its own member with it, and of no other. So does
  /// a CRIU that is killed amid a restore: what it has made of the tree by then stays behind (README, Limits).
  [[nodiscard]] bool member_may_be_lost() const {
    const Case& row = GetParam();
    const std::string action = row.action;
    if (row.blow != Blow::kill) return false;
    if (row.victim == Victim::criu && row.kind == Kind::restore) return action != "pre-restore";
    const bool late = action == "network-unlock" || action.starts_with("post-");
    return late && (row.victim == Victim::criu || row.victim == Victim::hook);
  }

  void expect_one_end_of_dump(int code) {
    const std::size_t named = recorded();
    EXPECT_TRUE(named == 0 || named == traffic_.members().size() || member_may_be_lost())
        << named << " members have a record\n"
        << report_;
    if (code == 0) {
      EXPECT_EQ(named, traffic_.members().size()) << report_;
    } else {
      EXPECT_THAT(report_, HasSubstr("client0")) << "whoever failed is named, or everybody";
    }
    if (GetParam().kind == Kind::dump || named == 0) {
      EXPECT_EQ(alive(), pids_.size()) << "a member was killed by a round that has not committed\n" << report_;
      EXPECT_THAT(traffic_.await_flow(before_, kLongestWait), IsEmpty()) << report_;
    } else {
      EXPECT_TRUE(wait_until([&] { return alive() == 0; }, kLongestWait)) << report_;
    }
  }

  /// True: committed. Else nothing is left of the members, whose images stay.
  bool expect_one_end_of_restore(int code) {
    const auto one_end = [&] { return alive() == 0 || (alive() == pids_.size() && code == 0); };
    const auto patience = member_may_be_lost() ? 2s : 10s;
    (void)wait_until(one_end, patience);
    if (code == 0) {
      EXPECT_THAT(traffic_.await_flow(before_, kLongestWait), IsEmpty()) << report_;
      return true;
    }
    if (alive() == pids_.size() && traffic_.await_flow(before_, patience).empty())
      return true;  // but for what the report says
    EXPECT_THAT(report_, HasSubstr("client0")) << "whoever failed is named, or everybody";
    EXPECT_TRUE(alive() == 0 || member_may_be_lost()) << alive() << " members are there\n" << report_;
    end_what_is_left();
    return false;
  }

  /// As the report says to do: of members that have lost the others, and their sockets, which a restore would stumble
  /// over.
  void end_what_is_left() {
    if (alive() == 0) return;
    expect_unlocked(cluster_, kLongestWait);  // so that their ends hear of one another
    for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
    EXPECT_TRUE(traffic_.await_gone(pids_));
    for (std::size_t pod = 0; pod < cluster_.network().size(); ++pod) {
      std::string sockets;
      const auto none = [&] {
        // The prepare of a restore clears those in TIME-WAIT.
        sockets = run_command({"ss", "-Htan", "exclude", "time-wait"}, 10s, cluster_.network().pod(pod).path()).out;
        return sockets.find(":9000") == std::string::npos;
      };
      EXPECT_TRUE(wait_until(none, kLongestWait)) << sockets;
    }
  }

  /// After a cut the agent may still be about to give the broker up: TCP repeats itself late, and then less and less.
  void await_word_of_the_broker() const {
    std::this_thread::sleep_for(kSilence + 500ms);
    const auto joined = [&] {
      const std::string log = read_file(cluster_.dir() / "agent-1-1.log");
      const std::size_t lost = log.rfind("has not been heard");
      return lost == std::string::npos || log.find("joined broker", lost) != std::string::npos;
    };
    EXPECT_TRUE(wait_until(joined, kLongestWait)) << read_file(cluster_.dir() / "agent-1-1.log");
  }

  void expect_next_round() {
    const std::string file = group(kBounds);
    cluster_.wait_for_agents();
    if (GetParam().blow == Blow::cut) await_word_of_the_broker();
    if (alive() == 0) {
      ASSERT_NO_FATAL_FAILURE(restore(cluster_, traffic_, file));
    }
    const CommandResult next = cluster_.lockstep({"checkpoint", file, "--leave-running"});
    EXPECT_EQ(next.exit_code, 0) << next.out << next.err;
    expect_unlocked(cluster_);
    expect_good_end(cluster_, traffic_);
  }

  [[nodiscard]] std::string cut_file() const {
    const std::string agent = Network::address4(1);
    write_file(cluster_.dir() / "cut.nft",
               "table inet cut {\n"
               "  chain in { type filter hook input priority -300; ip saddr " +
                   agent +
                   " drop; }\n"
                   "  chain out { type filter hook output priority -300; ip daddr " +
                   agent + " drop; }\n}\n");
    return cluster_.dir() / "cut.nft";
  }

  Cluster cluster_;
  Traffic traffic_;
  HoldingHook hook_;
  std::optional<SmallDisk> images_disk_;
  std::optional<SmallDisk> journal_disk_;
  std::optional<Process> round_;
  std::optional<WaitingHook> waiting_;
  traffic::Snapshot before_;
  std::vector<pid_t> pids_;
  std::string report_;
};

TEST_P(Faults, LeaveOneEndAndAFreshStart) {
  const Case& row = GetParam();
  if (row.victim == Victim::images_disk) images_disk_.emplace(cluster_.images_of("client0"), "64m");
  if (row.victim == Victim::journal_disk) {
    cluster_.broker().stop();
    journal_disk_.emplace(cluster_.dir() / "journal");
    cluster_.start_broker();
    cluster_.wait_for_agents();
  }
  if (row.kind == Kind::restore) {
    ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster_, traffic_, group(kBounds)));
  }
  ASSERT_NO_FATAL_FAILURE(begin_round());
  strike();
  restart_the_dead();
  hook_.let_go();
  mend();
  const int code = await_round();
  if (row.kind == Kind::restore) {
    (void)expect_one_end_of_restore(code);
  } else {
    expect_one_end_of_dump(code);
  }
  expect_unlocked(cluster_, kLongestWait);
  if (images_disk_) images_disk_->empty();
  if (journal_disk_) journal_disk_->empty();
  expect_next_round();
}

INSTANTIATE_TEST_SUITE_P(Table, Faults, ::testing::ValuesIn(table()),
                         [](const auto& row) { return name_of(row.param); });

/// The decision of a dump-and-kill is there, its CRIU has not killed the tree yet, and the agent is restarted: the pod
/// stays locked until the tree's sockets are gone.
using FoundLocks = EndToEnd;

TEST_F(FoundLocks, OfADecidedRoundStayUntilTheSocketsAreGone) {
  Cluster cluster(2, Agents::sidecars, kBrokerSettings);
  const Traffic traffic(cluster.dir(), cluster.network(), {.rate = 500});
  const HoldingHook hook(cluster.dir() / "hold");
  const std::string bounds = "deadlines: {prepare: 10s, lock: 10s, commit: 15s, finish: 60s}\nlease: 8s\n";
  const std::string group = cluster.write_group(traffic.group(), bounds + hook.setting());
  const std::vector<pid_t> pids = traffic.pids();
  hook.hold("server", "post-dump");
  Process round =
      Process::start({.command = {program("lockstep"), "checkpoint", group}, .log = cluster.dir() / "round.log"});
  ASSERT_TRUE(wait_until([&] { return hook.holds(); }, kLongestWait));
  const auto waiting = await_hook(cluster, "client0", "post-dump");
  ASSERT_TRUE(waiting);
  ::kill(waiting->criu, SIGSTOP);
  hook.let_go();
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(cluster.record_of("client0")); }, kLongestWait));
  ASSERT_TRUE(wait_until([&] { return !cluster.locked(0); }, kLongestWait)) << "the server's tree is gone";

  cluster.agent(1).kill();
  cluster.start_agent(1);
  cluster.wait_for_agents();
  EXPECT_THAT(read_file(cluster.dir() / "agent-1-2.log"), HasSubstr("was left locked for round " + waiting->round));
  std::this_thread::sleep_for(9s);  // longer than the lease: it is renewed
  EXPECT_TRUE(cluster.locked(1));
  EXPECT_TRUE(exists(traffic.pid_of("client0")));

  ::kill(waiting->criu, SIGCONT);
  EXPECT_EQ(round.wait(kLongestWait), 0) << read_file(round.log());
  expect_unlocked(cluster, 5s);
  ASSERT_TRUE(traffic.await_gone(pids));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

}  // namespace
}  // namespace lockstep::e2e
