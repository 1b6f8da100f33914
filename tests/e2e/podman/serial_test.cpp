/// Podman's containers checkpointed by a loop, the containers of a pod one after another: one round all the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>

#include "tests/e2e/harness/reaper.hpp"
#include "tests/e2e/podman/shop.hpp"

namespace lockstep::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// The server and the first client share a pod, and talk through its loopback; the second client is in another one.
class OneByOne : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    (void)Reaper::instance();
    remove_stale_namespaces();
  }
  void TearDown() override { Reaper::instance().end_all(); }

  /// What the broker has to know; `extra`: more keys of the group.
  void write_standing_group(const std::string& extra = {}) const {
    std::string text =
        "groups:\n  - group: shop\n    leave_running: true\n    deadlines: {prepare: 20s}\n" + extra + "    members:\n";
    for (const ShopMember& member : shop_.members()) {
      const std::string pod = PodmanCluster::pod(member.pod);
      text += "      - {id: " + member.name + ", container: " + shop_.podman().field(member.name, "{{.Id}}") +
              ", pod_uid: " + shop_.podman().run({"pod", "inspect", pod, "--format", "{{.Id}}"}) + "}\n";
    }
    write_file(shop_.cluster().standing_groups(), text);
    const auto broker_knows = [&] {
      const CommandResult log = shop_.podman().try_run({"logs", "broker"});
      return (log.out + log.err).find("rounds of 1 groups") != std::string::npos;
    };
    ASSERT_TRUE(wait_until(broker_knows, 15s));
  }

  [[nodiscard]] CommandResult checkpoint(const std::string& container,
                                         const std::vector<std::string>& options = {"--tcp-established"}) const {
    std::vector<std::string> words{"container", "checkpoint", "--leave-running", "--keep"};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(container);
    return shop_.podman().try_run(words);
  }
  [[nodiscard]] std::future<CommandResult> checkpoint_beside(const std::string& container) const {
    return std::async(std::launch::async, [this, container] { return checkpoint(container); });
  }

  /// The newest round, as the broker tells it.
  [[nodiscard]] nlohmann::json newest_round() const {
    const std::vector<std::string> where{
        "--broker", PodmanCluster::broker_address(), "--key", shop_.cluster().operator_key(), "--output", "json"};
    std::vector<std::string> words{"status"};
    words.insert(words.end(), where.begin(), where.end());
    const auto rounds = nlohmann::json::parse(shop_.lockstep(words).out)["rounds"];
    if (rounds.empty()) return {};
    words = {"show", rounds[0]["round"]};
    words.insert(words.end(), where.begin(), where.end());
    return nlohmann::json::parse(shop_.lockstep(words).out);
  }

  [[nodiscard]] std::string images_of(const std::string& container) const {
    return shop_.podman().field(container, "{{.StaticDir}}") + "/checkpoint";
  }
  [[nodiscard]] CommandResult verify(const std::vector<std::string>& containers) const {
    std::vector<std::string> words{"verify"};
    for (const std::string& container : containers) words.push_back(images_of(container));
    return shop_.lockstep(words);
  }
  void kill_all() const {
    for (const ShopMember& member : shop_.members()) {
      (void)shop_.podman().try_run({"kill", "--signal", "KILL", member.name});  // it may have ended
    }
    for (const ShopMember& member : shop_.members()) shop_.podman().run({"wait", member.name});
  }
  [[nodiscard]] bool is_locked(std::size_t pod) const { return shop_.cluster().locked(pod); }
  [[nodiscard]] bool gets_unlocked() const {
    return wait_until([&] { return !is_locked(0) && !is_locked(1); }, 5s);
  }

  Shop shop_{{{"server", 0}, {"client0", 0}, {"client1", 1}}};
};

