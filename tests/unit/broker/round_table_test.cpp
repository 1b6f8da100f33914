/// The round as a table: every event in every state. The events are those of member m1 of two; m2 stands still, so that
/// m1 alone never opens a barrier.
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

/// How far m1 has come: phases that both have passed, and what m1 has done of the next.
struct State {
  const char* name;
  std::size_t passed;
  bool arrived;
  bool ready;
};

constexpr std::array<State, 14> kStates{{{"prepare", 0, false, false}, {"prepare, arrived", 0, true, false},
                                         {"prepare, ready", 0, true, true}, {"lock", 1, false, false},
                                         {"lock, arrived", 1, true, false}, {"lock, ready", 1, true, true},
                                         {"commit", 2, false, false}, {"commit, arrived", 2, true, false},
                                         {"commit, voted", 2, true, true}, {"committed", 3, false, false},
                                         {"unlock, arrived", 3, true, false}, {"unlocked", 3, true, true},
                                         {"complete", 4, false, false}, {"aborted", 9, false, false}}};

struct Event {
  const char* name;
  std::function<Actions(Rig&)> happen;
  /// One letter for each state:
  ///   o order sent   p Pending   r that phase's go again   x this hook alone is refused   v told that the round is over
  ///   ! round aborted   C round complete   + noted   u order to unlock   . nothing
  const char* dump;
  const char* restore;
};

Event hook_comes(HookAction action, const char* dump, const char* restore) {
  return {to_string(action).data(), [action](Rig& rig) { return rig.say(agent(1), 1, hook(action, 1)); }, dump, restore};
}

Event hook_dies(HookAction action, const char* dump, const char* restore) {
  return {to_string(action).data(), [action](Rig& rig) { return rig.say(agent(1), 1, HookGone{action}); }, dump, restore};
}

Event ready_comes(Phase phase, bool ok, const char* dump, const char* restore) {
  return {to_string(phase).data(),
          [=](Rig& rig) { return rig.say(agent(1), 1, Ready{phase, ok, ok ? "" : "no space", {}, {}}); }, dump, restore};
}

