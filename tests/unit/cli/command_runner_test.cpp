#include "cli/commands/command_runner.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <fstream>
#include <thread>

#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

using namespace std::chrono_literals;

class CommandRunnerTest : public testing::Test {
 protected:
  CommandRunnerTest() : plan_(2) {
    for (PlannedCommands& member : plan_) member.folder = folder_.path();
    plan_[0].folder = folder_ / "a";
    std::filesystem::create_directory(plan_[0].folder);
  }

  void add(std::size_t member, CommandMoment moment, const std::string& script, milliseconds timeout = 10s) {
    plan_[member].commands.push_back({moment, true, false, {"/bin/sh", "-c", script}, script, timeout});
  }

  /// Runs a moment to its end; what the members' reports were, by member.
  std::map<std::size_t, CommandReport> run(CommandMoment moment, const std::vector<std::string>& more = {}) {
    CommandRunner runner(plan_);
    (void)runner.begin(moment, more);
    return finish(runner);
  }

  static std::map<std::size_t, CommandReport> finish(CommandRunner& runner) {
    std::map<std::size_t, CommandReport> reports;
    const TimePoint end = Clock::now() + 20s;
    while (runner.any_process() && Clock::now() < end) {
      std::vector<zmq::pollitem_t> items;
      runner.add_to(items);
      zmq::poll(items, 20ms);
      runner.turn();
    }
    for (auto& told : runner.take_reports()) reports.emplace(told.member, told.report);
    return reports;
  }

  /// A zombie of init's, at the most.
  static bool ends(pid_t pid) {
    const auto lives = [&] {
      std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
      std::string status;
      std::getline(file, status);  // fails quietly for one that ends meanwhile
      return !status.empty() && status.find(") Z") == std::string::npos;
    };
    const TimePoint end = Clock::now() + 10s;
    while (lives() && Clock::now() < end) std::this_thread::sleep_for(10ms);
    return !lives();
  }

  test::TempDir folder_;
  std::vector<PlannedCommands> plan_;
};

TEST_F(CommandRunnerTest, HasNothingToDoWithoutCommandsOfTheMoment) {
  add(0, CommandMoment::frozen, "exit 0");
  CommandRunner runner(plan_);
  EXPECT_FALSE(runner.begin(CommandMoment::prepare, {}));
  EXPECT_FALSE(runner.busy());
  EXPECT_TRUE(runner.take_reports().empty());
  const std::vector<PlannedCommands> nobody;
  CommandRunner idle(nobody);
  EXPECT_FALSE(idle.begin(CommandMoment::frozen, {}));
}

TEST_F(CommandRunnerTest, RunsThoseOfAMemberOneAfterAnotherAndTellsTheirOutput) {
  const std::string file = folder_ / "order";
  add(0, CommandMoment::frozen, "sleep 0.2; echo first >> " + file + "; echo one");
  add(0, CommandMoment::prepare, "echo never >> " + file);
  add(0, CommandMoment::frozen, "echo second >> " + file + "; echo two >&2");
  const auto reports = run(CommandMoment::frozen);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports.at(0).state, CommandState::succeeded);
  ASSERT_EQ(reports.at(0).commands.size(), 2U);
  EXPECT_EQ(reports.at(0).commands[0].output, "one\n");
  EXPECT_GE(reports.at(0).commands[0].duration_ms, 200U);
  EXPECT_EQ(reports.at(0).commands[1].output, "two\n");
  EXPECT_EQ(test::read_file(file), "first\nsecond\n");
  EXPECT_EQ(test::read_file(folder_ / "a/command-frozen-3.out"), "two\n");
}

TEST_F(CommandRunnerTest, RunsThoseOfDifferentMembersSideBySide) {
  // Each waits for the other.
  const std::string left = folder_ / "left";
  const std::string right = folder_ / "right";
  const auto wait = [](const std::string& make, const std::string& await) {
    return "touch " + make + "; while [ ! -e " + await + " ]; do sleep 0.01; done";
  };
  add(0, CommandMoment::frozen, wait(left, right));
  add(1, CommandMoment::frozen, wait(right, left));
  const auto reports = run(CommandMoment::frozen);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports.at(0).state, CommandState::succeeded);
  EXPECT_EQ(reports.at(1).state, CommandState::succeeded);
}

TEST_F(CommandRunnerTest, StopsAtTheFirstThatFails) {
  add(0, CommandMoment::frozen, "echo no room; exit 3");
  add(0, CommandMoment::frozen, "touch " + folder_ / "later");
  const auto reports = run(CommandMoment::frozen);
  EXPECT_EQ(reports.at(0).state, CommandState::failed);
  ASSERT_EQ(reports.at(0).commands.size(), 1U);
  EXPECT_FALSE(reports.at(0).commands[0].ok);
  EXPECT_EQ(reports.at(0).commands[0].output, "exit code 3\nno room\n");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "later"));
}

