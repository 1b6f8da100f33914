/// What the images of a round say of its connections: whether they are one consistent cut, and who is connected with
/// whom.
#include "tests/e2e/connections.hpp"

namespace lockstep::e2e {
namespace {

constexpr std::uint64_t kBytes = 20'000;

/// "a" in pod 0 listens; "b" in pod 1 has a connection to it, and one to "peer" in pod 2, which is no member.
class Cut : public Connections {
 protected:
  Cut()
      : cluster_(3, Agents::sidecars),
        a_(cluster_, "a", cluster_.network().pod(0)),
        b_(cluster_, "b", cluster_.network().pod(1)),
        peer_(cluster_, "peer", cluster_.network().pod(2)) {
    a_.tell("listen in 7000");
    peer_.tell("listen far 7100");
    connect(b_, "out", Network::address4(0) + ":7000", a_, "in.1");
    connect(b_, "away", Network::address4(2) + ":7100", peer_, "far.1");
  }

  /// A group in which b's CRIU stops behind the lock barrier, before it looks at any socket, until there is `go()`.
  [[nodiscard]] std::string group_with_b_held() const {
    write_file(cluster_.dir() / "hold.sh",
               "#!/bin/sh\n"
               "[ \"$CRTOOLS_SCRIPT_ACTION\" = network-lock ] || exit 0\n"
               ": > " +
                   held().string() +
                   "\n"
                   "turns=0\n"
                   "while [ ! -e " +
                   go().string() +
                   " ] && [ $turns -lt 1000 ]; do\n"
                   "  sleep 0.01; turns=$((turns + 1))\n"
                   "done\n");
    std::filesystem::permissions(cluster_.dir() / "hold.sh", std::filesystem::perms::owner_all);
    // Of several scripts CRIU runs the one it has heard of first as the last one, and it reads its file first.
    write_file(cluster_.dir() / "criu.conf", "action-script " + (cluster_.dir() / "hold.sh").string() + "\n");
    std::vector<GroupMember> members = group_of({&a_, &b_});
    members[1].criu_options = {"--config", cluster_.dir() / "criu.conf"};
    return cluster_.write_group(members, kShortBounds);
  }
  [[nodiscard]] std::filesystem::path held() const { return cluster_.dir() / "held"; }
  [[nodiscard]] std::filesystem::path go() const { return cluster_.dir() / "go"; }
  [[nodiscard]] std::string pod(std::size_t index) { return cluster_.network().pod(index).path(); }

  /// b sends, and nothing of it gets through.
  void fill_the_wire() {
    must_run({"nft",
              "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; "
              "add rule inet cut in tcp dport 7000 drop"},
             pod(0));
    b_.tell("send out " + std::to_string(kBytes));
    (void)b_.await("out", [](const HeldSocket& socket) { return socket.unacknowledged == kBytes; });
  }

  /// Opens both pods behind the agents' backs until b's bytes have arrived and been acknowledged.
  [[nodiscard]] bool let_the_wire_run() {
    must_run({"nft", "delete table inet cut"}, pod(0));
    return wait_until(
        [this] {
          // Agents renew their lock: once is not enough.
          for (const std::size_t each : {0, 1}) {
            (void)run_command({"nft", "flush set inet lockstep armed; flush set inet lockstep rearmed"}, 5s, pod(each));
          }
          const std::string sent = run_command({"ss", "-tnH", "dport", "=", ":7000"}, 5s, pod(1)).out;
          return sent.find(" " + std::to_string(kBytes) + " ") == std::string::npos;
        },
        10s);
  }

  [[nodiscard]] std::vector<std::string> on_images(const std::string& command) const {
    return {command, cluster_.images_of("a"), cluster_.images_of("b")};
  }

