/// Where no agent listens and a broker is configured, the hook starts lockstep-agent next to it as its relay. Here a
/// shell script plays the relay: it writes down how it was started, sends a frame that was made before, and ends.
#include <gtest/gtest.h>

#include <filesystem>

#include "common/fd.hpp"
#include "schemas/codec.hpp"
#include "tests/unit/hook/hook_runner.hpp"

namespace lockstep::hook::test {
namespace {

class HookRelay : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::copy_file(LOCKSTEP_HOOK_PATH, programs_ / "lockstep-hook");
    place_.program = programs_ / "lockstep-hook";
    place_.environment["LOCKSTEP_BROKER"] = "tcp://127.0.0.1:7400";
  }

  void put_relay(const std::string& script) {
    write_file(relay_, "#!/bin/sh\ncd \"${0%/*}\"\necho \"$*\" > arguments\n" + script);
    std::filesystem::permissions(relay_, std::filesystem::perms::owner_all);
  }

  void put_answer(Verdict verdict, std::string reason) {
    const std::string frame = encode(Message{{}, {}, {}, 1, Answer{verdict, std::move(reason)}});
    ASSERT_LT(frame.size(), 128U);
    write_file(programs_ / "answer", std::string(3, '\0') + static_cast<char>(frame.size()) + frame);
  }

  TempDir programs_;
  HookPlace place_{"network-lock"};
  std::string relay_ = programs_ / "lockstep-agent";
};

TEST_F(HookRelay, AsksTheBrokerThroughItsNeighbour) {
  put_relay("head -c 4 <&3 >/dev/null\ncat answer >&3\ncat <&3 >/dev/null\necho done >> arguments\n");
  put_answer(Verdict::go, "");
  const HookOutcome outcome = place_.run();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
  // Also its end: the hook has waited for it.
  EXPECT_EQ(read_file(programs_ / "arguments"), "--relay --hook-fd 3 --broker tcp://127.0.0.1:7400\ndone\n");
}

TEST_F(HookRelay, HandsOnTheReasonOfAnAbort) {
  put_relay("head -c 4 <&3 >/dev/null\ncat answer >&3\n");
  put_answer(Verdict::abort, "no such group");
  const HookOutcome outcome = place_.run();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.log.find("round aborted: no such group"), std::string::npos) << outcome.log;
}

TEST_F(HookRelay, FailsWhenTheRelayDoes) {
  put_relay("exit 3\n");
  const HookOutcome outcome = place_.run();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.log.find("the relay to the broker at tcp://127.0.0.1:7400"), std::string::npos) << outcome.log;
}

TEST_F(HookRelay, FailsWithoutItsNeighbour) {
  const HookOutcome outcome = place_.run();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.log.find("start " + relay_), std::string::npos) << outcome.log;
}

TEST_F(HookRelay, IsKilledWhenItDoesNotEnd) {
  put_relay("cat answer >&3\nexec sleep 60\n");
  put_answer(Verdict::go, "");
  const HookOutcome outcome = place_.run();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
}

}  // namespace
}  // namespace lockstep::hook::test
