#include "cli/round_driver.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "cli/report.hpp"
#include "common/signals.hpp"
#include "tests/unit/cli/fake_broker.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

using namespace std::chrono_literals;

/// A round whose CRIUs are shell scripts, at a broker that a test can spoil.
class RoundDriverTest : public testing::Test {
 protected:
  RoundDriverTest()
      : signals_(open_signal_fd({SIGINT, SIGTERM, SIGHUP}).value()),
        fake_(folder_.path(),
              [this](const Message& question, FakeBroker::Answers& answers) {
                if (before_) before_(question);
                round_.handle(question, answers);
              }),
        client_(BrokerClient::connect(fake_.broker(), fake_.releases()).value()) {
    plan_.round = RoundId("r1");
    plan_.group = GroupId("g");
    plan_.open.deadlines = Deadlines{100, 100, 100, 100};
  }

  void add(const std::string& id, const std::string& script) {
    RoundMember member;
    member.id = MemberId(id);
    plan_.open.members.push_back(member);
    CriuCommand command;
    command.argv = {"sh", "-c", script};
    command.output = folder_ / (id + ".out");
    command.log = folder_ / (id + ".log");
    plan_.commands.push_back(command);
  }

  void own(const std::string& id, CommandMoment moment, const std::string& script) {
    plan_.own_commands.resize(plan_.commands.size());
    for (std::size_t i = 0; i < plan_.commands.size(); ++i) {
      if (plan_.open.members[i].id.value != id) continue;
      plan_.own_commands[i].folder = folder_.path();
      plan_.own_commands[i].commands.push_back({moment, true, false, {"/bin/sh", "-c", script}, script, 30s});
    }
  }

  /// `verdict`: what has been found out about the images; otherwise the outcome tells.
  RoundOutcome run(std::optional<RoundVerdict> verdict = {}) {
    EXPECT_TRUE(client_.hello());
    RoundDriver driver(client_, plan_, display_, signals_, patience_);
    const auto opened = driver.open();
    EXPECT_TRUE(opened);
    auto outcome = driver.run();
    driver.finish(outcome, to_string(verdict.value_or(verdict_of(outcome))));
    return outcome;
  }

  template <class T>
  [[nodiscard]] std::vector<Message> told() const {
    std::vector<Message> found;
    for (auto& message : fake_.seen()) {
      if (std::holds_alternative<T>(message.body)) found.push_back(message);
    }
    return found;
  }

  test::TempDir folder_;
  Fd signals_;
  FakeRound round_;  ///< touched by the fake's thread alone once it runs
  std::function<void(const Message&)> before_;
  FakeBroker fake_;
  BrokerClient client_;
  Display display_{Display::Mode::quiet, -1};
  RoundPlan plan_;
  RoundPatience patience_{400ms, 300ms, 300ms};
};

TEST_F(RoundDriverTest, SeesARoundThrough) {
  add("a", "exit 0");
  add("b", "sleep 0.1");
  const auto outcome = run();
  EXPECT_EQ(outcome.status.state, RoundState::complete);
  ASSERT_EQ(outcome.runs.size(), 2U);
  EXPECT_TRUE(outcome.runs[0].ok());
  EXPECT_TRUE(outcome.runs[1].ok());
  EXPECT_GE(outcome.runs[1].ended, 100ms);
  EXPECT_EQ(outcome.broker_lost, "");
  EXPECT_EQ(told<MemberResult>().size(), 2U);
  EXPECT_EQ(told<MemberResult>()[0].round, plan_.round);
}

TEST_F(RoundDriverTest, StartsAllAtOnce) {
  for (int i = 0; i < 8; ++i) add("m" + std::to_string(i), "sleep 0.3");
  EXPECT_LT(run().duration, 2s);
}

TEST_F(RoundDriverTest, TellsTheBrokerWhyACriuFailed) {
  add("a", "exit 0");
  add("b", "echo 'Error (x.c:1): no luck' > " + folder_ / "b.log" + "; exit 1");
  const auto outcome = run();
  EXPECT_EQ(outcome.status.state, RoundState::aborted);
  EXPECT_EQ(outcome.status.culprit.value, "b");
  EXPECT_EQ(outcome.status.reason, "Error (x.c:1): no luck");
  EXPECT_EQ(outcome.runs[1].detail, "Error (x.c:1): no luck");
  EXPECT_EQ(outcome.runs[1].exit->code, 1);
}

TEST_F(RoundDriverTest, DoesNotQuoteTheLogOfAnEarlierTry) {
  test::write_file(folder_ / "a.log", "Error (old.c:1): long ago\n");
  add("a", "echo \"criu: unrecognized option '--x'\"; echo; echo Usage; exit 1");
  EXPECT_EQ(run().runs[0].detail, "criu: unrecognized option '--x'");
}

