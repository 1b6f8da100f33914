/// The broker's shell over real ZeroMQ sockets in a folder of the test's own.
#include "broker/broker_shell.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <optional>
#include <thread>

#include "common/zmq_socket.hpp"
#include "schemas/codec.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::broker {
namespace {

constexpr seconds kPatience{10};

class Shell : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.listen = {"ipc://" + (dir_ / "sub/broker.sock")};
    config_.publish = {"ipc://" + (dir_ / "sub/broker.sock.pub")};
    config_.journal = dir_ / "journal.db";
    // The broker's thread closes its own.
    stop_ = Fd(::eventfd(0, EFD_CLOEXEC));
    auto shell = BrokerShell::create(config_, Fd(::fcntl(stop_.get(), F_DUPFD_CLOEXEC, 0)));
    ASSERT_TRUE(shell) << shell.error().message();
    thread_ = std::thread([moved = std::move(*shell)]() mutable { moved.run(); });
  }

  void TearDown() override {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(stop_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    thread_.join();
  }

  zmq::socket_t dealer() {
    auto socket = open_zmq_socket(context_, zmq::socket_type::dealer, kMaxFrame);
    EXPECT_TRUE(socket && connect_zmq(*socket, config_.listen[0]));
    return std::move(*socket);
  }

  zmq::socket_t subscriber() {
    auto socket = open_zmq_socket(context_, zmq::socket_type::sub, kMaxFrame);
    EXPECT_TRUE(socket);
    socket->set(zmq::sockopt::subscribe, kReleaseTopic);
    EXPECT_TRUE(connect_zmq(*socket, config_.publish[0]));
    return std::move(*socket);
  }

  static void say(zmq::socket_t& socket, Body body, std::uint64_t sequence = 1) {
    const Message message{RoundId("r"), GroupId("g"), MemberId("m"), sequence, std::move(body)};
    EXPECT_EQ(send_frames(socket, {encode(message)}), Sent::yes);
  }

  static bool wait_for(zmq::socket_t& socket, Duration patience = kPatience) {
    std::vector<zmq::pollitem_t> items{{socket.handle(), 0, ZMQ_POLLIN, 0}};
    poll_until(items, Clock::now() + patience);
    return items[0].revents != 0;
  }

  /// The next message of this kind; others are passed over. A bounded wait.
  template <class T>
  static std::optional<Message> next(zmq::socket_t& socket) {
    const TimePoint end = Clock::now() + kPatience;
    while (Clock::now() < end && wait_for(socket)) {
      const auto frames = receive_frames(socket);
      if (frames.empty()) continue;
      auto message = decode(frames.back().to_string_view());
      if (message && std::holds_alternative<T>(message->body)) return *message;
    }
    return std::nullopt;
  }

  zmq::socket_t joined(Role role) {
    zmq::socket_t socket = dealer();
    say(socket, Hello{role, "peer", "boot", {}, role == Role::agent, {}});
    EXPECT_TRUE(next<Welcome>(socket));
    return socket;
  }

  Counters counters(zmq::socket_t& client) {
    say(client, GetStatus{}, 77);
    const auto status = next<BrokerStatus>(client);
    return status ? std::get<BrokerStatus>(status->body).counters : Counters{};
  }

  static HookEvent event() { return {HookAction::pre_dump, PodId{"boot", 7}, 9, 9, 9, {}, {}, {}}; }

  test::TempDir dir_;
  BrokerConfig config_;
  zmq::context_t context_{1};
  Fd stop_;
  std::thread thread_;
};