TEST_F(OneByOne, ThePodIsLockedFromItsFirstContainerToItsLastAndTheRoundCommits) {
  ASSERT_NO_FATAL_FAILURE(write_standing_group());
  const std::string pid = shop_.cluster().pid_of("server");
  std::future<CommandResult> other = checkpoint_beside("client1");

  const CommandResult first = checkpoint("server");
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  EXPECT_TRUE(is_locked(0)) << "the next container of it is to come";
  EXPECT_TRUE(is_locked(1));
  EXPECT_EQ(shop_.cluster().pid_of("server"), pid);
  EXPECT_EQ(newest_round()["state"], "open");
  EXPECT_EQ(other.wait_for(0s), std::future_status::timeout) << "it waits for the decision";
  const CommandResult early = verify({"server"});
  EXPECT_EQ(early.exit_code, 1);
  EXPECT_THAT(early.out, HasSubstr("that round was never decided"));

  const CommandResult last = checkpoint("client0");
  ASSERT_EQ(last.exit_code, 0) << last.out << last.err;
  const CommandResult beside = other.get();
  ASSERT_EQ(beside.exit_code, 0) << beside.out << beside.err;
  EXPECT_TRUE(gets_unlocked());
  EXPECT_THAT(shop_.await_flow(shop_.snapshot()), IsEmpty());

  const nlohmann::json round = newest_round();
  EXPECT_EQ(round["state"], "complete") << round.dump(2);
  EXPECT_EQ(round["serial"], true) << "nobody has said so: it was noticed";
  EXPECT_EQ(round["reason"], nullptr);
  const CommandResult proof = verify({"server", "client0", "client1"});
  EXPECT_EQ(proof.exit_code, 0) << proof.out << proof.err;
  EXPECT_THAT(proof.out, HasSubstr("4 internal connections fit"));

  // Back to what was saved: the server's images count beside those of the first client.
  kill_all();
  const CommandResult back = shop_.lockstep({"restore", shop_.write_group("order: serial\n")});
  ASSERT_EQ(back.exit_code, 0) << back.out << back.err;
  EXPECT_TRUE(gets_unlocked());
  EXPECT_THAT(shop_.await_flow(shop_.snapshot()), IsEmpty());
  EXPECT_THAT(shop_.finish(), IsEmpty()) << "no byte is lost, or comes twice";
}

TEST_F(OneByOne, WhenTheLastOneCantBeDumpedAllRunOnAndTheFirstOnesImagesRestoreNothing) {
  ASSERT_NO_FATAL_FAILURE(write_standing_group("    order: serial\n"));
  std::future<CommandResult> other = checkpoint_beside("client1");
  const CommandResult first = checkpoint("server");
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  EXPECT_TRUE(is_locked(0));

  // Without --tcp-established CRIU refuses a tree that has connections.
  EXPECT_NE(checkpoint("client0", {}).exit_code, 0);
  EXPECT_NE(other.get().exit_code, 0) << "aborted as a whole";
  EXPECT_TRUE(gets_unlocked());
  for (const ShopMember& member : shop_.members()) EXPECT_TRUE(shop_.cluster().runs(member.name)) << member.name;
  EXPECT_THAT(shop_.await_flow(shop_.snapshot()), IsEmpty());
  const nlohmann::json round = newest_round();
  EXPECT_EQ(round["state"], "aborted") << round.dump(2);
  EXPECT_EQ(round["culprit"], "client0");
  EXPECT_THAT(shop_.finish(), IsEmpty());

  const CommandResult proof = verify({"server"});
  EXPECT_EQ(proof.exit_code, 1);
  EXPECT_THAT(proof.out, HasSubstr("that round was never decided"));
  kill_all();
  const CommandResult back = shop_.lockstep({"restore", shop_.write_group()});
  EXPECT_NE(back.exit_code, 0) << back.out;
  for (const ShopMember& member : shop_.members()) EXPECT_FALSE(shop_.cluster().runs(member.name)) << member.name;
}

}  // namespace
}  // namespace lockstep::e2e
