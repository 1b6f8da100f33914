/// What CRIU's logs tell of a failed dump, and what is tried next.
#include "cli/attempts/attempts.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "common/signals.hpp"
#include "tests/unit/cli/samples.hpp"

namespace lockstep::cli {
namespace {

using namespace std::chrono_literals;
using Why = DumpFailure::Why;

constexpr const char* kInFlightLog =
    "Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n"
    "Error (criu/sk-inet.c:185): inet: In-flight connection (l) for 9d205b\n"
    "Error (criu/sk-inet.c:186): inet: In-flight connections can be ignored with the --skip-in-flight option.\n"
    "Error (criu/cr-dump.c:1545): Dump files (pid: 6770) failed with -1\n"
    "lockstep-hook: network-unlock: round r1 was aborted\n"
    "Error (criu/util.c:657): exited, status=1\n"
    "Error (criu/action-scripts.c:94): Script /usr/bin/lockstep-hook exited with -1\n"
    "Error (criu/cr-dump.c:1975): Dumping FAILED.\n";
constexpr const char* kToldLog =
    "Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n"
    "lockstep-hook: post-dump: round r1 was aborted\n"
    "Error (criu/util.c:657): exited, status=1\n"
    "Error (criu/action-scripts.c:94): Script /usr/bin/lockstep-hook exited with -1\n"
    "Error (criu/action-scripts.c:156): One of more action scripts failed\n"
    "Error (criu/cr-dump.c:1975): Dumping FAILED.\n";
constexpr const char* kOtherLog =
    "Error (criu/sk-unix.c:9): unix: External socket is used. Consider using --ext-unix-sk option.\n"
    "Error (criu/util.c:657): exited, status=1\n"
    "Error (criu/action-scripts.c:94): Script /usr/bin/lockstep-hook exited with -1\n"
    "Error (criu/cr-dump.c:1975): Dumping FAILED.\n";

TEST(DumpFailure, IsReadFromTheLog) {
  const DumpFailure tcp = dump_failure(kInFlightLog);
  EXPECT_EQ(tcp.why, Why::in_flight);
  EXPECT_TRUE(tcp.tcp);
  EXPECT_EQ(tcp.inode, 0x9d205bU);
  EXPECT_EQ(dump_failure(kToldLog).why, Why::followed);
  EXPECT_EQ(dump_failure(kOtherLog).why, Why::other);
  EXPECT_EQ(dump_failure("").why, Why::other);
  EXPECT_EQ(dump_failure("(00.01) In-flight connection (l) for 1\n").why, Why::other) << "no error of CRIU's";
  // As a runtime has it logged, cut off in front and behind.
  const DumpFailure timed =
      dump_failure("ing\n(00.033) Error (criu/sk-inet.c:185): inet: In-flight connection (l) for ff");
  EXPECT_EQ(timed.inode, 0xffU);
  const DumpFailure unix_socket =
      dump_failure("Error (criu/sk-unix.c:506): sk unix: Non-empty write queue on an in-flight socket 0x1f\n");
  EXPECT_EQ(unix_socket.why, Why::in_flight);
  EXPECT_FALSE(unix_socket.tcp);
  EXPECT_EQ(unix_socket.inode, 0x1fU);
}

/// A dump of "server" and "client" that "server" has ended.
RoundOutcome aborted() {
  RoundOutcome outcome;
  outcome.status = sample_dump();
  outcome.status.state = RoundState::aborted;
  outcome.status.culprit = MemberId("server");
  outcome.runs.resize(2);
  for (MemberRun& run : outcome.runs) run.exit = ProcessExit{1, 0};
  return outcome;
}

TEST(OnlyInFlight, WantsToBeTheOnlyReason) {
  const std::vector<DumpFailure> failures{dump_failure(kInFlightLog), dump_failure(kToldLog)};
  const auto found = only_in_flight(aborted(), failures);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].member.value, "server");
  EXPECT_EQ(found[0].inode, 0x9d205bU);
  EXPECT_EQ(only_in_flight(aborted(), {dump_failure(kInFlightLog), dump_failure(kInFlightLog)}).size(), 2U);

  EXPECT_TRUE(only_in_flight(aborted(), {failures[0], dump_failure(kOtherLog)}).empty());
  const auto none = [&](auto change) {
    RoundOutcome outcome = aborted();
    change(outcome);
    return only_in_flight(outcome, failures).empty();
  };
  EXPECT_TRUE(none([](RoundOutcome& of) { of.status.culprit = MemberId("client"); }));
  EXPECT_TRUE(none([](RoundOutcome& of) { of.status.culprit = {}; }));
  EXPECT_TRUE(none([](RoundOutcome& of) { of.status.state = RoundState::complete; }));
  EXPECT_TRUE(none([](RoundOutcome& of) { of.status.operation = Operation::restore; }));
  EXPECT_TRUE(none([](RoundOutcome& of) { of.interrupted = true; }));
  EXPECT_TRUE(none([](RoundOutcome& of) { of.broker_lost = "gone"; }));
  EXPECT_TRUE(none([](RoundOutcome& of) {
    of.status.members[1].commands = {{CommandMoment::resume, "thaw", false, 10, "no"}};
  }));
  EXPECT_TRUE(none([](RoundOutcome& of) { of.runs[1].exit = ProcessExit{0, 9}; }));
  EXPECT_TRUE(none([](RoundOutcome& of) { of.runs[1].exit = std::nullopt; }));
}