std::vector<Event> events() {
  return {
      //                                              prep   lock   commit unlock over
      hook_comes(HookAction::pre_dump, /**/
                 "oop"
                 "rrr"
                 "rrr"
                 "rrr"
                 "v"
                 "v",
                 "!!!"
                 "!!!"
                 "!!!"
                 "xxx"
                 "x"
                 "v"),
      hook_comes(HookAction::network_lock, /**/
                 "!!!"
                 "oop"
                 "rrr"
                 "rrr"
                 "v"
                 "v",
                 "!!!"
                 "!!!"
                 "!!!"
                 "xxx"
                 "x"
                 "v"),
      hook_comes(HookAction::post_dump, /**/
                 "!!!"
                 "!!!"
                 "oop"
                 "rrr"
                 "v"
                 "v",
                 "!!!"
                 "!!!"
                 "!!!"
                 "xxx"
                 "x"
                 "v"),
      hook_comes(HookAction::network_unlock, /**/
                 "!!!"
                 "!!!"
                 "!!!"
                 "oop"
                 "v"
                 "v",
                 "!!!"
                 "!!!"
                 "!!!"
                 "oop"
                 "v"
                 "v"),
      hook_comes(HookAction::pre_restore, /**/
                 "!!!"
                 "!!!"
                 "!!!"
                 "xxx"
                 "x"
                 "v",
                 "!op"
                 "rrr"
                 "rrr"
                 "rrr"
                 "v"
                 "v"),
      hook_comes(HookAction::setup_namespaces, /**/
                 "!!!"
                 "!!!"
                 "!!!"
                 "xxx"
                 "x"
                 "v",
                 "!!!"
                 "oop"
                 "rrr"
                 "rrr"
                 "v"
                 "v"),
      hook_comes(HookAction::post_restore, /**/
                 "!!!"
                 "!!!"
                 "!!!"
                 "xxx"
                 "x"
                 "v",
                 "!!!"
                 "!!!"
                 "oop"
                 "rrr"
                 "v"
                 "v"),

      ready_comes(Phase::prepare, true,
                  ".+p"
                  "rrr"
                  "rrr"
                  "rrr"
                  "v"
                  "v",
                  ".+p"
                  "rrr"
                  "rrr"
                  "rrr"
                  "v"
                  "v"),
      ready_comes(Phase::lock, true,
                  "..."
                  ".+p"
                  "rrr"
                  "rrr"
                  "v"
                  "v",
                  "..."
                  ".+p"
                  "rrr"
                  "rrr"
                  "v"
                  "v"),
      ready_comes(Phase::commit, true,
                  "..."
                  "..."
                  ".+p"
                  "rrr"
                  "v"
                  "v",
                  "..."
                  "..."
                  ".+p"
                  "rrr"
                  "v"
                  "v"),
      ready_comes(Phase::unlock, true,
                  "..."
                  "..."
                  "..."
                  "++p"
                  "v"
                  "v",
                  "..."
                  "..."
                  "..."
                  "++p"
                  "v"
                  "v"),
      ready_comes(Phase::resume, true,
                  "..."
                  "..."
                  "..."
                  "++p"
                  "v"
                  "v",
                  "..."
                  "..."
                  "..."
                  "++p"
                  "v"
                  "v"),
      ready_comes(Phase::prepare, false,
                  ".!!"
                  "!!!"
                  "!!!"
                  "rrr"
                  "v"
                  "v",
                  ".!!"
                  "!!!"
                  "!!!"
                  "rrr"
                  "v"
                  "v"),
      ready_comes(Phase::lock, false,
                  ".!!"
                  "!!!"
                  "!!!"
                  "rrr"
                  "v"
                  "v",
                  ".!!"
                  "!!!"
                  "!!!"
                  "rrr"
                  "v"
                  "v"),
      ready_comes(Phase::commit, false,
                  ".!!"
                  "!!!"
                  "!!!"
                  "rrr"
                  "v"
                  "v",
                  ".!!"
                  "!!!"
                  "!!!"
                  "rrr"
                  "v"
                  "v"),
      ready_comes(Phase::unlock, false,
                  ".!!"
                  "!!!"
                  "!!!"
                  "++p"
                  "v"
                  "v",
                  ".!!"
                  "!!!"
                  "!!!"
                  "++p"
                  "v"
                  "v"),

      hook_dies(HookAction::pre_dump,
                ".!!"
                "..."
                "..."
                "..."
                "."
                ".",
                ".!!"
                "..."
                "..."
                "..."
                "."
                "."),
      hook_dies(HookAction::network_lock,
                "..."
                "!!!"
                "..."
                "..."
                "."
                ".",
                "..."
                "!!!"
                "..."
                "..."
                "."
                "."),
      hook_dies(HookAction::post_dump,
                "..."
                "..."
                "!!!"
                "..."
                "."
                ".",
                "..."
                "..."
                "!!!"
                "..."
                "."
                "."),
      hook_dies(HookAction::network_unlock,
                "..."
                "..."
                "..."
                "..."
                "."
                ".",
                "..."
                "..."
                "..."
                "..."
                "."
                "."),

      {"CRIU ends well",
       [](Rig& rig) {
         return rig.say(kClient, 1, MemberResult{true, {}});
       },
       "!!!"
       "!!!"
       "!!!"
       "uu+"
       "+"
       "+",
       "!!!"
       "!!!"
       "!!!"
       "uu+"
       "+"
       "+"},
      {"CRIU fails",
       [](Rig& rig) {
         return rig.say(kClient, 1, MemberResult{false, "no space"});
       },
       "!!!"
       "!!!"
       "!!!"
       "uu+"
       "+"
       "+",
       "!!!"
       "!!!"
       "!!!"
       "uu+"
       "+"
       "+"},
      {"its agent is lost", [](Rig& rig) { return rig.lose(agent(1)); },
       ".!!"
       "!!!"
       "!!!"
       "..."
       "."
       ".",
       ".!!"
       "!!!"
       "!!!"
       "++."
       "."
       "."},
      {"the other's agent is lost", [](Rig& rig) { return rig.lose(agent(3)); },
       "..."
       "..."
       "..."
       "..."
       "."
       ".",
       "..."
       "..."
       "..."
       "..."
       "."
       "."},
      {"the deadline passes", [](Rig& rig) { return rig.pass(seconds(2)); },
       "!!!"
       "!!!"
       "!!!"
       "CCC"
       "."
       ".",
       "!!!"
       "!!!"
       "!!!"
       "CCC"
       "."
       "."},
      {"the operator aborts", [](Rig& rig) { return rig.ask(AbortRound{"enough"}); },
       "!!!"
       "!!!"
       "!!!"
       "..."
       "."
       ".",
       "!!!"
       "!!!"
       "!!!"
       "..."
       "."
       "."},
  };
}