TEST_F(RoundDriverTest, TakesTheWordOfABrokerThatKnowsTheOutcomeAndNoTimes) {
  round_.forgets_times = true;
  add("a", "exit 1");
  const auto outcome = run();
  EXPECT_EQ(outcome.status.state, RoundState::aborted);
  EXPECT_EQ(outcome.status.members[0].phases[1].ready_us, 2'000) << "what was known before is not lost";
}

TEST_F(RoundDriverTest, CountsACriuThatCannotBeStartedAsFailed) {
  add("a", "exit 0");
  plan_.commands[0].argv = {"/nonexistent/criu"};
  const auto outcome = run();
  EXPECT_EQ(outcome.status.state, RoundState::aborted);
  EXPECT_FALSE(outcome.runs[0].exit);
  EXPECT_EQ(outcome.runs[0].detail, "start /nonexistent/criu: No such file or directory");
}

TEST_F(RoundDriverTest, RepeatsAResultThatWasLost) {
  round_.ignores_first_result = true;
  add("a", "exit 0");
  EXPECT_EQ(run().status.state, RoundState::complete);
  const auto results = told<MemberResult>();
  ASSERT_GE(results.size(), 2U);
  EXPECT_EQ(results[0].sequence, results[1].sequence);
}

TEST_F(RoundDriverTest, TakesNewsFromPub) {
  round_.publishes = true;
  add("a", "sleep 0.2");
  EXPECT_EQ(run().status.state, RoundState::complete);
}

TEST_F(RoundDriverTest, SaysHelloToABrokerThatHasForgottenIt) {
  before_ = [this, once = true](const Message& question) mutable {
    if (std::holds_alternative<MemberResult>(question.body) && once) {
      round_.say_hello_once = true;
      once = false;
    }
  };
  add("a", "exit 0");
  EXPECT_EQ(run().status.state, RoundState::complete);
  EXPECT_EQ(told<Hello>().size(), 2U);
}

TEST_F(RoundDriverTest, GivesUpOnABrokerThatHasForgottenTheRound) {
  before_ = [this](const Message& question) {
    round_.forgotten = std::holds_alternative<GetRound>(question.body) || round_.forgotten;
  };
  add("a", "sleep 0.5");
  const auto outcome = run();
  EXPECT_NE(outcome.broker_lost.find("does not know the round any more"), std::string::npos) << outcome.broker_lost;
  EXPECT_TRUE(outcome.runs[0].ok());
}

TEST_F(RoundDriverTest, WaitsForCriuAloneWhenTheBrokerIsGone) {
  before_ = [this](const Message& question) {
    if (std::holds_alternative<GetRound>(question.body)) fake_.fall_silent();
  };
  add("a", "sleep 0.9");
  const auto outcome = run();
  EXPECT_NE(outcome.broker_lost.find("has said nothing for 400 ms"), std::string::npos) << outcome.broker_lost;
  EXPECT_TRUE(outcome.runs[0].ok());
}

TEST_F(RoundDriverTest, EndsACriuThatOutlivesItsRound) {
  add("a", "exit 1");
  add("b", "trap '' TERM; while :; do sleep 0.1; done");
  const auto outcome = run();
  EXPECT_EQ(outcome.status.state, RoundState::aborted);
  EXPECT_EQ(outcome.runs[1].exit->signal, SIGKILL);
  EXPECT_GE(outcome.runs[1].ended, 600ms);
}

TEST_F(RoundDriverTest, LeavesACriuAloneThatStillDumps) {
  round_.dumping = true;
  plan_.open.deadlines.commit_ms = 2'500;
  add("a", "exit 1");
  add("b", "sleep 1.2");
  add("c", "trap '' TERM; while :; do sleep 0.1; done");
  const auto outcome = run();
  EXPECT_TRUE(outcome.runs[1].ok()) << "it would have lost its connections";
  EXPECT_EQ(outcome.runs[2].exit->signal, SIGKILL);
  EXPECT_GE(outcome.runs[2].ended, 2'500ms) << "as long as it would have had";
}

TEST_F(RoundDriverTest, EndsRequestsThatNobodyHasHeardSoonAfterTheRound) {
  round_.forgets_times = true;  // of the abort on: nobody has come
  patience_.criu_after_round = 30s;
  patience_.remote_unheard = 100ms;
  add("a", "exit 1");
  add("b", "sleep 60");
  add("c", "sleep 1");
  plan_.commands[1].remote = true;
  const auto outcome = run();
  EXPECT_EQ(outcome.runs[1].exit->signal, SIGTERM);
  EXPECT_LT(outcome.runs[1].ended, 1s);
  EXPECT_TRUE(outcome.runs[2].ok()) << "who runs on this machine is left alone";
}

TEST_F(RoundDriverTest, WaitsForRequestsWhoseMembersHaveCome) {
  round_.arrived = true;
  patience_.criu_after_round = 30s;
  patience_.remote_unheard = 100ms;
  add("a", "exit 1");
  add("b", "sleep 1");
  plan_.commands[1].remote = true;
  EXPECT_TRUE(run().runs[1].ok());
}

TEST_F(RoundDriverTest, AbortsOnTheFirstSignalAndKillsOnTheSecond) {
  patience_.criu_after_round = 30s;
  add("a", "kill -INT " + std::to_string(::getpid()) + "; sleep 0.3; kill -TERM " + std::to_string(::getpid()) +
               "; sleep 60");
  const auto outcome = run();
  EXPECT_TRUE(outcome.interrupted);
  EXPECT_EQ(outcome.status.state, RoundState::aborted);
  EXPECT_EQ(outcome.status.reason, "interrupted by the operator");
  EXPECT_EQ(outcome.runs[0].exit->signal, SIGTERM);
  EXPECT_EQ(told<AbortRound>().size(), 1U);
}

TEST_F(RoundDriverTest, StartsNothingWhenTheRoundIsRefused) {
  plan_.open.lease_ms = 1;
  add("a", "touch " + folder_ / "started");
  RoundDriver driver(client_, plan_, display_, signals_, patience_);
  const auto opened = driver.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::refused);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "started"));
}