std::vector<InFlight> waiting(bool tcp = true) { return {{MemberId("server"), tcp, 7, "10.0.0.1:80", 12, "nginx", 6}}; }

TEST(Attempts, AreBoundedAndTheLastOneSkips) {
  const RetryLimits limits{2, true};
  std::vector<bool> skips;
  for (std::optional<AttemptPlan> plan = AttemptPlan{}; plan; plan = next_attempt(limits, *plan, waiting())) {
    EXPECT_EQ(plan->number, skips.size() + 1);
    skips.push_back(plan->skip_in_flight);
  }
  EXPECT_EQ(skips, (std::vector<bool>{false, false, false, true}));
  EXPECT_FALSE(next_attempt({2, false}, {3, false}, waiting()));
  EXPECT_FALSE(next_attempt(limits, {1, false}, {})) << "another reason";
  EXPECT_TRUE(next_attempt({0, true}, {1, false}, waiting())->skip_in_flight);
  EXPECT_FALSE(next_attempt({0, true}, {1, false}, waiting(false))) << "CRIU skips TCP connections only";
}

TEST(Attempts, PausesGrowAndHaveAnEnd) {
  for (const std::uint32_t random : {0U, 77U, ~0U}) {
    EXPECT_GE(pause_after(1, random), 100ms);
    EXPECT_LE(pause_after(1, random), 200ms);
    EXPECT_GE(pause_after(2, random), 200ms);
    EXPECT_LE(pause_after(2, random), 400ms);
    EXPECT_LE(pause_after(1000, random), 2s);
  }
  EXPECT_NE(pause_after(1, 1), pause_after(1, 2));
}

class RunAttempts : public testing::Test {
 protected:
  RunAttempts() : signals_(open_signal_fd({SIGINT, SIGTERM, SIGHUP}).value()) {}

  /// Attempts before number `works` fail because of un-accepted connections.
  Result<AttemptEnd> attempt(const AttemptPlan& plan, std::size_t works) {
    Report report;
    report.round = RoundId("r" + std::to_string(plan.number));
    if (plan.number < works) {
      report.outcome = aborted();
      report.notes.emplace_back("somebody does not run any more");
      return AttemptEnd{std::move(report), waiting()};
    }
    report.outcome.status = sample_dump();
    report.outcome.runs.resize(2);
    for (MemberRun& run : report.outcome.runs) run.exit = ProcessExit{};
    return AttemptEnd{std::move(report), {}};
  }

  Fd signals_;
  std::vector<std::string> said_;
  std::function<void(const std::string&)> say_ = [this](const std::string& text) { said_.push_back(text); };
};

TEST_F(RunAttempts, TellAllOfThem) {
  const auto report = run_attempts(
      {3, false}, [this](const AttemptPlan& plan) { return attempt(plan, 3); }, signals_, say_);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->round.value, "r3");
  ASSERT_EQ(report->attempts.size(), 3U);
  EXPECT_EQ(report->attempts[0].verdict, "aborted");
  EXPECT_GE(report->attempts[0].pause, 100ms);
  EXPECT_EQ(report->attempts[2].verdict, "committed");
  EXPECT_EQ(report->attempts[2].reason, "");
  ASSERT_EQ(report->notes.size(), 2U);
  EXPECT_EQ(report->notes[1], "attempt 2: somebody does not run any more");
  ASSERT_EQ(said_.size(), 2U);
  EXPECT_NE(said_[0].find("10.0.0.1:80 (process 12 (nginx), descriptor 6)"), std::string::npos) << said_[0];
  EXPECT_NE(said_[0].find("(attempt 2 of 4)"), std::string::npos) << said_[0];
}

TEST_F(RunAttempts, KeepTheLastReportWhenNoOtherRoundCanBeOpened) {
  const auto run = [this](const AttemptPlan& plan) -> Result<AttemptEnd> {
    if (plan.number == 2) return fail(ErrorCode::unavailable, "broker", "gone");
    return attempt(plan, 9);
  };
  const auto report = run_attempts({3, false}, run, signals_, say_);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->round.value, "r1");
  ASSERT_EQ(report->notes.size(), 2U);
  EXPECT_NE(report->notes[1].find("could not be tried again"), std::string::npos);
  const auto none = [](const AttemptPlan&) -> Result<AttemptEnd> {
    return fail(ErrorCode::unavailable, "broker", "gone");
  };
  EXPECT_FALSE(run_attempts({3, false}, none, signals_, say_));
}

TEST_F(RunAttempts, EndWithASignal) {
  const auto run = [this](const AttemptPlan& plan) {
    ::kill(::getpid(), SIGINT);
    return attempt(plan, 9);
  };
  const auto report = run_attempts({3, true}, run, signals_, say_);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->attempts.size(), 1U);
  EXPECT_TRUE(report->outcome.interrupted);
}

}  // namespace
}  // namespace lockstep::cli
