/// What the tests of the real program have in common: scenes for the agent, and what is expected of the hook.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "tests/unit/hook/fake_agent.hpp"
#include "schemas/hook_times.hpp"
#include "tests/unit/hook/hook_runner.hpp"

namespace lockstep::hook::test {

inline const Blob kRecord{"the record's bytes"};

inline void answer(HookPeer& hook, Verdict verdict, std::string reason = {}) {
  hook.say(Answer{verdict, std::move(reason)});
}

/// A scene that hears the event, then does `act` and waits for the hook's end.
inline FakeAgent::Scene after_event(std::function<void(HookPeer&)> act) {
  return [act = std::move(act)](HookPeer& hook) {
    EXPECT_TRUE(hook.next_body<HookEvent>());
    act(hook);
    EXPECT_TRUE(hook.closed());
  };
}

inline FakeAgent::Scene answering(Verdict verdict, std::string reason = {}) {
  return after_event([verdict, reason](HookPeer& hook) { answer(hook, verdict, reason); });
}

/// A scene that has the record stored, and then answers.
inline FakeAgent::Scene storing(Verdict verdict, bool store_succeeds) {
  return after_event([=](HookPeer& hook) {
    hook.say(Store{kRecord});
    const auto message = hook.next();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->sequence, 1U);  // that of the Store
    const auto* stored = std::get_if<Stored>(&message->body);
    ASSERT_NE(stored, nullptr);
    EXPECT_EQ(stored->ok, store_succeeds);
    EXPECT_EQ(stored->reason.empty(), store_succeeds);
    answer(hook, verdict, verdict == Verdict::go ? "" : "somebody could not");
  });
}

inline bool exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

/// Fails closed: exit code 1, one line, with the prefix and `words` in it.
inline void expect_refusal(const HookOutcome& outcome, const std::string& words) {
  EXPECT_EQ(outcome.exit_code, 1) << outcome.log;
  EXPECT_TRUE(outcome.log.starts_with("lockstep-hook: ")) << outcome.log;
  EXPECT_NE(outcome.log.find(words), std::string::npos) << outcome.log;
  EXPECT_EQ(std::count(outcome.log.begin(), outcome.log.end(), '\n'), 1) << outcome.log;
}

inline void expect_success(const HookOutcome& outcome) {
  EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
  const auto times = parse_log_line(outcome.log);  // one line, and no complaint
  ASSERT_TRUE(times) << outcome.log;
  EXPECT_GT(times->forked.count(), 0);
  EXPECT_GT(times->said.count(), 0);
}

}  // namespace lockstep::hook::test
