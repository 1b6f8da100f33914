#include "cli/images/cut_check.hpp"

#include <gtest/gtest.h>

#include "tests/unit/images/sample_images.hpp"
#include "tests/unit/images/tcp_model.hpp"

namespace lockstep::images {
namespace {

using test::connection;
using test::endpoint;

test::Ends sample() { return connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4000)); }

/// a has written 500 bytes that b's acknowledgement does not cover, 300 of them sent, 100 of those received.
test::Ends busy() {
  test::Ends ends = sample();
  ends.a.written = 1500;
  ends.a.unacknowledged = 500;
  ends.a.unsent = 200;
  ends.b.received = 1100;
  ends.b.unread = 50;
  return ends;
}

TEST(CutCheck, CountsWhatIsInFlight) {
  const auto ends = busy();
  const ConnectionCheck check = check_connection(ends.a, ends.b);
  EXPECT_TRUE(check.fits());
  EXPECT_EQ(check.forth.acknowledged, 1000U);
  EXPECT_EQ(check.forth.sent, 1300U);
  EXPECT_EQ(check.forth.received, 1100U);
  EXPECT_EQ(check.forth.in_flight, 200U);
  EXPECT_EQ(check.forth.unsent, 200U);
  EXPECT_EQ(check.forth.unread, 50U);
  EXPECT_EQ(check.back.in_flight, 0U);
}

TEST(CutCheck, FindsTheExactBounds) {
  const auto gap = [](std::uint32_t received, bool swapped) {
    auto ends = busy();
    ends.b.received = received;
    const ConnectionCheck check = swapped ? check_connection(ends.b, ends.a) : check_connection(ends.a, ends.b);
    const Flow& flow = swapped ? check.back : check.forth;
    EXPECT_EQ(check.fits(), flow.gap == 0);
    EXPECT_EQ(flow.misfit.empty(), flow.gap == 0) << flow.misfit;
    EXPECT_TRUE((swapped ? check.forth : check.back).misfit.empty());
    return flow.gap;
  };
  for (const bool swapped : {false, true}) {
    EXPECT_EQ(gap(999, swapped), -1);
    EXPECT_EQ(gap(1000, swapped), 0);
    EXPECT_EQ(gap(1300, swapped), 0);
    EXPECT_EQ(gap(1301, swapped), 1);
    EXPECT_EQ(gap(0, swapped), -1000);
    EXPECT_EQ(gap(1000000, swapped), 998700);
  }
}

TEST(CutCheck, NumbersWrap) {
  auto ends = busy();
  for (const std::uint32_t shift : {0U, 0xFFFFFFFFU - 1000, 0xFFFFFFFFU - 1200, 0xFFFFFFFFU - 1400, 0x7FFFFFFFU}) {
    auto shifted = ends;
    shifted.a.written += shift;
    shifted.b.received += shift;
    EXPECT_TRUE(check_connection(shifted.a, shifted.b).fits()) << shift;
    shifted.b.received += 201;
    EXPECT_EQ(check_connection(shifted.a, shifted.b).forth.gap, 1) << shift;
  }
}

struct FinCase {
  TcpState a, b;
  std::uint32_t a_written, b_received;  ///< on top of what is acknowledged
  bool fits;
};

TEST(CutCheck, EndsOfStreams) {
  using enum TcpState;
  // Nothing but a's FIN, its number 1000, is or was outstanding.
  const std::vector<FinCase> cases{
      {fin_wait1, established, 1, 0, true},  // not received
      {fin_wait1, close_wait, 1, 1, true},   // received
      {fin_wait2, close_wait, 1, 1, true},   // and acknowledged
      {fin_wait1, fin_wait1, 1, 0, true},     {fin_wait1, closing, 1, 1, true},       {last_ack, fin_wait2, 1, 0, true},
      {fin_wait2, established, 1, 0, false},  // acknowledged by somebody who has not got it
      {fin_wait2, established, 1, 1, false},  // b's number says yes, its state no
      {fin_wait1, established, 1, 1, false},  {established, close_wait, 0, 1, false},  // seen, but not sent
      {established, close_wait, 0, 0, false}, {close_wait, last_ack, 0, 1, false},
  };
  for (const auto& c : cases) {
    auto ends = sample();
    ends.a.state = c.a;
    ends.b.state = c.b;
    ends.a.written += c.a_written;
    ends.b.received += c.b_received;
    const Flow flow = check_flow(ends.a, ends.b);
    EXPECT_EQ(flow.misfit.empty(), c.fits) << to_string(c.a) << "/" << to_string(c.b) << ": " << flow.misfit;
    EXPECT_EQ(flow.in_flight, 0U);
  }
}

