/// A restore that does not bring back what was saved is undone, or told, as the group wants it.
#include "tests/e2e/connections.hpp"

namespace lockstep::e2e {
namespace {

/// Two members with a connection between them. CRIU is made to restore the client's end closed.
class Revalidation : public Connections {
 protected:
  Revalidation()
      : cluster_(2, Agents::sidecars),
        server_(cluster_, "server", cluster_.network().pod(0)),
        client_(cluster_, "client", cluster_.network().pod(1)) {
    server_.tell("listen in 7000");
    connect(client_, "out", Network::address4(0) + ":7000", server_, "in.1");
    connection_ = client_.socket("out").local + " > " + client_.socket("out").peer;
    (void)dump_and_kill(cluster_, good_group(), {&server_, &client_});
  }

  [[nodiscard]] std::string good_group() const {
    return cluster_.write_group(group_of({&server_, &client_}), kShortBounds);
  }
  [[nodiscard]] std::string closing_group(const std::string& settings) const {
    return cluster_.write_group(members_with_a_closing_client(), kShortBounds + settings);
  }
  [[nodiscard]] std::vector<GroupMember> members_with_a_closing_client() const {
    std::vector<GroupMember> members = group_of({&server_, &client_});
    // Among the options of its members lockstep does not suffer it.
    write_file(cluster_.dir() / "criu.conf", "tcp-close\n");
    members[1].criu_options = {"--config", cluster_.dir() / "criu.conf"};
    return members;
  }

  Cluster cluster_;
  HeldSockets server_, client_;
  std::string connection_;
};

TEST_F(Revalidation, StrictItAbortsTheRestore) {
  const json report = report_of(cluster_, {"restore", closing_group("")}, 1);
  EXPECT_EQ(report["verdict"], "aborted");
  EXPECT_EQ(report["culprit"], "client");
  const std::string reason = report["reason"];
  EXPECT_THAT(reason, AllOf(HasSubstr("not as it was saved"), HasSubstr(connection_), HasSubstr("established")));
  for (const HeldSockets* member : {&server_, &client_}) {
    EXPECT_TRUE(wait_until([&] { return !exists(member->pid()); }, 5s)) << member->id() << " is left";
  }
  expect_unlocked(cluster_);

  // The images are as good as before.
  EXPECT_EQ(report_of(cluster_, {"restore", good_group()}, 0)["differences"], json::array());
  expect_alive(client_, "out", server_, "in.1");
  expect_good_end(cluster_, {&server_, &client_});
}

TEST_F(Revalidation, WarnItIsReported) {
  const json report = report_of(cluster_, {"restore", closing_group("revalidate: warn\n")}, 0);
  EXPECT_EQ(report["verdict"], "committed");
  ASSERT_EQ(report["differences"].size(), 1U) << report["differences"];
  const json& difference = report["differences"][0];
  EXPECT_EQ(difference["member"], "client");
  EXPECT_EQ(difference["connection"], connection_);
  EXPECT_EQ(difference["expected"], "established");
  EXPECT_EQ(difference["found"], "no socket");
  expect_unlocked(cluster_);
  // All but that connection works.
  connect(client_, "again", Network::address4(0) + ":7000", server_, "in.2");
  expect_alive(client_, "again", server_, "in.2");
  expect_good_end(cluster_, {&server_, &client_});
}

/// The member whose connection is not as it was decides, not its peer.
TEST_F(Revalidation, AMembersWordGoesBeforeItsGroups) {
  std::vector<GroupMember> members = members_with_a_closing_client();
  members[1].settings = "revalidate: warn";
  const std::string group = cluster_.write_group(members, kShortBounds + "revalidate: strict\n");
  EXPECT_EQ(report_of(cluster_, {"restore", group}, 0)["differences"].size(), 1U);
  expect_good_end(cluster_, {&server_, &client_});
}

}  // namespace
}  // namespace lockstep::e2e
