// A real broker that serves rounds of eight members while it is attacked.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <optional>

#include "tests/bench/agents.hpp"
#include "tests/bench/samples.hpp"
#include "tests/hostile/attack.hpp"

namespace lockstep::hostile {
namespace {

using bench::Agents;
using bench::BrokerProcess;

constexpr std::size_t kMembers = 8;
constexpr milliseconds kAttackTime{3'000};
/// libzmq's limit for a handshake, and some more.
constexpr milliseconds kHandshakeTime{8'000};
constexpr milliseconds kPatience{30'000};
/// A barrier of so few takes less than a millisecond. This machine may be busy with other things, and an attacker takes
/// half of it; lockstep-bench-hostile measures how much longer a barrier really takes.
constexpr double kGenerousMs = 250 * kSanitizerFactor;

/// One dump with leave-running after the other, until the condition holds.
bench::Samples rounds_until(Agents& agents, const std::function<bool()>& done) {
  bench::Samples samples;
  do {
    agents.open_round();
    for (const HookAction action :
         {HookAction::pre_dump, HookAction::network_lock, HookAction::post_dump, HookAction::network_unlock}) {
      samples.add(agents.pass(action, bench::Arrival::all_at_once).from_event);
    }
  } while (!done());
  return samples;
}

bench::Samples rounds_for(Agents& agents, milliseconds time) {
  const TimePoint end = Clock::now() + time;
  return rounds_until(agents, [&] { return Clock::now() >= end; });
}

/// User and system time of a process, in seconds.
double processor_time(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string field;
  for (int i = 3; i < 14; ++i) fields >> field;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

class HostileToBroker : public ::testing::Test {
 protected:
  HostileToBroker() {
    try {
      agents_.emplace(broker_, kMembers);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what() << "\n" << broker_.log_tail();
    }
  }

  /// Rounds go on under the attack, for those who were there before it and for those who come in the middle of it.
  void serves_under(const Plan& plan, bool at_publisher = false) {
    Attack attack(at_publisher ? broker_.publisher_port() : broker_.router_port(), plan);
    try {
      const bench::Samples first = rounds_for(*agents_, kAttackTime);
      EXPECT_LT(first.median(), kGenerousMs);
      agents_.emplace(broker_, kMembers);
      const bench::Samples later = rounds_for(*agents_, kAttackTime);
      EXPECT_LT(later.median(), kGenerousMs);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what() << "\n" << broker_.log_tail();
    }
    EXPECT_GT(attack.tally().opened, 0U);
    dropped_ = attack.tally().dropped;
    held_ = attack.tally().held;
    bytes_ = attack.tally().bytes;
    std::printf("  attacker: %lu connections made, %lu dropped, %lu held, %.1f MiB sent\n",
                attack.tally().opened.load(), dropped_, held_, static_cast<double>(bytes_) / (1U << 20U));
  }

  void TearDown() override {
    std::printf("  broker's peak: %ld MiB, processor: %.1f s\n", peak_mib(), processor_time(broker_.pid()));
  }

  [[nodiscard]] long peak_mib() const { return bench::size_of(broker_.pid()).peak_kib / 1024; }

  BrokerProcess broker_;
  std::optional<Agents> agents_;
  std::uint64_t dropped_ = 0;
  std::uint64_t held_ = 0;
  std::uint64_t bytes_ = 0;
};

TEST_F(HostileToBroker, SlowGreetingsAreCutOff) {
  Attack attack(broker_.router_port(), slow_loris());
  // 64 bytes at ten a second would take longer than the handshake may.
  const TimePoint end = Clock::now() + kHandshakeTime;
  (void)rounds_until(*agents_, [&] { return attack.tally().dropped > 0 || Clock::now() > end; });
  EXPECT_GT(attack.tally().dropped, 0U);
  EXPECT_LT(peak_mib(), 100 * kSanitizerFactor);
}

TEST_F(HostileToBroker, TenThousandSilentConnections) {
  Attack attack(broker_.router_port(), silent(10'000));
  const TimePoint end = Clock::now() + kPatience;
  bool all = false;
  const bench::Samples samples = rounds_until(*agents_, [&] {
    all = all || attack.tally().held >= 9'900;
    return (all && attack.tally().dropped > 0) || Clock::now() > end;
  });
  EXPECT_TRUE(all) << attack.tally().held;
  EXPECT_GT(attack.tally().dropped, 0U) << "a handshake may take only so long";
  EXPECT_LT(samples.median(), kGenerousMs);
  EXPECT_LT(peak_mib(), 400 * kSanitizerFactor);
}

TEST_F(HostileToBroker, TenThousandIdlePeers) {
  Attack attack(broker_.router_port(), greeted(10'000));
  const TimePoint end = Clock::now() + kPatience;
  (void)rounds_until(*agents_, [&] { return attack.tally().held >= 9'900 || Clock::now() > end; });
  EXPECT_GE(attack.tally().held, 9'900U);
  agents_.emplace(broker_, kMembers);
  EXPECT_LT(rounds_for(*agents_, kAttackTime).median(), kGenerousMs);
  EXPECT_LT(peak_mib(), 800 * kSanitizerFactor);
}

TEST_F(HostileToBroker, GarbageBeforeTheHandshake) {
  serves_under(garbage());
  EXPECT_GT(dropped_, 100U);
  EXPECT_LT(peak_mib(), 100 * kSanitizerFactor);
}

TEST_F(HostileToBroker, AFrameOfAGigabyteIsRefusedBeforeItComes) {
  serves_under(announced_gigabyte());
  EXPECT_GT(dropped_, 50U);
  EXPECT_LT(peak_mib(), 100 * kSanitizerFactor);
}

TEST_F(HostileToBroker, MessagesThatAreNone) {
  serves_under(nonsense());
  EXPECT_GT(bytes_, 1U << 20U);
  EXPECT_LT(peak_mib(), 200 * kSanitizerFactor);
}

TEST_F(HostileToBroker, QuestionsWithoutEnd) {
  serves_under(questions());
  EXPECT_GT(bytes_, 100'000U);
  EXPECT_LT(peak_mib(), 200 * kSanitizerFactor);
}

TEST_F(HostileToBroker, LargeMessagesWithoutEnd) {
  serves_under(large_messages());
  EXPECT_GT(bytes_, 20U << 20U);
  EXPECT_LT(peak_mib(), 1'000 * kSanitizerFactor);
}

TEST_F(HostileToBroker, SubscriptionsWithoutEnd) {
  serves_under(subscriptions(), true);
  EXPECT_GT(bytes_, 1U << 20U);
  EXPECT_LT(peak_mib(), 500 * kSanitizerFactor);
}

TEST_F(HostileToBroker, ConnectionsBeyondTheLimitAreTurnedAwayWithoutSpinning) {
  const rlimit few{400, 400};
  ASSERT_EQ(::prlimit(broker_.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  Plan plan = greeted(1'000);
  plan.opens_per_second = 1'000;
  Attack attack(broker_.router_port(), plan);
  (void)rounds_for(*agents_, seconds(2));
  EXPECT_GT(attack.tally().dropped, 100U);
  // Now nobody speaks but the attacker. Spinning would take both processors for all of the time.
  const double before = processor_time(broker_.pid());
  ::usleep(2'000'000);
  const double used = processor_time(broker_.pid()) - before;
  std::printf("  processor: %.2f of 2 s\n", used);
  EXPECT_LT(used, 1.0);
  // Who is in stays in. (For newcomers there is no room: keys are what keeps strangers from taking it all.)
  EXPECT_LT(rounds_for(*agents_, milliseconds(500)).median(), kGenerousMs);
}

}  // namespace
}  // namespace lockstep::hostile