TEST(CutCheck, TheEndComesAfterTheLastByte) {
  auto ends = busy();
  ends.a.state = TcpState::fin_wait1;
  ++ends.a.written;  // the FIN; the lengths don't count it
  EXPECT_TRUE(check_connection(ends.a, ends.b).fits());
  ends.b.state = TcpState::close_wait;
  ++ends.b.received;
  EXPECT_EQ(check_flow(ends.a, ends.b).misfit,
            "the receiver has seen the end of the stream before its last bytes were sent");
}

TEST(CutCheck, OfAClosedEndOnlyTheUpperBoundIsKnown) {
  auto ends = busy();
  ends.a.state = TcpState::close;
  ends.a.unacknowledged = ends.a.unsent = 0;  // as CRIU saves it
  EXPECT_TRUE(check_connection(ends.a, ends.b).fits());
  ends.b.received = 1501;
  EXPECT_EQ(check_connection(ends.a, ends.b).forth.gap, 1);
  auto other = busy();
  other.b.state = TcpState::close;
  EXPECT_TRUE(check_connection(other.a, other.b).fits());
  other.b.received = 999;
  EXPECT_EQ(check_connection(other.a, other.b).forth.gap, -1);
}

TEST(CutCheck, HalfOpened) {
  auto ends = sample();
  ends.a.state = TcpState::syn_sent;
  EXPECT_FALSE(check_connection(ends.a, ends.b).fits());
  EXPECT_FALSE(check_connection(ends.b, ends.a).fits());
  ends.b.state = TcpState::syn_sent;
  EXPECT_TRUE(check_connection(ends.a, ends.b).fits());
}

TEST(CutCheck, StrangersAreFarApart) {
  auto ends = sample();
  EXPECT_TRUE(can_be_one_connection(ends.a, ends.b));
  ends.b.received += 256U << 20U;
  EXPECT_TRUE(can_be_one_connection(ends.a, ends.b));
  ++ends.b.received;
  EXPECT_FALSE(can_be_one_connection(ends.a, ends.b));
  EXPECT_FALSE(can_be_one_connection(ends.b, ends.a));
  ends.b.received = ends.a.written - 0x80000000U;
  EXPECT_FALSE(can_be_one_connection(ends.a, ends.b));
}

TEST(CutCheck, EveryInstantOfAConversationFits) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    test::TcpModel model(seed);
    for (int step = 0; step < 400; ++step) {
      model.step();
      const ConnectionCheck check = check_connection(model.save(0), model.save(1));
      ASSERT_TRUE(check.fits()) << "seed " << seed << " step " << step << " " << to_string(model.save(0).state) << "/"
                                << to_string(model.save(1).state) << ": " << check.forth.misfit << check.back.misfit;
    }
  }
}

/// One end saved some steps after the other. Fits exactly when the kernel's own numbers do.
TEST(CutCheck, TwoInstantsFitOnlyWhenNothingWasLost) {
  std::size_t misfits = 0;
  for (std::uint32_t seed = 0; seed < 3000; ++seed) {
    test::TcpModel model(seed);
    for (std::uint32_t step = 0; step < 20 + seed % 300; ++step) model.step();
    const TcpEnd early = model.save(0);
    const auto before = model.numbers(0);
    for (std::uint32_t step = 0; step < seed % 40; ++step) model.step();
    const TcpEnd late = model.save(1);
    const auto after = model.numbers(1);
    if (early.state == TcpState::close || late.state == TcpState::close) continue;
    const bool kept = after.acknowledged <= before.received && before.received <= after.sent &&
                      before.acknowledged <= after.received && after.received <= before.sent;
    const ConnectionCheck check = check_connection(early, late);
    ASSERT_EQ(check.fits(), kept) << "seed " << seed << " " << to_string(early.state) << "/" << to_string(late.state)
                                  << ": " << check.forth.misfit << check.back.misfit;
    misfits += kept ? 0 : 1;
  }
  EXPECT_GT(misfits, 500U);
}

}  // namespace
}  // namespace lockstep::images
