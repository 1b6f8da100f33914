/// Connections with something in them when they are dumped: every byte arrives, once and in order, and the end of the
/// stream after the last one.
#include "tests/e2e/connections.hpp"

namespace lockstep::e2e {
namespace {

class Queues : public Connections, public ::testing::WithParamInterface<bool> {
 protected:
  Queues()
      : cluster_(2, Agents::sidecars),
        a_(cluster_, "a", cluster_.network().pod(0)),
        b_(cluster_, "b", cluster_.network().pod(1)),
        group_(cluster_.write_group(group_of({&a_, &b_}), kShortBounds)) {
    b_.tell("listen in 7000");
    const std::string address = GetParam() ? "[" + Network::address6(1) + "]" : Network::address4(1);
    connect(a_, "out", address + ":7000", b_, "in.1");
  }

  /// `internal`: how many a member has.
  void kill_and_restore(int internal = 1) {
    const json dumped = dump_and_kill(cluster_, group_, {&a_, &b_});
    expect_counts(dumped, "a", {{"internal", internal}});
    expect_counts(dumped, "b", {{"internal", internal}, {"listening", 2}});
    EXPECT_EQ(dumped["consistent"], true) << dumped["proof"];
    const json restored = report_of(cluster_, {"restore", group_}, 0);
    EXPECT_EQ(restored["differences"], json::array());
    expect_unlocked(cluster_);
  }

  void expect_end() { expect_good_end(cluster_, {&a_, &b_}); }

  static void expect_end_of_stream(const HeldSockets& of, const std::string& end) {
    const auto socket = of.await(end, [](const HeldSocket& each) { return each.end_of_file; });
    ASSERT_TRUE(socket.has_value());
    EXPECT_TRUE(socket->end_of_file) << *socket;
    EXPECT_EQ(socket->error, "") << *socket;
  }

  Cluster cluster_;
  HeldSockets a_, b_;
  std::string group_;
};

TEST_P(Queues, DataNobodyHasReadAtEitherEnd) {
  constexpr std::uint64_t kBytes = 40'000;
  a_.tell("read out off");
  b_.tell({"read in.1 off", "send in.1 40000"});
  a_.tell("send out 40000");
  const auto unread = [](const HeldSocket& socket) { return socket.unread == kBytes; };
  ASSERT_EQ(a_.await("out", unread)->unread, kBytes);
  ASSERT_EQ(b_.await("in.1", unread)->unread, kBytes);
  kill_and_restore();
  EXPECT_EQ(a_.socket("out").unread, kBytes);
  a_.tell("read out on");
  b_.tell("read in.1 on");
  expect_received(a_, "out", kBytes);
  expect_received(b_, "in.1", kBytes);
  expect_alive(a_, "out", b_, "in.1");
  expect_end();
}

TEST_P(Queues, AFullSendQueueAndAReaderThatDoesNotRead) {
  constexpr std::uint64_t kBytes = 8'000'000;  // far more than the two kernels hold
  b_.tell("read in.1 off");
  a_.tell("send out " + std::to_string(kBytes));
  // Full: the reader's window is shut and the sender's kernel takes no more.
  std::uint64_t last = 0;
  const auto stuck = [&](const HeldSocket& socket) {
    return socket.unacknowledged > 100'000 && std::exchange(last, socket.sent) == socket.sent;
  };
  const auto full = a_.await("out", stuck);
  ASSERT_GT(full->unacknowledged, 100'000U) << *full;
  ASSERT_LT(full->sent, kBytes);
  kill_and_restore();
  EXPECT_GT(a_.socket("out").unacknowledged, 0U);
  EXPECT_EQ(b_.socket("in.1").received, 0U);
  b_.tell("read in.1 on");
  expect_received(b_, "in.1", kBytes);
  expect_alive(a_, "out", b_, "in.1");
  expect_end();
}

/// Two of them: one end has ended its stream and the other knows, or has yet to read what came before.
TEST_P(Queues, HalfClosed) {
  connect(a_, "second", Network::address4(1) + ":7000", b_, "in.2");
  a_.tell({"send out 1000", "shutdown out"});
  expect_received(b_, "in.1", 1000);
  expect_end_of_stream(b_, "in.1");
  b_.tell({"read in.2 off", "send in.2 2000"});
  a_.tell({"send second 3000", "shutdown second"});
  expect_received(a_, "second", 2000);
  // The queue's length counts the end of the stream as well, where the kernel tells it.
  ASSERT_GE(b_.await("in.2", [](const HeldSocket& socket) { return socket.unread >= 3000; })->unread, 3000U);
  kill_and_restore(2);

  // The open direction goes on, to its own end.
  b_.tell({"send in.1 5000", "shutdown in.1"});
  expect_received(a_, "out", 5000);
  expect_end_of_stream(a_, "out");
  EXPECT_EQ(b_.socket("in.1").error, "");
  b_.tell({"read in.2 on", "send in.2 4000", "shutdown in.2"});
  expect_received(b_, "in.2", 3000);
  expect_end_of_stream(b_, "in.2");
  expect_received(a_, "second", 6000);
  expect_end_of_stream(a_, "second");
  expect_end();
}

INSTANTIATE_TEST_SUITE_P(Family, Queues, ::testing::Bool(),
                         [](const auto& each) { return std::string(each.param ? "IPv6" : "IPv4"); });

}  // namespace
}  // namespace lockstep::e2e
