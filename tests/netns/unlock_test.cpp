/// The real `lockstep unlock`, on a machine that has nothing but the test's own pods: what it takes away, what it
/// leaves, and what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "agent/kernel/lock_listing.hpp"
#include "agent/kernel/netns_command.hpp"
#include "agent/kernel/pod_lock.hpp"
#include "tests/netns/lock_owners.hpp"
#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

/// Processes, /run/netns and the first network namespace of this process's own: `--all` finds nobody else's pods.
bool leave_the_machine() {
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("proc", "/proc", "proc", 0, nullptr) == 0 && (::mkdir("/run/netns", 0755) == 0 || errno == EEXIST) &&
         ::mount("tmpfs", "/run/netns", "tmpfs", 0, nullptr) == 0;
}

[[noreturn]] void run_and_exit(const std::function<void()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int code = leave_the_machine() ? 0 : 2;
  try {
    if (code == 0) body();
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    code = 1;
  }
  std::fflush(nullptr);
  ::_exit(code == 0 && ::testing::Test::HasFailure() ? 1 : code);
}

/// Runs `body` in a child that is the first process of a machine of its own.
void on_a_machine_of_its_own(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET) != 0) ::_exit(2);
    const pid_t first = ::fork();
    if (first == 0) run_and_exit(body);
    int status = 0;
    ::waitpid(first, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: see above; 2: no machine of its own; 3: killed";
}

