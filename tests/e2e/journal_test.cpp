/// The broker's journal: what it tells people, and what happens when it can't be written or read.
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/e2e/end_to_end.hpp"
#include "tests/e2e/harness/small_disk.hpp"

namespace lockstep::e2e {
namespace {

using nlohmann::json;

class Journal : public EndToEnd {
 protected:
  Journal() : cluster_(2, Agents::sidecars), traffic_(cluster_.dir(), cluster_.network(), {}) {}

  [[nodiscard]] std::filesystem::path folder() const { return cluster_.dir() / "journal"; }
  [[nodiscard]] CommandResult checkpoint() {
    return cluster_.lockstep({"checkpoint", cluster_.write_group(traffic_.group(), kShortBounds), "--leave-running"});
  }
  [[nodiscard]] CommandResult ask(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--broker", cluster_.broker_for_cli()});
    return cluster_.lockstep(arguments);
  }
  [[nodiscard]] json rounds() const {
    const CommandResult result = ask({"history", "--output", "json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out, nullptr, false)["rounds"];
  }
  void restart_broker() {
    cluster_.broker().stop();
    cluster_.start_broker();
    cluster_.wait_for_agents();
  }

  Cluster cluster_;
  Traffic traffic_;
};

TEST_F(Journal, TellsOfRoundsThatAnotherBrokerHasSeen) {
  ASSERT_EQ(checkpoint().exit_code, 0);
  restart_broker();
  const json rounds = this->rounds();
  ASSERT_EQ(rounds.size(), 1U);
  EXPECT_EQ(rounds[0]["state"], "complete");
  const std::string id = rounds[0]["round"];
  EXPECT_THAT(ask({"history"}).out, HasSubstr(id));
  EXPECT_THAT(ask({"history", "--group", "other"}).out, HasSubstr("no rounds"));

  const json round = json::parse(ask({"show", id, "--output", "json"}).out, nullptr, false);
  EXPECT_EQ(round["state"], "complete");
  ASSERT_EQ(round["members"].size(), 2U);
  for (const json& member : round["members"]) {
    for (const std::string phase : {"prepare", "lock", "commit", "unlock"}) {
      EXPECT_TRUE(member["phases"][phase]["released_us"].is_number()) << member.dump(1);
    }
    EXPECT_EQ(member["criu"], "succeeded");
  }
  const CommandResult text = ask({"show", id});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, AllOf(HasSubstr("complete"), HasSubstr("server"), HasSubstr("client0")));
  const CommandResult unknown = ask({"show", "no-such-round"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("no-such-round"));
  expect_good_end(cluster_, traffic_);
}

TEST_F(Journal, ThatIsFullOpensNoRound) {
  cluster_.broker().stop();
  {
    const SmallDisk disk(folder());
    cluster_.start_broker();
    cluster_.wait_for_agents();
    disk.fill();
    const CommandResult refused = checkpoint();
    EXPECT_EQ(refused.exit_code, 1) << refused.err;
    EXPECT_THAT(refused.err, AllOf(HasSubstr("no round can be opened"), HasSubstr("the disk is full")));
    EXPECT_THAT(traffic_.await_flow(traffic_.snapshot()), IsEmpty());
    disk.empty();
    EXPECT_EQ(checkpoint().exit_code, 0) << "the broker needs no restart";
    expect_good_end(cluster_, traffic_);
  }
}

TEST_F(Journal, ThatIsDamagedOpensNoRound) {
  ASSERT_EQ(checkpoint().exit_code, 0);
  cluster_.broker().stop();
  for (const auto& file : std::filesystem::directory_iterator(folder())) {
    std::filesystem::resize_file(file.path(), 0);
    write_file(file.path(), std::string(8192, 'x'));
  }
  cluster_.start_broker();
  cluster_.wait_for_agents();
  EXPECT_THAT(read_file(cluster_.dir() / "broker.log"), HasSubstr("journal"));
  const CommandResult refused = checkpoint();
  EXPECT_EQ(refused.exit_code, 1) << refused.err;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("no round can be opened"), HasSubstr("move it away")));
  EXPECT_EQ(ask({"history"}).exit_code, 1);
  EXPECT_THAT(traffic_.await_flow(traffic_.snapshot()), IsEmpty());

  cluster_.broker().stop();
  std::filesystem::remove_all(folder());
  cluster_.start_broker();
  cluster_.wait_for_agents();
  EXPECT_EQ(checkpoint().exit_code, 0);
  expect_good_end(cluster_, traffic_);
}

}  // namespace
}  // namespace lockstep::e2e