  Cluster cluster_;
  HeldSockets a_, b_, peer_;
};

TEST_F(Cut, PodsThatWereOpenInTheMiddleAreFoundOut) {
  fill_the_wire();
  Process round = Process::start(
      {.command = {program("lockstep"), "checkpoint", group_with_b_held(), "--leave-running", "--output", "json"},
       .log = cluster_.dir() / "checkpoint.log"});
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(held()); }, 10s)) << read_file(round.log());
  // CRIU writes this one when all others are there, those of a's sockets among them.
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(cluster_.images_of("a") / "inventory.img"); }, 10s));
  EXPECT_TRUE(let_the_wire_run());
  write_file(go(), "");
  EXPECT_EQ(round.wait(20s), 1) << read_file(round.log());
  EXPECT_THAT(read_file(round.log()), AllOf(HasSubstr("\"consistent\": false"), HasSubstr("\"verdict\": \"failed\"")));

  const json report = report_of(cluster_, on_images("verify"), 1);
  EXPECT_EQ(report["misfits"], 1) << report.dump(1);
  EXPECT_THAT(report.dump(), HasSubstr(b_.socket("out").local));
  const CommandResult text = cluster_.lockstep(on_images("verify"));
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_THAT(text.out, AllOf(HasSubstr(b_.socket("out").local), HasSubstr(std::to_string(kBytes))));
  expect_received(a_, "in.1", kBytes);
  expect_unlocked(cluster_);

  // Such images are not restored, unless somebody insists: then it is the next check that stands in the way here.
  const CommandResult refused = cluster_.lockstep({"restore", group_with_b_held()});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("1 of 1 internal connection does not fit"), HasSubstr("revalidate: warn")));
  const std::string lenient = cluster_.write_group(group_of({&a_, &b_}), kShortBounds + "revalidate: warn\n");
  const CommandResult insisted = cluster_.lockstep({"restore", lenient});
  EXPECT_EQ(insisted.exit_code, 2);
  EXPECT_THAT(insisted.err, HasSubstr("is in use"));

  // The next round is as good as any.
  const std::string group = cluster_.write_group(group_of({&a_, &b_}), kShortBounds);
  EXPECT_EQ(report_of(cluster_, {"checkpoint", group, "--leave-running"}, 0)["consistent"], true);
  EXPECT_EQ(report_of(cluster_, on_images("verify"), 0)["misfits"], 0);
  expect_good_end(cluster_, {&a_, &b_, &peer_});
}

/// The same, but for the locks, which hold what is on the wire.
TEST_F(Cut, BytesOnTheWireBehindTheLocksAreNoMisfit) {
  fill_the_wire();
  const std::string group = cluster_.write_group(group_of({&a_, &b_}), kShortBounds);
  const json report = dump_and_kill(cluster_, group, {&a_, &b_});
  EXPECT_EQ(report["consistent"], true);
  must_run({"nft", "delete table inet cut"}, pod(0));
  const json cut = report_of(cluster_, on_images("verify"), 0);
  // The rest has not left b's queue yet.
  EXPECT_GT(cut["in_flight_bytes"], 0) << cut.dump(1);
  EXPECT_LE(cut["in_flight_bytes"], kBytes) << cut.dump(1);
  EXPECT_EQ(report_of(cluster_, {"restore", group}, 0)["differences"], json::array());
  expect_received(a_, "in.1", kBytes);
  expect_good_end(cluster_, {&a_, &b_, &peer_});
}

TEST_F(Cut, ConnectionsAreShownAsTableJsonAndDot) {
  const std::string group = cluster_.write_group(group_of({&a_, &b_}), kShortBounds);
  ASSERT_EQ(cluster_.lockstep({"checkpoint", group, "--leave-running"}).exit_code, 0);
  const HeldSocket out = b_.socket("out");
  const HeldSocket away = b_.socket("away");

  const json graph = report_of(cluster_, {"connections", group}, 0);
  EXPECT_EQ(graph, report_of(cluster_, on_images("connections"), 0));
  EXPECT_EQ(graph["members"], (json{"a", "b"}));
  std::map<std::string, int> labels;
  for (const json& each : graph["connections"]) ++labels[each["label"]];
  EXPECT_EQ(labels, (std::map<std::string, int>{{"internal", 1}, {"external", 1}, {"listening", 2}}));
  for (const json& each : graph["connections"]) {
    if (each["label"] == "external") {
      EXPECT_EQ(each["local"], away.local);
      EXPECT_EQ(each["remote"], away.peer);
    }
  }

  const CommandResult text = cluster_.lockstep({"connections", group});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr(out.peer), HasSubstr(away.peer), HasSubstr("1 internal")));
  const CommandResult dot = cluster_.lockstep({"connections", group, "--output", "dot"});
  EXPECT_EQ(dot.exit_code, 0) << dot.err;
  EXPECT_THAT(dot.out,
              AllOf(HasSubstr("graph \"e2e\" {"), HasSubstr("\"a\" -- \"b\""), HasSubstr(Network::address4(2))));
  expect_good_end(cluster_, {&a_, &b_, &peer_});
}

}  // namespace
}  // namespace lockstep::e2e
