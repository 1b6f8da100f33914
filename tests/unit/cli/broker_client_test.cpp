#include "cli/broker_client.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "cli/broker_address.hpp"
#include "tests/unit/cli/fake_broker.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

using namespace std::chrono_literals;

class BrokerClientTest : public testing::Test {
 protected:
  test::TempDir folder_;
};

TEST_F(BrokerClientTest, SaysHello) {
  FakeBroker fake(folder_.path(), [](const Message& question, FakeBroker::Answers& answers) {
    answers.reply.push_back(answer_to(question, Welcome{"b1", 500, 3000, 7}));
  });
  auto client = BrokerClient::connect(fake.broker(), fake.releases());
  ASSERT_TRUE(client);
  const auto welcome = client->hello();
  ASSERT_TRUE(welcome) << welcome.error().message();
  EXPECT_EQ(welcome->broker, "b1");
  const auto seen = fake.seen();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(std::get<Hello>(seen[0].body).role, Role::client);
  EXPECT_EQ(seen[0].sequence, 1U);
}

TEST_F(BrokerClientTest, TellsThatNobodyAnswers) {
  auto client = BrokerClient::connect("ipc://" + folder_ / "nobody", "");
  ASSERT_TRUE(client);
  const auto welcome = client->hello(100ms);
  ASSERT_FALSE(welcome);
  EXPECT_EQ(welcome.error().code, ErrorCode::unavailable);
  EXPECT_NE(welcome.error().message().find("no answer for 100 ms"), std::string::npos);
}

TEST_F(BrokerClientTest, RefusesAnAddressThatIsNone) {
  EXPECT_FALSE(BrokerClient::connect("nonsense", ""));
  EXPECT_FALSE(BrokerClient::connect("tcp://h:1", "nonsense"));
}

TEST_F(BrokerClientTest, AsksAgainUnderTheSameNumber) {
  int count = 0;
  FakeBroker fake(folder_.path(), [&count](const Message& question, FakeBroker::Answers& answers) {
    if (++count == 2) answers.reply.push_back(answer_to(question, BrokerStatus{}));
  });
  auto client = BrokerClient::connect(fake.broker(), "");
  ASSERT_TRUE(client);
  EXPECT_TRUE(client->request(Message{{}, {}, {}, 0, GetStatus{}}, 5s));
  const auto seen = fake.seen();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].sequence, seen[1].sequence);
}

TEST_F(BrokerClientTest, IntroducesItselfToARestartedBroker) {
  FakeRound round;
  round.say_hello_once = true;
  FakeBroker fake(folder_.path(),
                  [&round](const Message& question, FakeBroker::Answers& answers) { round.handle(question, answers); });
  auto client = BrokerClient::connect(fake.broker(), "");
  ASSERT_TRUE(client);
  const auto answer = client->request(Message{RoundId("r"), {}, {}, 0, GetRound{}});
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_TRUE(std::holds_alternative<RoundStatus>(answer->body));
  EXPECT_EQ(fake.seen().size(), 3U);  // question, Hello, question
}

TEST_F(BrokerClientTest, HandsOnARefusal) {
  FakeBroker fake(folder_.path(), [](const Message& question, FakeBroker::Answers& answers) {
    answers.reply.push_back(answer_to(Message{{}, {}, {}, 4711, GetRound{}}, BrokerStatus{}));  // answers somebody else
    answers.reply.push_back(answer_to(question, Refused{"not today", false}));
  });
  auto client = BrokerClient::connect(fake.broker(), "");
  ASSERT_TRUE(client);
  const auto answer = client->request(Message{{}, {}, {}, 0, GetStatus{}});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::refused);
  EXPECT_EQ(answer.error().message(), "the broker refuses: not today");
}

TEST(BrokerAddress, ComesFromTheFirstThatNamesOne) {
  GroupFile group;
  group.path = "g.yaml";
  ::unsetenv(kBrokerVariable);
  EXPECT_EQ(broker_address("", nullptr)->broker, "ipc:///run/lockstep-broker/broker.sock");
  EXPECT_EQ(broker_address("", &group)->releases, "ipc:///run/lockstep-broker/broker.sock.pub");
  ::setenv(kBrokerVariable, "tcp://env:1", 1);
  EXPECT_EQ(broker_address("", &group)->broker, "tcp://env:1");
  group.broker = "tcp://file:1";
  group.releases = "tcp://file:99";
  EXPECT_EQ(broker_address("", &group)->broker, "tcp://file:1");
  EXPECT_EQ(broker_address("", &group)->releases, "tcp://file:99");
  EXPECT_EQ(broker_address("tcp://option:1", &group)->broker, "tcp://option:1");
  EXPECT_EQ(broker_address("tcp://option:1", &group)->releases, "tcp://option:2");
  ::setenv(kBrokerVariable, "nonsense", 1);
  const auto bad = broker_address("", nullptr);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message(), "LOCKSTEP_BROKER: endpoint \"nonsense\": must be tcp://HOST:PORT or ipc:///PATH");
  EXPECT_FALSE(broker_address("tcp://*:1", nullptr));
  ::unsetenv(kBrokerVariable);
}

}  // namespace
}  // namespace lockstep::cli