TEST_F(Shell, MakesSocketsForItsOwnerOnly) {
  for (const char* name : {"sub/broker.sock", "sub/broker.sock.pub"}) {
    struct stat status {};
    ASSERT_EQ(::stat((dir_ / name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0177U, 0U) << name;
  }
}

TEST_F(Shell, TellsAPeerThatItDoesNotKnowToSayHello) {
  zmq::socket_t stranger = dealer();
  say(stranger, GetStatus{}, 5);
  const auto refused = next<Refused>(stranger);
  ASSERT_TRUE(refused);
  EXPECT_TRUE(std::get<Refused>(refused->body).say_hello);
  EXPECT_EQ(refused->sequence, 5U);
}

TEST_F(Shell, RefusesAndCountsWhatItCantUnderstandAndGoesOn) {
  zmq::socket_t client = joined(Role::client);
  const std::vector<std::string> garbage{"hello", std::string(), std::string("\xdd\xff\xff\xff\xff", 5),
                                         std::string(1 << 20, '\x91')};
  for (const std::string& bytes : garbage) {
    ASSERT_EQ(send_frames(client, {bytes}), Sent::yes);
    EXPECT_TRUE(next<Refused>(client));
  }
  EXPECT_EQ(counters(client).malformed, garbage.size());
}

TEST_F(Shell, RefusesAMessageOfSeveralFrames) {
  zmq::socket_t client = joined(Role::client);
  const std::string status = encode(Message{{}, {}, {}, 1, GetStatus{}});
  ASSERT_EQ(send_frames(client, {status, status}), Sent::yes);
  ASSERT_TRUE(next<Refused>(client));
  EXPECT_EQ(counters(client).malformed, 1U);
}

TEST_F(Shell, NeverTakesInAnOversizedMessage) {
  zmq::socket_t client = joined(Role::client);
  zmq::socket_t hostile = joined(Role::client);
  ASSERT_EQ(send_frames(hostile, {std::string(kMaxFrame + 1, 'x')}), Sent::yes);
  EXPECT_FALSE(wait_for(hostile, milliseconds(200))) << "libzmq ends the connection";
  EXPECT_EQ(counters(client).malformed, 0U);
  zmq::socket_t again = joined(Role::client);
  EXPECT_GT(counters(again).messages, 0U);
}

TEST_F(Shell, GivesOverRouterWhatWasMissedOnPub) {
  zmq::socket_t agent = joined(Role::agent);
  zmq::socket_t client = joined(Role::client);
  OpenRound open;
  open.members.push_back({MemberId("m"), PodId{"boot", 7}, {}, {}});
  say(client, open);
  ASSERT_TRUE(next<RoundStatus>(client));
  say(agent, event(), 41);
  ASSERT_TRUE(next<Order>(agent));
  say(agent, Ready{Phase::prepare, true, {}, {}, {}}, 42);  // opens the barrier, and nobody has subscribed
  say(agent, event(), 41);
  const auto release = next<Release>(agent);
  ASSERT_TRUE(release);
  EXPECT_EQ(std::get<Release>(release->body).verdict, Verdict::go);
  EXPECT_EQ(release->sequence, 41U);
}

TEST_F(Shell, PublishesReleasesWithNumbersThatHaveNoGaps) {
  zmq::socket_t listener = subscriber();
  zmq::socket_t client = joined(Role::client);
  std::uint64_t last = 0;
  // A subscription takes its time to arrive; rounds are opened and aborted until one is heard, then three more.
  const TimePoint end = Clock::now() + kPatience;
  for (int round = 0, heard = 0; heard < 4 && Clock::now() < end; ++round) {
    const RoundId id("r-" + std::to_string(round));
    OpenRound open;
    open.members.push_back({MemberId("m"), {}, {}, {}});
    ASSERT_EQ(send_frames(client, {encode(Message{id, GroupId("g"), {}, 1, open})}), Sent::yes);
    ASSERT_EQ(send_frames(client, {encode(Message{id, GroupId("g"), {}, 2, AbortRound{}})}), Sent::yes);
    ASSERT_TRUE(next<RoundStatus>(client) && next<RoundStatus>(client));
    if (!wait_for(listener, milliseconds(heard == 0 ? 20 : 5'000))) continue;
    const auto release = next<Release>(listener);
    ASSERT_TRUE(release);
    EXPECT_TRUE(last == 0 || release->sequence == last + 1) << release->sequence;
    last = release->sequence;
    ++heard;
  }
  EXPECT_GT(last, 0U);
}

TEST_F(Shell, EndsTheRoundsOfAnAgentThatHasGone) {
  zmq::socket_t client = joined(Role::client);
  OpenRound open;
  open.members.push_back({MemberId("m"), PodId{"boot", 7}, {}, {}});
  say(client, open);
  {
    zmq::socket_t agent = joined(Role::agent);
    say(agent, event());
    ASSERT_TRUE(next<Order>(agent));
  }
  const TimePoint end = Clock::now() + kPatience;
  RoundState state = RoundState::open;
  while (state == RoundState::open && Clock::now() < end) {  // 3 s of silence
    say(client, GetRound{}, 9);
    const auto status = next<RoundStatus>(client);
    ASSERT_TRUE(status);
    state = std::get<RoundStatus>(status->body).state;
    (void)wait_for(client, milliseconds(50));
  }
  EXPECT_EQ(state, RoundState::aborted);
}

TEST_F(Shell, SaysWhichEndPointItCantListenOn) {
  const std::string folder = dir_ / "sub/broker.sock";  // a socket, and no folder
  BrokerConfig config = config_;
  config.listen = {"ipc://" + folder + "/x.sock"};
  config.journal = kNoJournal;
  const auto shell = BrokerShell::create(config, Fd(::eventfd(0, EFD_CLOEXEC)));
  ASSERT_FALSE(shell);
  EXPECT_NE(shell.error().message().find(folder), std::string::npos) << shell.error().message();
}

}  // namespace
}  // namespace lockstep::broker
