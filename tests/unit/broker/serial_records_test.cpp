/// The records of a serial round: what each holds, when sockets are labelled, and which of them a restore believes.
#include <gtest/gtest.h>

#include "schemas/codec.hpp"
#include "tests/unit/broker/serial_rig.hpp"

namespace lockstep::broker::test {
namespace {

using Lines = std::vector<std::string>;

Endpoint end(std::uint8_t host, std::uint16_t port) { return {IpFamily::v4, {10, 0, 0, host}, port}; }

Socket socket(Endpoint local, Endpoint remote, std::uint64_t inode) {
  return {.local = local, .remote = remote, .state = TcpState::established, .inode = inode};
}

/// m1 talks to m2 within the pod, and to m3.
const SocketTable kFirst{socket(end(1, 10), end(1, 20), 1), socket(end(1, 11), end(2, 30), 2)};
const SocketTable kSecond{socket(end(1, 20), end(1, 10), 3)};
const SocketTable kThird{socket(end(2, 30), end(1, 11), 4)};

/// What the members' records are in the end.
std::vector<Record> records_of(SerialRig& serial) {
  (void)serial.rig.open(SerialRig::serial_plan());
  for (const int number : {1, 3}) (void)serial.pass(number, kPreparePhase);
  (void)serial.pass(1, kLockPhase, kFirst);
  (void)serial.pass(3, kLockPhase, kThird);
  std::vector<Record> records(3);
  records[0] = SerialRig::record_in(serial.arrive(1, kCommitPhase), 1);
  (void)serial.ready(1, kCommitPhase);
  (void)serial.arrive(3, kCommitPhase);
  (void)serial.arrive(2, kPreparePhase);
  records[2] = SerialRig::record_in(serial.pass(2, kLockPhase, kSecond), 3);
  records[1] = SerialRig::record_in(serial.arrive(2, kCommitPhase), 2);
  return records;
}

TEST(SerialRecords, TheLastOneVouchesForTheOnesBeforeIt) {
  SerialRig serial;
  const std::vector<Record> records = records_of(serial);
  EXPECT_TRUE(records[0].conditional);
  EXPECT_TRUE(records[0].sockets.empty());
  EXPECT_EQ(records[0].round, kRound);
  EXPECT_TRUE(records[0].earlier.empty());
  EXPECT_FALSE(records[2].conditional);
  EXPECT_TRUE(records[2].earlier.empty()) << "alone in its pod";
  ASSERT_EQ(records[2].labels.size(), 1U);
  EXPECT_EQ(records[2].labels[0].label, ConnectionLabel::internal);
  EXPECT_FALSE(records[1].conditional);
  ASSERT_EQ(records[1].earlier.size(), 1U);
  EXPECT_EQ(records[1].earlier[0].member, member(1));
  ASSERT_EQ(records[1].earlier[0].sockets.size(), 2U);
  EXPECT_EQ(records[1].earlier[0].sockets[0].inode, 1U);
  for (const SocketLabel& label : records[1].earlier[0].labels) EXPECT_EQ(label.label, ConnectionLabel::internal);
  EXPECT_EQ(serial.rig.status().members[0].sockets, 2U);
}

TEST(SerialRecords, APolicyHasItsSayWhenTheLastTableHasCome) {
  SerialRig serial;
  OpenRound open = SerialRig::serial_plan();
  open.policy.external = ExternalPolicy::refuse;
  (void)serial.rig.open(open);
  for (const int number : {1, 3}) (void)serial.pass(number, kPreparePhase);
  (void)serial.pass(1, kLockPhase, {socket(end(1, 11), end(99, 443), 2)});
  (void)serial.pass(3, kLockPhase);
  (void)serial.pass(1, kCommitPhase);
  EXPECT_EQ(serial.rig.status().state, RoundState::open);
  (void)serial.arrive(2, kPreparePhase);
  (void)serial.pass(2, kLockPhase);
  EXPECT_EQ(serial.rig.status().state, RoundState::aborted);
  EXPECT_EQ(serial.rig.status().culprit, member(1));
  EXPECT_NE(serial.rig.status().reason.find("policy refuses"), std::string::npos) << serial.rig.status().reason;
}

class SerialRestore : public ::testing::Test {
 protected:
  SerialRestore() {
    SerialRig former;
    records_ = records_of(former);
    for (Record& record : records_) record.round = RoundId("r-0");
    OpenRound open = SerialRig::serial_plan(MemberOrder::detect);
    open.operation = Operation::restore;
    open.leave_running = false;
    (void)serial_.rig.open(open);
  }
  Actions come(int number) {
    HookEvent event = hook(HookAction::pre_restore, number);
    event.pod = pod(number == 3 ? 2 : 1);
    event.record.bytes = encode_record(records_[static_cast<std::size_t>(number - 1)]);
    return serial_.rig.say(SerialRig::agent_of(number), number, std::move(event));
  }

  SerialRig serial_;
  std::vector<Record> records_;
};

TEST_F(SerialRestore, AConditionalRecordWaitsForTheOneThatVouchesForIt) {
  EXPECT_EQ(come(1).lines(), Lines{"a1 < Pending prepare m1"});
  EXPECT_EQ(come(3).lines(), Lines{"a2 < Order prepare m3"});
  const Actions last = come(2);
  EXPECT_EQ(last.lines(), (Lines{"a1 < Order prepare m2", "a1 < Order prepare m1"}));
  for (const Message& message : last.sent_to(agent(1))) {
    const std::size_t own = message.member == member(1) ? 2 : 1;
    EXPECT_EQ(std::get<Order>(message.body).sockets.size(), own) << "m1's own, from m2's record";
  }
  for (const int number : {1, 2, 3})
    (void)serial_.rig.say(SerialRig::agent_of(number), number, Ready{Phase::prepare, true, {}, {}, {}});
  EXPECT_EQ(serial_.rig.status().phase, Phase::lock);
  EXPECT_EQ(serial_.rig.status().members[0].connections.internal, 2U);
}

TEST_F(SerialRestore, WhoseCompanionCameFirstIsOrderedAtOnce) {
  EXPECT_EQ(come(2).lines(), Lines{"a1 < Order prepare m2"});
  EXPECT_EQ(come(1).lines(), Lines{"a1 < Order prepare m1"});
}

TEST_F(SerialRestore, AConditionalRecordThatNobodyVouchesForRefusesTheRound) {
  records_[1].earlier.clear();
  for (const int number : {1, 2, 3}) (void)come(number);
  EXPECT_EQ(serial_.rig.status().state, RoundState::aborted);
  EXPECT_EQ(serial_.rig.status().culprit, member(1));
  EXPECT_NE(serial_.rig.status().reason.find("was never decided"), std::string::npos) << serial_.rig.status().reason;
}

TEST_F(SerialRestore, AConditionalRecordVouchesForNobody) {
  records_[1].conditional = true;
  for (const int number : {3, 2, 1}) (void)come(number);
  EXPECT_EQ(serial_.rig.status().state, RoundState::aborted);
  EXPECT_NE(serial_.rig.status().reason.find("was never decided"), std::string::npos) << serial_.rig.status().reason;
}

TEST_F(SerialRestore, OfAnotherRoundNobodyVouches) {
  records_[0].round = RoundId("r-9");
  for (const int number : {1, 2, 3}) (void)come(number);
  EXPECT_EQ(serial_.rig.status().state, RoundState::aborted);
}

}  // namespace
}  // namespace lockstep::broker::test
