#include "cli/frozen_split.hpp"

#include <gtest/gtest.h>

#include "tests/unit/cli/samples.hpp"

namespace lockstep::cli {
namespace {

/// The hooks' clock is ahead of the broker's by this.
constexpr std::int64_t kOffset = 5'000'000;

/// A hook whose process was forked 1 ms before its event came to the broker, and ended 0.5 ms after the release.
HookTimes hook_of(HookAction action, const PhaseTimes& times) {
  const auto since_fork = [&](std::int64_t time) { return microseconds(time - times.arrived_us + 1'000); };
  return {action, microseconds(kOffset + times.arrived_us - 1'000), microseconds(1'000),
          since_fork(times.released_us + 400), since_fork(times.released_us + 500)};
}

/// sample_dump(), left running. Frozen from the network-lock to the network-unlock; "client" comes 10 ms later to
/// everything but the last barrier.
struct Dump {
  Dump() {
    status.leave_running = true;
    for (const MemberStatus& member : status.members) {
      sources.push_back(
          {DumpTimes{microseconds(2'000), microseconds(100'000), microseconds(7'000), microseconds(4'000)},
           {std::nullopt, hook_of(HookAction::network_lock, member.phases[1]),
            hook_of(HookAction::post_dump, member.phases[2]), hook_of(HookAction::network_unlock, member.phases[3])}});
    }
  }
  [[nodiscard]] std::vector<FrozenSplit> split() const { return split_frozen(status, sources); }

  RoundStatus status = sample_dump();
  std::vector<FrozenSources> sources;
};

std::int64_t us(const FrozenSplit::Time& time) { return time ? time->count() : -1; }

TEST(FrozenSplit, TellsLockstepFromTheCriusOfOthers) {
  const auto splits = Dump().split();
  ASSERT_EQ(splits.size(), 2U);
  for (const FrozenSplit& split : splits) {
    EXPECT_EQ(us(split.still), 102'000);
    EXPECT_EQ(us(split.freezing), 2'000);
    EXPECT_EQ(us(split.memory), 7'000);
    EXPECT_EQ(us(split.commands), 0);
    EXPECT_EQ(us(split.hooks), 3 * 1'000);  // of the last to come, at each barrier
    EXPECT_EQ(us(split.lock), 1'000 + 1'000);
    // lock: 136 to 140 ms; commit: 190 to 200; unlock: 206 to 210; and half a millisecond each until the hook has ended
    EXPECT_EQ(us(split.barriers), 4'000 + 10'000 + 4'000 + 3 * 500);
  }
  EXPECT_EQ(us(splits[0].others), 2 * 10'000);
  EXPECT_EQ(us(splits[1].others), 0);
}

TEST(FrozenSplit, AddsUp) {
  for (const FrozenSplit& split : Dump().split()) {
    EXPECT_EQ(us(split.lockstep()), us(split.hooks) + us(split.lock) + us(split.barriers));
    EXPECT_EQ(us(split.still), us(split.freezing) + us(split.memory) + us(split.rest) + us(split.others) +
                                   us(split.commands) + us(split.lockstep()));
  }
}

TEST(FrozenSplit, CountsCommandsAtTheFrozenPointAsTheUsers) {
  Dump dump;
  dump.status.hold_begin_us = 190'000;
  dump.status.hold_end_us = 197'000;
  for (MemberStatus& member : dump.status.members) member.phases[2].ready_us = 198'000;
  for (const FrozenSplit& split : dump.split()) {
    EXPECT_EQ(us(split.commands), 7'000);
    EXPECT_EQ(us(split.barriers), 4'000 + 3'000 + 4'000 + 3 * 500);
  }
}

TEST(FrozenSplit, KnowsNoLastBarrierOfTheKilled) {
  Dump dump;
  dump.status.leave_running = false;
  for (FrozenSources& source : dump.sources) source.hooks[3].reset();
  for (const FrozenSplit& split : dump.split()) {
    EXPECT_EQ(us(split.hooks), 2 * 1'000);
    EXPECT_EQ(us(split.lock), 1'000);
  }
}

TEST(FrozenSplit, SaysThatItDoesNotKnow) {
  const auto expect_unknown = [](const Dump& dump, const char* why) {
    for (const FrozenSplit& split : dump.split()) {
      for (const auto& part :
           {split.rest, split.others, split.commands, split.hooks, split.lock, split.barriers, split.lockstep()}) {
        EXPECT_FALSE(part) << why;
      }
      EXPECT_EQ(us(split.still), 102'000) << why;
    }
  };
  Dump no_log;  // one member's is enough: nobody knows when its CRIU came
  no_log.sources[1].hooks = {};
  expect_unknown(no_log, "no log");
  Dump one_hook;
  one_hook.sources[0].hooks[2].reset();
  expect_unknown(one_hook, "no word of one hook");
  Dump not_unlocked;
  not_unlocked.status.members[1].phases[3] = {};
  expect_unknown(not_unlocked, "a barrier that has not opened");

  Dump serial;
  serial.status.serial = true;
  expect_unknown(serial, "members that don't wait for all others");

  Dump no_statistics;
  no_statistics.sources[0].criu.reset();
  const auto splits = no_statistics.split();
  for (const auto& part : {splits[0].still, splits[0].freezing, splits[0].memory, splits[0].rest}) EXPECT_FALSE(part);
  EXPECT_EQ(us(splits[0].hooks), 3'000);
  EXPECT_TRUE(splits[1].rest);

  Dump restore;
  restore.status.operation = Operation::restore;
  for (const FrozenSplit& split : restore.split()) EXPECT_FALSE(split.still || split.others || split.hooks);
}

TEST(FrozenSplit, LeavesTheRestOpenWhereSourcesContradict) {
  Dump dump;
  dump.sources[0].criu->frozen = microseconds(10'000);  // shorter than what its hooks have waited
  const auto splits = dump.split();
  EXPECT_FALSE(splits[0].rest);
  EXPECT_TRUE(splits[0].others);
  EXPECT_TRUE(splits[1].rest);
}

TEST(FrozenSplit, NoPartIsEverNegative) {
  Dump dump;  // a broker whose clock runs wildly
  dump.status.members[1].phases[1].ready_us += 60'000;
  dump.status.members[0].phases[2].arrived_us -= 90'000;
  for (const FrozenSplit& split : dump.split()) {
    for (const auto& part : {split.others, split.hooks, split.commands, split.lock, split.barriers}) {
      EXPECT_GE(us(part), 0);
    }
  }
}

TEST(HookLog, IsReadOutOfAllElse) {
  const std::string log =
      "(00.001) Warn  (criu/x.c:1): something\n"
      "(lockstep-hook) pre-dump: forked at 10 us, said after 1 us, heard after 2 us, ended after 3 us\n"
      "(lockstep-hook) network-lock: forked at 20 us, said after 1 us, heard after 2 us, ended after 3 us\n"
      "(lockstep-hook) network-lock: forked at 21 us, said after 1 us, heard after 2 us, ended after 3 us\n"
      "(lockstep-hook) post-restore: forked at 30 us, said after 1 us, heard after 2 us, ended after 3 us\n"
      "lockstep-hook: post-dump: round aborted: no\n"
      "(lockstep-hook) network-unlock: forked at 40 us, said after 1 us, heard after 2 us, ended after 3 us";
  const HookLog dump = parse_hook_log(log, Operation::dump);
  ASSERT_TRUE(dump[0] && dump[1] && dump[3]);
  EXPECT_FALSE(dump[2]);
  EXPECT_EQ(dump[1]->forked, microseconds(21));
  EXPECT_EQ(dump[3]->forked, microseconds(40));
  const HookLog restore = parse_hook_log(log, Operation::restore);
  EXPECT_FALSE(restore[0] || restore[1]);
  ASSERT_TRUE(restore[2] && restore[3]);
  EXPECT_EQ(restore[2]->forked, microseconds(30));
  for (const auto& times : read_hook_log("/nonexistent", Operation::dump)) EXPECT_FALSE(times);
}

}  // namespace
}  // namespace lockstep::cli