TEST_F(CommandRunnerTest, CountsAProgramThatIsNotThereAsFailed) {
  add(0, CommandMoment::frozen, "");
  plan_[0].commands[0].argv = {"/nonexistent/program"};
  const auto reports = run(CommandMoment::frozen);
  EXPECT_EQ(reports.at(0).state, CommandState::failed);
  EXPECT_EQ(reports.at(0).commands[0].output, "start /nonexistent/program: No such file or directory\n");
}

TEST_F(CommandRunnerTest, EndsOneThatTakesTooLongWithItsChildren) {
  const std::string pid = folder_ / "child";
  add(0, CommandMoment::frozen, "trap '' TERM; (sleep 60 & echo $! > " + pid + "; wait); sleep 60", 1s);
  CommandRunner runner(plan_);
  const TimePoint begin = Clock::now();
  ASSERT_TRUE(runner.begin(CommandMoment::frozen, {}));
  while (runner.busy() && Clock::now() < begin + 10s) {
    std::this_thread::sleep_for(10ms);
    runner.turn();
  }
  EXPECT_LT(Clock::now() - begin, 2500ms) << "its failure is told before it has gone";
  const auto reports = finish(runner);
  EXPECT_EQ(reports.at(0).state, CommandState::failed);
  EXPECT_EQ(reports.at(0).commands[0].output, "has not ended after 1s, and was ended\n");
  const std::string text = test::read_file(pid);
  ASSERT_FALSE(text.empty()) << "the command has not come so far";
  EXPECT_TRUE(ends(std::stoi(text)));
}

TEST_F(CommandRunnerTest, KillsChildrenThatIgnoreTheEndOfTheirCommand) {
  const std::string pid = folder_ / "child";
  add(0, CommandMoment::frozen,
      "(trap '' TERM; echo ready > " + pid + ".ready; sleep 60) & echo $! > " + pid + "; wait", 1s);
  const auto reports = run(CommandMoment::frozen);
  EXPECT_EQ(reports.at(0).state, CommandState::failed);
  ASSERT_FALSE(test::read_file(pid + ".ready").empty()) << "the command has not come so far";
  EXPECT_TRUE(ends(std::stoi(test::read_file(pid))));
}

TEST_F(CommandRunnerTest, StopsThemAll) {
  add(0, CommandMoment::frozen, "sleep 60");
  add(1, CommandMoment::frozen, "sleep 60");
  CommandRunner runner(plan_);
  ASSERT_TRUE(runner.begin(CommandMoment::frozen, {}));
  EXPECT_EQ(runner.running(), (std::vector<std::size_t>{0, 1}));
  runner.stop("ended with the round");
  EXPECT_FALSE(runner.busy());
  const auto reports = finish(runner);
  EXPECT_EQ(reports.at(1).commands[0].output, "ended with the round\n");
}

TEST_F(CommandRunnerTest, TellsCommandsWhatTheyAreFor) {
  plan_[0].environment = {"LOCKSTEP_MEMBER=db"};
  add(0, CommandMoment::resume, "echo $LOCKSTEP_MEMBER $LOCKSTEP_MOMENT $LOCKSTEP_OUTCOME");
  EXPECT_EQ(run(CommandMoment::resume, {"LOCKSTEP_OUTCOME=aborted"}).at(0).commands[0].output, "db resume aborted\n");
}

TEST_F(CommandRunnerTest, KeepsTheEndOfALongOutput) {
  add(0, CommandMoment::frozen, "seq 1 10000; exit 1");
  const std::string output = run(CommandMoment::frozen).at(0).commands[0].output;
  EXPECT_LE(output.size(), kCommandOutput);
  EXPECT_TRUE(output.starts_with("exit code 1\n")) << output;
  EXPECT_TRUE(output.ends_with("9999\n10000\n")) << output;
}

TEST(CommandsText, ShowsOutputsOfFailuresAndOfAllWhereWanted) {
  const std::vector<CommandResult> commands{{CommandMoment::frozen, "cp a b", true, 12, "copied\n"},
                                            {CommandMoment::resume, "rm \x1b", false, 3, "exit code 1\ngone\n"}};
  EXPECT_EQ(commands_text(commands, false),
            "command (frozen) `cp a b`: ok, 12 ms\n"
            "command (resume) `rm ?`: FAILED, 3 ms\n"
            "    exit code 1\n"
            "    gone\n");
  EXPECT_NE(commands_text(commands, true).find("    copied\n"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::cli
