/// A broker on a network, with real CURVE handshakes over loopback: who gets in, what each may do, and what becomes of
/// a key that is revoked while its connection stands.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <optional>
#include <thread>

#include "broker/broker_shell.hpp"
#include "common/handshake_watch.hpp"
#include "common/zmq_socket.hpp"
#include "schemas/codec.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::broker {
namespace {

constexpr seconds kPatience{10};

/// A port that was free a moment ago.
std::string free_endpoint() {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

class KeyedBroker : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(init_key_folder(keys_));
    broker_key_ = load_broker_key(keys_)->public_key;
    config_.listen = {free_endpoint()};
    config_.publish = {free_endpoint()};
    config_.keys = keys_;
    config_.journal = kNoJournal;
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

  PeerKey new_key(const std::string& name, KeyRole role, const std::string& node = {}) {
    const KeyPair pair = *make_key_pair();
    return {{name, role, node, {}, pair.public_key}, pair.secret_key, broker_key_, {}};
  }
  /// In the allow-list. Nothing has to be waited for: the broker looks at the list before at who comes.
  PeerKey allowed(const std::string& name, KeyRole role, const std::string& node = {}) {
    PeerKey key = new_key(name, role, node);
    const auto done = allow_key(keys_, key.entry);
    EXPECT_TRUE(done) << done.error().message();
    return key;
  }

  struct Peer {
    zmq::socket_t socket;
    HandshakeWatch handshakes;
  };
  Peer connect(const std::optional<PeerKey>& key, zmq::socket_type type = zmq::socket_type::dealer) {
    auto socket = open_zmq_socket(context_, type, kMaxFrame);
    EXPECT_TRUE(socket);
    if (type == zmq::socket_type::sub) socket->set(zmq::sockopt::subscribe, "");
    if (key) {
      EXPECT_TRUE(secure_zmq(*socket, *key));
    }
    auto watch = HandshakeWatch::create(context_, *socket);
    EXPECT_TRUE(watch);
    EXPECT_TRUE(connect_zmq(*socket, type == zmq::socket_type::sub ? config_.publish[0] : config_.listen[0]));
    return {std::move(*socket), std::move(*watch)};
  }

  static void say(Peer& peer, Body body, const std::string& round = "r") {
    const Message message{RoundId(round), GroupId("g"), MemberId("m"), 1, std::move(body)};
    EXPECT_EQ(send_frames(peer.socket, {encode(message)}), Sent::yes);
  }
  static bool readable(void* handle, Duration patience = kPatience) {
    std::vector<zmq::pollitem_t> items{{handle, 0, ZMQ_POLLIN, 0}};
    poll_until(items, Clock::now() + patience);
    return items[0].revents != 0;
  }
  /// The next message; a bounded wait.
  static std::optional<Message> next(Peer& peer, Duration patience = kPatience) {
    if (!readable(peer.socket.handle(), patience)) return std::nullopt;
    const auto frames = receive_frames(peer.socket);
    if (frames.empty()) return std::nullopt;
    auto message = decode(frames.back().to_string_view());
    return message ? std::optional(std::move(*message)) : std::nullopt;
  }
  /// What the broker answers: the type's name, or the reason of a refusal.
  static std::string answer(Peer& peer, Body body, const std::string& round = "r") {
    say(peer, std::move(body), round);
    const auto message = next(peer);
    if (!message) return "silence";
    const auto* refused = std::get_if<Refused>(&message->body);
    return refused != nullptr ? refused->reason : std::string(type_name(message->body));
  }
  static Hello hello(Role role, const std::string& boot = {}) {
    return {role, "peer", boot, {}, role == Role::agent, {}};
  }

  Counters counters() {
    if (!reader_) {
      reader_.emplace(connect(allowed("reader", KeyRole::observer)));
      EXPECT_EQ(answer(*reader_, hello(Role::client)), "Welcome");
    }
    say(*reader_, GetStatus{});
    const auto message = next(*reader_);
    const auto* status = message ? std::get_if<BrokerStatus>(&message->body) : nullptr;
    return status != nullptr ? status->counters : Counters{};
  }

  test::TempDir dir_;
  std::string keys_ = dir_ / "keys";
  std::string broker_key_;
  BrokerConfig config_;
  zmq::context_t context_{1};
  std::optional<Peer> reader_;
  Fd stop_;
  std::thread thread_;
};

TEST(ABrokerWithoutKeys, ServesItsLoopback) {
  BrokerConfig config;
  config.listen = {free_endpoint()};
  config.publish = {free_endpoint()};
  config.journal = kNoJournal;
  const Fd stop(::eventfd(0, EFD_CLOEXEC));
  auto shell = BrokerShell::create(config, Fd(::fcntl(stop.get(), F_DUPFD_CLOEXEC, 0)));
  ASSERT_TRUE(shell) << shell.error().message();
  std::thread thread([moved = std::move(*shell)]() mutable { moved.run(); });
  {
    zmq::context_t context;
    auto socket = open_zmq_socket(context, zmq::socket_type::dealer, kMaxFrame);
    EXPECT_TRUE(socket && connect_zmq(*socket, config.listen[0]));
    EXPECT_EQ(send_frames(*socket, {encode(Message{{}, {}, {}, 1, Hello{}})}), Sent::yes);
    std::vector<zmq::pollitem_t> items{{socket->handle(), 0, ZMQ_POLLIN, 0}};
    poll_until(items, Clock::now() + kPatience);
    const auto frames = receive_frames(*socket);
    const auto message = decode(frames.empty() ? std::string_view() : frames.back().to_string_view());
    EXPECT_TRUE(message && std::holds_alternative<Welcome>(message->body));
  }
  const std::uint64_t one = 1;
  EXPECT_EQ(::write(stop.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  thread.join();
}

TEST_F(KeyedBroker, TurnsAwayWhoHasNoKeyAWrongOneOrOneOfAnotherBroker) {
  Peer plain = connect(std::nullopt);
  ASSERT_TRUE(readable(plain.handshakes.handle()));
  EXPECT_NE(plain.handshakes.next(), HandshakeFailure::not_accepted) << "it is not even spoken to";

  Peer unknown = connect(new_key("nobody", KeyRole::operator_));
  ASSERT_TRUE(readable(unknown.handshakes.handle()));
  EXPECT_EQ(unknown.handshakes.next(), HandshakeFailure::not_accepted);

  PeerKey strange = allowed("strange", KeyRole::operator_);
  strange.broker_key = make_key_pair()->public_key;
  Peer lost = connect(strange);
  ASSERT_TRUE(readable(lost.handshakes.handle()));

  for (Peer* peer : {&plain, &unknown, &lost}) {
    // libzmq may refuse it at once: it gives up a connection that was turned away.
    (void)send_frames(peer->socket,
                      {encode(Message{RoundId("r"), GroupId("g"), MemberId("m"), 1, hello(Role::client)})});
    EXPECT_FALSE(next(*peer, milliseconds(100)));
  }
  const Counters counted = counters();
  EXPECT_GE(counted.unauthenticated, 3U);
  EXPECT_EQ(counted.messages, 2U) << "the reader's own: no word of the others has come through";
}

TEST_F(KeyedBroker, LetsEachDoWhatItsRoleAllows) {
  Peer op = connect(allowed("op", KeyRole::operator_));
  Peer observer = connect(allowed("watcher", KeyRole::observer));
  Peer agent = connect(allowed("web-1", KeyRole::agent, "web-1"));
  EXPECT_EQ(answer(op, hello(Role::client)), "Welcome");
  EXPECT_EQ(answer(observer, hello(Role::client)), "Welcome");
  EXPECT_EQ(answer(agent, hello(Role::agent, "boot-1")), "Welcome");

  OpenRound open;
  open.members.push_back({MemberId("m"), {"boot-1", 7}, {}, {}});
  EXPECT_NE(answer(observer, open).find("observer's"), std::string::npos);
  EXPECT_NE(answer(agent, open).find("agent's"), std::string::npos);
  EXPECT_EQ(answer(op, open), "RoundStatus");
  EXPECT_NE(answer(observer, AbortRound{}).find("key watcher is an observer's"), std::string::npos);
  EXPECT_EQ(answer(observer, GetRound{}), "RoundStatus");
  EXPECT_NE(answer(agent, GetStatus{}).find("may not open, abort or read"), std::string::npos);
  EXPECT_NE(answer(op, Ready{}).find("may not speak for members"), std::string::npos);
  EXPECT_EQ(counters().forbidden, 5U);
}

TEST_F(KeyedBroker, AnAgentCantClaimAnotherNodesPods) {
  Peer victim = connect(allowed("web-1", KeyRole::agent, "web-1"));
  Peer thief = connect(allowed("web-2", KeyRole::agent, "web-2"));
  EXPECT_EQ(answer(victim, hello(Role::agent, "boot-1")), "Welcome");
  EXPECT_NE(answer(thief, hello(Role::agent, "boot-1")).find("claimed by the key of node web-1"), std::string::npos);
  EXPECT_EQ(answer(victim, Heartbeat{}), "Heartbeat") << "which still owns them";
  EXPECT_EQ(counters().forbidden, 1U);
}

TEST_F(KeyedBroker, ARevokedKeyIsRefusedOnItsStandingConnection) {
  Peer op = connect(allowed("op", KeyRole::operator_));
  EXPECT_EQ(answer(op, hello(Role::client)), "Welcome");
  EXPECT_EQ(answer(op, GetStatus{}), "BrokerStatus");
  ASSERT_TRUE(revoke_key(keys_, "op"));
  EXPECT_EQ(answer(op, GetStatus{}), "key op (revoked) is not in the broker's allow-list any more");
  EXPECT_EQ(counters().forbidden, 1U);
  Peer again = connect(allowed("op", KeyRole::operator_));
  EXPECT_EQ(answer(again, hello(Role::client)), "Welcome") << "with a new key of that name";
}

TEST_F(KeyedBroker, ARevokedSubscriberHearsNothingMoreAndTheOthersDo) {
  Peer op = connect(allowed("op", KeyRole::operator_));
  EXPECT_EQ(answer(op, hello(Role::client)), "Welcome");
  Peer stays = connect(allowed("stays", KeyRole::observer), zmq::socket_type::sub);
  Peer goes = connect(allowed("goes", KeyRole::observer), zmq::socket_type::sub);
  int rounds = 0;
  // A round that is opened and aborted is published; a subscription takes its time to arrive.
  const auto publish = [&] {
    const std::string round = "r-" + std::to_string(++rounds);
    OpenRound open;
    open.members.push_back({MemberId("m"), {}, {}, {}});
    EXPECT_EQ(answer(op, open, round), "RoundStatus");
    EXPECT_EQ(answer(op, AbortRound{}, round), "RoundStatus");
  };
  const auto hears = [&](Peer& peer) {
    const TimePoint end = Clock::now() + kPatience;
    while (Clock::now() < end) {
      publish();
      if (next(peer, milliseconds(50))) return true;
    }
    return false;
  };
  ASSERT_TRUE(hears(stays) && hears(goes));
  ASSERT_TRUE(revoke_key(keys_, "goes"));
  EXPECT_EQ(answer(op, GetStatus{}), "BrokerStatus");  // the list has been read again before this was
  while (next(goes, milliseconds(200))) {              // what was under way
  }
  while (next(stays, milliseconds(0))) {
  }
  EXPECT_TRUE(hears(stays)) << "it has connected again by itself";
  EXPECT_FALSE(next(goes, milliseconds(200)));
}

}  // namespace
}  // namespace lockstep::broker