TEST_F(RoundDriverTest, GivesUpARoundThatItCannotStart) {
  add("a", "exit 0");
  RoundDriver driver(client_, plan_, display_, signals_, patience_);
  ASSERT_TRUE(driver.open());
  driver.give_up("no room");
  ASSERT_EQ(told<AbortRound>().size(), 1U);
  EXPECT_EQ(std::get<AbortRound>(told<AbortRound>()[0].body).reason, "no room");
}

// --- the members' own commands --------------------------------------------------------------------------------------

TEST_F(RoundDriverTest, RunsCommandsBeforeCriuWhileAllStandStillAndAfterTheEnd) {
  const std::string said = folder_ / "said";
  const std::string frozen = folder_ / "frozen";
  round_.holds = true;
  add("a", "echo criu >> " + said + "; while [ ! -e " + frozen + " ]; do sleep 0.01; done");
  own("a", CommandMoment::prepare, "echo prepare >> " + said);
  own("a", CommandMoment::frozen, "echo frozen >> " + said + "; touch " + frozen);
  own("a", CommandMoment::resume, "echo resume $LOCKSTEP_OUTCOME >> " + said);
  const auto outcome = run();
  EXPECT_EQ(outcome.status.state, RoundState::complete);
  EXPECT_EQ(test::read_file(said), "prepare\ncriu\nfrozen\nresume committed\n");
  EXPECT_EQ(outcome.status.members[0].commands.size(), 3U);
}

TEST_F(RoundDriverTest, TellsTheLastCommandsWhatTheCheckpointIsWorth) {
  add("a", "exit 0");
  own("a", CommandMoment::resume, "echo $LOCKSTEP_OUTCOME > " + folder_ / "said");
  const auto outcome = run(RoundVerdict::failed);
  EXPECT_EQ(outcome.status.state, RoundState::complete);
  EXPECT_EQ(test::read_file(folder_ / "said"), "failed\n");
  EXPECT_EQ(outcome.status.members[0].commands.size(), 1U);
}

TEST_F(RoundDriverTest, StartsNoCriuWhenACommandBeforeItFails) {
  add("a", "touch " + folder_ / "started");
  own("a", CommandMoment::prepare, "echo no; exit 2");
  own("a", CommandMoment::resume, "touch " + folder_ / "resumed");
  const auto outcome = run();
  EXPECT_EQ(outcome.status.state, RoundState::aborted);
  EXPECT_EQ(outcome.status.reason, "command failed: exit code 2\nno\n");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "started"));
  EXPECT_FALSE(outcome.runs[0].exit);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "resumed")) << "what was begun is undone";
}

TEST_F(RoundDriverTest, SaysThatItLivesWhileCommandsRun) {
  round_.holds = true;
  add("a", "sleep 1.2");
  own("a", CommandMoment::frozen, "sleep 0.9");
  EXPECT_EQ(run().status.state, RoundState::complete);
  std::size_t alive = 0;
  for (const Message& message : told<CommandReport>()) {
    alive += static_cast<std::size_t>(std::get<CommandReport>(message.body).state == CommandState::running);
  }
  EXPECT_GE(alive, 2U);
}

TEST_F(RoundDriverTest, EndsCommandsWithTheirRound) {
  round_.holds = true;
  add("a", "sleep 0.5; exit 1");
  own("a", CommandMoment::frozen, "sleep 60");
  const TimePoint begin = Clock::now();
  const auto outcome = run();
  EXPECT_LT(Clock::now() - begin, 10s);
  EXPECT_EQ(outcome.status.state, RoundState::aborted);
}

TEST_F(RoundDriverTest, TellsOfASignalThatCameWhileTheLastCommandsRan) {
  add("a", "exit 1");
  own("a", CommandMoment::resume, "kill -INT " + std::to_string(::getpid()) + "; sleep 60");
  EXPECT_TRUE(run().interrupted);
}

TEST_F(RoundDriverTest, EndsCommandsThatRunBeforeCriuOnASignal) {
  add("a", "touch " + folder_ / "started");
  own("a", CommandMoment::prepare, "kill -INT " + std::to_string(::getpid()) + "; sleep 60");
  const auto outcome = run();
  EXPECT_TRUE(outcome.interrupted);
  EXPECT_EQ(outcome.status.state, RoundState::aborted);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "started"));
}

}  // namespace
}  // namespace lockstep::cli
