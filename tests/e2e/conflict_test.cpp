/// What stands in the way of a restore is told, or taken away where it is nobody's, before any task exists.
#include "tests/e2e/connections.hpp"

namespace lockstep::e2e {
namespace {

constexpr std::size_t kPort = 7000;

/// "server" in pod 0 listens, "client" in pod 1 is connected to it; they have been dumped and killed.
class Conflict : public Connections {
 protected:
  Conflict()
      : cluster_(2, Agents::node),
        server_(cluster_, "server", cluster_.network().pod(0)),
        client_(cluster_, "client", cluster_.network().pod(1)),
        group_(cluster_.write_group(group_of({&server_, &client_}), kShortBounds)) {
    server_.tell("listen in " + std::to_string(kPort));
    connect(client_, "out", Network::address4(0) + ":" + std::to_string(kPort), server_, "in.1");
    expect_alive(client_, "out", server_, "in.1");
    (void)dump_and_kill(cluster_, group_, {&server_, &client_});
    expect_unlocked(cluster_, 5s);
  }

  /// The restore is refused on behalf of `culprit`, for a reason that has all of `words`, and nothing has been started.
  void expect_refused(const std::string& culprit, const std::vector<std::string>& words) {
    const json report = report_of(cluster_, {"restore", group_}, 1);
    EXPECT_EQ(report["verdict"], "aborted");
    EXPECT_EQ(report["culprit"], culprit);
    for (const std::string& word : words) EXPECT_THAT(report["reason"].dump(), HasSubstr(word));
    // No task, not even for a moment: CRIU has not got as far as to write its first line about one.
    for (const HeldSockets* member : {&server_, &client_}) {
      EXPECT_FALSE(exists(member->pid())) << member->id() << " was restored";
      EXPECT_TRUE(of_member(report, member->id())["pid"].is_null());
      const json phases = of_member(report, member->id())["phases"];
      EXPECT_TRUE(phases["lock"]["arrived_us"].is_null()) << phases;
    }
    expect_unlocked(cluster_);
  }

  /// Restores; what was cleared before is in the members' notes.
  std::string restore_with_notes() {
    const json report = report_of(cluster_, {"restore", group_}, 0);
    EXPECT_EQ(report["differences"], json::array());
    expect_unlocked(cluster_);
    expect_alive(client_, "out", server_, "in.1");
    return of_member(report, "server")["notes"].dump() + of_member(report, "client")["notes"].dump();
  }

  [[nodiscard]] std::string pod(std::size_t index) { return cluster_.network().pod(index).path(); }

  Cluster cluster_;
  HeldSockets server_, client_;
  std::string group_;
};

TEST_F(Conflict, APortThatAnotherProcessHasTakenIsNamed) {
  {
    HeldSockets squatter(cluster_, "squatter", cluster_.network().pod(0));
    HeldSockets guest(cluster_, "guest", cluster_.network().pod(1));
    squatter.tell("listen in 7000");
    connect(guest, "out", Network::address4(0) + ":7000", squatter, "in.1");
    expect_refused("server",
                   {":7000", "held by", std::to_string(squatter.pid()), "end it, or restore into another pod"});
    expect_alive(guest, "out", squatter, "in.1");
  }
  // Both have ended, as the reason says they must: that is all it takes.
  (void)restore_with_notes();
  expect_good_end(cluster_, {&server_, &client_});
}

TEST_F(Conflict, LeftoversOfClosedConnectionsAreCleared) {
  {
    HeldSockets before(cluster_, "before", cluster_.network().pod(0));
    HeldSockets guest(cluster_, "guest", cluster_.network().pod(1));
    before.tell("listen in 7000");
    connect(guest, "out", Network::address4(0) + ":7000", before, "in.1");
    before.tell("close in.1");
    (void)guest.await("out", [](const HeldSocket& socket) { return socket.end_of_file; });
    guest.tell("close out");
  }
  const auto waiting = [this] {
    return run_command({"ss", "-tnH", "state", "time-wait", "sport", "=", ":7000"}, 10s, pod(0)).out;
  };
  ASSERT_TRUE(wait_until([&] { return !waiting().empty(); }, 5s));
  EXPECT_THAT(restore_with_notes(), AllOf(HasSubstr(Network::address4(0) + ":7000"), HasSubstr("time-wait")));
  EXPECT_EQ(waiting(), "");
  expect_good_end(cluster_, {&server_, &client_});
}

TEST_F(Conflict, AnAddressThatThePodHasNotIsNamed) {
  const std::string address = Network::address4(1) + "/24";
  must_run({"ip", "addr", "del", address, "dev", "eth0"}, pod(1));
  expect_refused("client", {Network::address4(1), "missing from the pod"});
  must_run({"ip", "addr", "add", address, "dev", "eth0"}, pod(1));
  (void)restore_with_notes();
  expect_good_end(cluster_, {&server_, &client_});
}

TEST_F(Conflict, ALockThatCriuHasLeftIsCleared) {
  must_run({"nft",
            "add table inet CRIU-4711; "
            "add chain inet CRIU-4711 output { type filter hook output priority 0; policy drop; }; "
            "add rule inet CRIU-4711 output meta mark 0xc114 accept; "
            "add chain inet CRIU-4711 input { type filter hook input priority 0; policy drop; }; "
            "add rule inet CRIU-4711 input meta mark 0xc114 accept"},
           pod(0));
  EXPECT_THAT(restore_with_notes(), HasSubstr("CRIU-4711"));
  expect_good_end(cluster_, {&server_, &client_});
}

}  // namespace
}  // namespace lockstep::e2e