/// A network namespace with a name in /run/netns.
class Pod {
 public:
  explicit Pod(const std::string& name) : path_("/run/netns/" + name) {
    std::ofstream(path_).flush();
    if (::mount(netns_.path().c_str(), path_.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      throw std::runtime_error("bind " + path_);
    }
  }

  void lock(const LockOwner& owner, const std::string& round = "r1") {
    // Never removed by its maker: a lock that is dropped stays, as that of a killed agent.
    must(must(create_pod_lock(netns_.fd(), LockBackend::nftables, {}, owner))->arm(seconds(60), round));
  }
  [[nodiscard]] bool open() const { return UdpFlow(netns_, netns_, "127.0.0.1", 7001).passes(milliseconds(100)); }
  [[nodiscard]] std::string ruleset() const { return netns_.run({"nft", "list", "ruleset"}); }
  [[nodiscard]] const TestNetns& netns() const { return netns_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string inode() const { return std::to_string(must(netns_inode(netns_.fd()))); }

 private:
  TestNetns netns_;
  std::string path_;
};

CommandOutcome unlock(std::vector<std::string> arguments) {
  const TestNetns outside;
  arguments.insert(arguments.begin(), {LOCKSTEP_PATH, "unlock"});
  return must(run_in_netns(outside.fd(), arguments, {}, seconds(10)));
}

nlohmann::json report_of(const CommandOutcome& outcome) {
  auto report = nlohmann::json::parse(outcome.output, nullptr, false);
  if (report.is_discarded()) throw std::runtime_error("no JSON: " + outcome.output + outcome.errors);
  return report;
}

std::vector<std::string> texts(const nlohmann::json& list) { return list.get<std::vector<std::string>>(); }

TEST(Unlock, AllTakesEveryStaleLockAndNothingElse) {
  on_a_machine_of_its_own([] {
    Pod web("web");
    Pod database("database");
    Pod other("other");
    web.lock(dead_owner("web-agent"));
    database.lock({}, "r2");  // nobody knows whose
    const std::string rules =
        "table inet CRIU-4711 { chain c { type filter hook input priority 0; }\n}\n"
        "table inet filter { chain c { type filter hook input priority 0; }\n}\n";
    for (const Pod* pod : {&database, &other}) pod->netns().run({"nft", "-f", "-"}, rules);
    ASSERT_FALSE(web.open());
    ASSERT_FALSE(database.open());
    const std::string before = other.ruleset();

    const CommandOutcome first = unlock({"--all", "--output", "json"});
    EXPECT_EQ(first.exit_code, 0) << first.errors;
    EXPECT_EQ(first.errors, "");
    const auto report = report_of(first);
    EXPECT_THAT(texts(report["removed"]),
                UnorderedElementsAre(
                    AllOf(HasSubstr("nftables"), HasSubstr("web"), HasSubstr(web.inode()), HasSubstr("(armed)")),
                    AllOf(HasSubstr("database"), HasSubstr(database.inode()), HasSubstr("(armed)"))));
    EXPECT_THAT(texts(report["warnings"]), IsEmpty());
    EXPECT_THAT(texts(report["errors"]), IsEmpty());
    EXPECT_TRUE(web.open());
    EXPECT_TRUE(database.open());
    EXPECT_EQ(web.ruleset(), "");
    EXPECT_EQ(database.ruleset(), before) << "only lockstep's own is taken";
    EXPECT_EQ(other.ruleset(), before);

    const CommandOutcome second = unlock({"--all"});
    EXPECT_EQ(second.exit_code, 0);
    EXPECT_EQ(second.output, "no locks\n");
    EXPECT_THAT(texts(report_of(unlock({"--all", "--output", "json"}))["removed"]), IsEmpty());
  });
}

TEST(Unlock, OnePodByPathOrInodeLeavesTheOthers) {
  on_a_machine_of_its_own([] {
    Pod web("web");
    Pod database("database");
    for (Pod* pod : {&web, &database}) pod->lock(dead_owner("node"));
    const std::string before = database.ruleset();

    const CommandOutcome by_path = unlock({"--pod", web.path()});
    EXPECT_EQ(by_path.exit_code, 0) << by_path.errors;
    EXPECT_THAT(by_path.output, AllOf(HasSubstr("removed nftables"), HasSubstr("web"), HasSubstr(web.inode())));
    EXPECT_TRUE(web.open());
    EXPECT_FALSE(database.open());
    EXPECT_THAT(database.ruleset(), HasSubstr("round=r1"));

    const CommandOutcome by_inode = unlock({"--pod", database.inode(), "--output", "json"});
    EXPECT_EQ(by_inode.exit_code, 0) << by_inode.errors;
    EXPECT_THAT(texts(report_of(by_inode)["removed"]), ElementsAre(HasSubstr("database")));
    EXPECT_TRUE(database.open());
  });
}

/// What `lockstep unlock --help` promises: taken away, but never in silence.
TEST(Unlock, ALockOfALivingAgentGoesWithAWarning) {
  on_a_machine_of_its_own([] {
    const LockOwner living = this_process("web-agent");
    const auto warning = AllOf(HasSubstr("web-agent (pid " + std::to_string(::getpid()) + ") is alive"),
                               HasSubstr("lock net:["), HasSubstr("round r1"));
    Pod web("web");
    Pod database("database");
    database.lock(dead_owner("database-agent"));
    web.lock(living);
    const CommandOutcome all = unlock({"--all", "--output", "json"});
    EXPECT_EQ(all.exit_code, 0) << "it was removed";
    const auto report = report_of(all);
    EXPECT_EQ(report["removed"].size(), 2U);
    EXPECT_THAT(texts(report["warnings"]), ElementsAre(warning)) << "of the living one alone";
    EXPECT_THAT(all.errors, AllOf(HasSubstr("lockstep: warning: "), warning));
    EXPECT_TRUE(web.open());

    web.lock(living);
    const CommandOutcome one = unlock({"--pod", web.path()});
    EXPECT_EQ(one.exit_code, 0);
    EXPECT_THAT(one.output, HasSubstr("removed "));
    EXPECT_THAT(one.errors, AllOf(HasSubstr("lockstep: warning: "), warning));
    EXPECT_TRUE(web.open());
  });
  EXPECT_THAT(unlock({"--help"}).output, HasSubstr("also a lock whose agent lives is removed, with a warning"));
}

TEST(Unlock, WrongArgumentsTakeNothingAway) {
  on_a_machine_of_its_own([] {
    Pod web("web");
    web.lock(dead_owner("node"));
    const std::vector<std::vector<std::string>> wrong{{},
                                                      {"--all", "--pod", web.path()},
                                                      {"--pod", ""},
                                                      {"--all", "--output", "xml"},
                                                      {"--pod", "/run/netns/nobody"},
                                                      {"--pod", "1"}};
    for (const auto& arguments : wrong) {
      const CommandOutcome outcome = unlock(arguments);
      EXPECT_EQ(outcome.exit_code, 2) << ::testing::PrintToString(arguments);
      EXPECT_NE(outcome.errors, "") << ::testing::PrintToString(arguments);
    }
    const auto report = report_of(unlock({"--pod", "1", "--output", "json"}));
    EXPECT_THAT(texts(report["removed"]), IsEmpty());
    EXPECT_THAT(texts(report["errors"]), ElementsAre(HasSubstr("network namespace 1")));
    EXPECT_FALSE(web.open());
  });
}

}  // namespace
}  // namespace lockstep::testing