void bring_to(Rig& rig, const State& state, Operation operation) {
  OpenRound open = plan(operation, 2);
  open.deadlines = {1'000, 1'000, 1'000, 1'000};
  rig.everybody_says_hello(3);
  (void)rig.open(open);
  if (state.passed == 9) {
    (void)rig.ask(AbortRound{"set-up"});
    return;
  }
  rig.walk(2, state.passed);
  if (state.arrived) (void)rig.arrive(1, state.passed);
  if (state.ready) (void)rig.ready(1, state.passed);
}

bool same_status(const RoundStatus& a, const RoundStatus& b) {
  const Message left{{}, {}, {}, 0, a};
  const Message right{{}, {}, {}, 0, b};
  const auto shown = [](const RoundStatus& status) {
    std::string text = status.reason + status.culprit.value;
    for (const MemberStatus& member : status.members) {
      text += std::to_string(static_cast<int>(member.criu)) + member.detail + std::to_string(member.unlocked_us);
      for (const PhaseTimes& times : member.phases) text += " " + std::to_string(times.arrived_us) + "," + std::to_string(times.ready_us);
    }
    return text;
  };
  return a.state == b.state && a.phase == b.phase && shown(a) == shown(b);
}

/// The letter for what has happened.
char letter(const RoundStatus& before, const RoundStatus& after, const Actions& actions) {
  if (before.state != after.state && after.state == RoundState::aborted) return '!';
  if (before.state != after.state && after.state == RoundState::complete) return 'C';
  for (const Message& message : actions.sent_to(agent(1))) {
    if (const auto* order = std::get_if<Order>(&message.body)) {
      return after.members[0].criu != before.members[0].criu && order->phase == after.phase ? 'u' : 'o';
    }
    if (std::holds_alternative<Pending>(message.body)) return 'p';
    const auto* release = std::get_if<Release>(&message.body);
    if (release != nullptr) return release->over ? 'v' : release->verdict == Verdict::go ? 'r' : 'x';
  }
  return same_status(before, after) ? '.' : '+';
}

class RoundTable : public ::testing::TestWithParam<Operation> {};

std::string name_of(const ::testing::TestParamInfo<Operation>& tested) { return std::string(to_string(tested.param)); }

INSTANTIATE_TEST_SUITE_P(Operations, RoundTable, ::testing::Values(Operation::dump, Operation::restore), name_of);

TEST_P(RoundTable, EveryEventInEveryState) {
  for (const Event& event : events()) {
    const std::string expected = GetParam() == Operation::dump ? event.dump : event.restore;
    ASSERT_EQ(expected.size(), kStates.size()) << event.name;
    for (std::size_t i = 0; i < kStates.size(); ++i) {
      Rig rig;
      bring_to(rig, kStates[i], GetParam());
      const RoundStatus before = rig.status();
      rig.sleep(milliseconds(1));
      const Actions actions = event.happen(rig);
      EXPECT_EQ(std::string(1, letter(before, rig.status(), actions)), std::string(1, expected[i]))
          << event.name << " in state " << kStates[i].name;
    }
  }
}

TEST_P(RoundTable, EveryEventTwiceIsAsGoodAsOnce) {
  for (const Event& event : events()) {
    for (const State& state : kStates) {
      Rig rig;
      bring_to(rig, state, GetParam());
      (void)event.happen(rig);
      const RoundStatus once = rig.status();
      rig.sleep(milliseconds(1));
      (void)event.happen(rig);
      EXPECT_TRUE(same_status(once, rig.status())) << event.name << " in state " << state.name;
    }
  }
}

TEST_P(RoundTable, NothingUndoesTheDecision) {
  for (const Event& event : events()) {
    for (const State& state : kStates) {
      if (state.passed != 3) continue;
      Rig rig;
      bring_to(rig, state, GetParam());
      (void)event.happen(rig);
      const RoundState after = rig.status().state;
      EXPECT_TRUE(after == RoundState::committed || after == RoundState::complete) << event.name << " in " << state.name;
    }
  }
}

}  // namespace
}  // namespace lockstep::broker::test
