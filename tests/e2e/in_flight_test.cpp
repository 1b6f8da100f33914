/// Connections that nobody has accepted when a checkpoint comes: CRIU can't save them. The dump is tried again, with
/// everybody running in between, and skips them where the group allows it.
#include "tests/e2e/connections.hpp"

namespace lockstep::e2e {
namespace {

/// "server" has a listener at port 7000, "client" a connection that is accepted and another one that waits in the
/// queue.
class InFlight : public Connections {
 protected:
  InFlight()
      : cluster_(2, Agents::sidecars),
        server_(cluster_, "server", cluster_.network().pod(0)),
        client_(cluster_, "client", cluster_.network().pod(1)) {
    server_.tell("listen in 7000");
    connect(client_, "first", address(), server_, "in.1");
    server_.tell("accept in off");
    client_.tell("connect second " + address());
  }

  [[nodiscard]] static std::string address() { return Network::address4(0) + ":7000"; }

  /// With commands of the server's that keep a diary.
  [[nodiscard]] std::string write_group(const std::string& extra) const {
    const std::string said = cluster_.dir() / "said";
    std::vector<GroupMember> members = group_of({&server_, &client_});
    members.front().settings = "commands:\n  - {before: prepare, run: \"echo prepare $LOCKSTEP_ATTEMPT >> " + said +
                               "\"}\n  - {after: resume, run: \"echo $LOCKSTEP_OUTCOME $LOCKSTEP_ATTEMPT >> " + said +
                               "\"}\n";
    return cluster_.write_group(members, kShortBounds + extra);
  }
  [[nodiscard]] std::string said() const { return read_file(cluster_.dir() / "said"); }

  void expect_at_the_listener(const json& attempt) const {
    EXPECT_EQ(attempt["verdict"], "aborted") << attempt;
    ASSERT_EQ(attempt["in_flight"].size(), 1U) << attempt;
    const json& found = attempt["in_flight"][0];
    EXPECT_EQ(found["member"], "server");
    EXPECT_EQ(found["listener"], "*:7000");
    EXPECT_EQ(found["pid"], server_.pid());
    EXPECT_EQ(found["process"], "lockstep-socket") << "as the kernel cuts names";
  }

  void expect_end() { expect_good_end(cluster_, {&server_, &client_}); }

  Cluster cluster_;
  HeldSockets server_, client_;
};

TEST_F(InFlight, AcceptedAMomentLaterTheCheckpointIsMadeByItself) {
  const std::string group = write_group("in_flight_retries: 50\n");
  const std::string out = cluster_.dir() / "report.json";
  const std::string err = cluster_.dir() / "lockstep.err";
  const Process checkpoint = Process::start(
      {.command = {"/bin/bash", "-c",
                   "exec " + program("lockstep") + " checkpoint " + group + " --output json > " + out + " 2> " + err},
       .log = cluster_.dir() / "unused"});
  const auto tries_again = [&] { return read_file(err).find("Trying again") != std::string::npos; };
  ASSERT_TRUE(wait_until(tries_again, 20s)) << read_file(err);
  server_.tell("accept in on");
  EXPECT_EQ(checkpoint.wait(40s), 0) << read_file(err) << read_file(out);
  const json report = json::parse(read_file(out), nullptr, false);
  ASSERT_FALSE(report.is_discarded()) << read_file(out);
  EXPECT_EQ(report["verdict"], "committed");
  EXPECT_EQ(report["skip_in_flight_used"], false);
  EXPECT_EQ(report["consistent"], true) << report["proof"];
  const json& attempts = report["attempts"];
  ASSERT_GE(attempts.size(), 2U);
  std::string diary;
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    const bool last = i + 1 == attempts.size();
    if (!last) expect_at_the_listener(attempts[i]);
    const std::string number = std::to_string(i + 1);
    diary += "prepare " + number + "\n" + (last ? "committed " : "aborted ") + number + "\n";
  }
  EXPECT_EQ(attempts.back()["round"], report["round"]);
  EXPECT_NE(attempts.front()["round"], report["round"]);
  EXPECT_EQ(said(), diary) << "commands of one attempt ran into those of another";
  EXPECT_EQ(report["proof"].get<std::string>().find("tcp-stream"), std::string::npos) << "images of a failed attempt";

  for (const HeldSockets* member : {&server_, &client_}) {
    ASSERT_TRUE(wait_until([&] { return !exists(member->pid()); }, 10s)) << member->id() << " lives on";
  }
  (void)report_of(cluster_, {"restore", group}, 0);
  expect_alive(client_, "first", server_, "in.1");
  expect_alive(client_, "second", server_, "in.2");
  expect_end();
}

TEST_F(InFlight, NeverAcceptedItFailsAndNamesTheListener) {
  const std::string group = write_group("in_flight_retries: 1\n");
  const CommandResult hint = cluster_.lockstep({"preflight", group});
  EXPECT_EQ(hint.exit_code, 0) << "it is a hint: " << hint.out;
  EXPECT_THAT(hint.out, HasSubstr("has 1 connection at its listener *:7000 that is not accepted yet"));

  const CommandResult failed = cluster_.lockstep({"checkpoint", group});
  EXPECT_EQ(failed.exit_code, 1) << failed.out << failed.err;
  EXPECT_THAT(failed.err, HasSubstr("(attempt 2 of 2)"));
  EXPECT_THAT(failed.out, AllOf(HasSubstr("attempt 2 (round "),
                                HasSubstr("aborted: member \"server\": un-accepted connections at its "
                                          "listener *:7000 (process "),
                                HasSubstr("in_flight_retries"), HasSubstr("skip_in_flight: true")));
  EXPECT_EQ(said(), "prepare 1\naborted 1\nprepare 2\naborted 2\n");
  expect_unlocked(cluster_);
  expect_alive(client_, "first", server_, "in.1");
  // Another reason is no reason to try again.
  const json other = report_of(
      cluster_,
      {"checkpoint",
       cluster_.write_group({{.id = "server", .criu_options = {"--nonsense"}}, {.id = "client"}}, kShortBounds)},
      1);
  EXPECT_EQ(other["attempts"].size(), 1U) << other["attempts"];
  server_.tell("accept in on");
  expect_alive(client_, "second", server_, "in.2");
  expect_end();
}

TEST_F(InFlight, SkippedTheyAreMissingAndAllElseComesBack) {
  const std::string group = write_group("in_flight_retries: 1\nskip_in_flight: true\n");
  const json report = dump_and_kill(cluster_, group, {&server_, &client_});
  EXPECT_EQ(report["skip_in_flight_used"], true);
  EXPECT_EQ(report["consistent"], true) << report["proof"];
  ASSERT_EQ(report["attempts"].size(), 3U);
  EXPECT_EQ(report["attempts"][1]["skip_in_flight"], false);
  EXPECT_EQ(report["attempts"][2]["skip_in_flight"], true);
  EXPECT_EQ(report["attempts"][2]["reason"], nullptr);
  (void)report_of(cluster_, {"restore", group}, 0);
  const auto second = client_.await("second", has_failed, kAtOnce);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->error, "ECONNABORTED") << "the restore closes the end that nobody is at the other side of";
  expect_alive(client_, "first", server_, "in.1");
  server_.tell("accept in on");
  connect(client_, "third", address(), server_, "in.2");
  expect_alive(client_, "third", server_, "in.2");
  expect_end();
}

}  // namespace
}  // namespace lockstep::e2e
