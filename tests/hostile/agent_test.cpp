// A real agent whose hooks are served while its unix socket is attacked.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <optional>

#include "common/frame_stream.hpp"
#include "schemas/codec.hpp"
#include "tests/bench/broker_process.hpp"
#include "tests/bench/client.hpp"
#include "tests/bench/samples.hpp"
#include "tests/e2e/harness/wait_until.hpp"
#include "tests/hostile/attack.hpp"

namespace lockstep::hostile {
namespace {

using bench::neighbour;

constexpr milliseconds kAttackTime{3'000};
constexpr milliseconds kPatience{5'000};
constexpr double kGenerousMs = 250 * kSanitizerFactor;

/// A broker, and a node agent that has no pod: its hooks are answered all the same, by the broker's word.
class HostileToAgent : public ::testing::Test {
 protected:
  HostileToAgent() : client_(broker_.router_port()) {
    const auto endpoint = [](std::uint16_t port) { return "tcp://127.0.0.1:" + std::to_string(port); };
    e2e::write_file(dir_ / "agent.yaml", "broker: " + endpoint(broker_.router_port()) +
                                             "\nreleases: " + endpoint(broker_.publisher_port()) +
                                             "\nsocket_dir: " + dir_.path().string() + "\n");
    agent_.emplace(
        bench::Child::start({neighbour("lockstep-agent"), "--node", "--config", (dir_ / "agent.yaml").string()},
                            (dir_ / "agent.log").string()));
    const TimePoint until = Clock::now() + seconds(10);
    while (std::get<BrokerStatus>(client_.ask({}, GetStatus{}).body).agents.empty() && Clock::now() < until)
      ::usleep(5'000);
  }

  [[nodiscard]] std::string socket_path() const { return (dir_ / "node.sock").string(); }

  /// What a hook asks and is answered: an event of a round that is not known, which the broker says is over. True when
  /// that answer has come in time.
  [[nodiscard]] bool ask() const {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_path().data(), socket_path().size());
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    HookEvent event;
    event.action = HookAction::pre_dump;
    event.pod = {"no boot of this machine's", 1};
    const TimePoint until = Clock::now() + kPatience;
    const std::string bytes = encode({RoundId("nowhere"), GroupId("g"), MemberId("m"), 1, event});
    if (!write_frame(socket.get(), bytes, until)) return false;
    FrameReader reader(kMaxFrame);
    while (Clock::now() < until) {
      const auto batch = reader.read_available(socket.get());
      if (!batch) return false;
      for (const std::string& frame : batch->frames) {
        const auto message = decode(frame);
        if (message && std::holds_alternative<Answer>(message->body)) return true;
      }
      if (batch->closed) return false;
      ::usleep(200);
    }
    return false;
  }

  /// Hooks are answered while the attack goes on.
  void serves_under(const Plan& plan, milliseconds time = kAttackTime) {
    Attack attack(socket_path(), plan);
    bench::Samples samples;
    int unanswered = 0;
    const TimePoint end = Clock::now() + time;
    do {
      const TimePoint begin = Clock::now();
      if (!ask()) ++unanswered;
      samples.add(Clock::now() - begin);
    } while (Clock::now() < end);
    std::printf("  %zu hooks, median %.2f ms, agent's peak: %ld MiB\n", samples.count(), samples.median(), peak_mib());
    EXPECT_EQ(unanswered, 0) << e2e::tail_of(dir_ / "agent.log", 5);
    EXPECT_LT(samples.median(), kGenerousMs);
    EXPECT_GT(attack.tally().opened, 0U);
    dropped_ = attack.tally().dropped;
  }

  [[nodiscard]] long peak_mib() const { return bench::size_of(agent_->pid()).peak_kib / 1024; }

  e2e::TempDir dir_;
  bench::BrokerProcess broker_;
  bench::Client client_;
  std::optional<bench::Child> agent_;
  std::uint64_t dropped_ = 0;
};

TEST_F(HostileToAgent, HooksAreAnswered) { EXPECT_TRUE(ask()) << e2e::tail_of(dir_ / "agent.log", 5); }

TEST_F(HostileToAgent, FramesThatComeByteByByteAreCutOff) {
  serves_under(half_frames(), milliseconds(13'000));
  EXPECT_GT(dropped_, 0U);
  EXPECT_LT(peak_mib(), 100 * kSanitizerFactor);
}

TEST_F(HostileToAgent, ConnectionsBeyondTheLimitAreTurnedAway) {
  serves_under(silent(4'500));
  EXPECT_GT(dropped_, 0U);
  EXPECT_LT(peak_mib(), 100 * kSanitizerFactor);
}

TEST_F(HostileToAgent, AFrameOfAGigabyteIsRefusedBeforeItComes) {
  serves_under(announced_frame());
  EXPECT_GT(dropped_, 50U);
  EXPECT_LT(peak_mib(), 100 * kSanitizerFactor);
}

TEST_F(HostileToAgent, FramesThatAreNoMessages) {
  serves_under(nonsense_frames());
  EXPECT_GT(dropped_, 100U);
  EXPECT_LT(peak_mib(), 100 * kSanitizerFactor);
}

}  // namespace
}  // namespace lockstep::hostile
