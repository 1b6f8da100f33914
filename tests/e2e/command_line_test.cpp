/// What a user gets wrong, and what the programs say to it: before anything is frozen, naming the file, the field or
/// the member. No pods are needed for most of it.
#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

class CommandLine : public EndToEnd {
 protected:
  [[nodiscard]] static CommandResult run(const std::string& name, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program(name));
    return run_command(arguments, 20s);
  }

  [[nodiscard]] CommandResult checkpoint(const std::string& yaml) const {
    write_file(dir_ / "group.yaml", yaml);
    return run("lockstep", {"checkpoint", dir_ / "group.yaml"});
  }

  /// A group file that is right but for its broker, which is not there.
  [[nodiscard]] std::string good(const std::string& member_lines) const {
    return "group: g\nbroker: ipc://" + (dir_ / "nobody").string() + "\nsocket_dir: " + dir_.path().string() +
           "\ncriu: " + criu_path() + "\nmembers:\n" + member_lines;
  }

  TempDir dir_;
};

TEST_F(CommandLine, HelpIsThereForEachProgram) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> commands{
      {{"lockstep", "--help"}, "checkpoint"},          {{"lockstep", "checkpoint", "--help"}, "--leave-running"},
      {{"lockstep", "restore", "--help"}, "--output"}, {{"lockstep", "status", "--help"}, "--watch"},
      {{"lockstep-broker", "--help"}, "--config"},     {{"lockstep-agent", "--help"}, "--node"}};
  for (const auto& [command, expected] : commands) {
    const CommandResult result = run(command.front(), {command.begin() + 1, command.end()});
    EXPECT_EQ(result.exit_code, 0) << command.front();
    EXPECT_THAT(result.out, HasSubstr(expected)) << command.front();
  }
}

TEST_F(CommandLine, WrongArgumentsAreUsageErrors) {
  const std::vector<std::vector<std::string>> wrong{{},
                                                    {"checkpoint"},
                                                    {"restore"},
                                                    {"frobnicate"},
                                                    {"checkpoint", "a.yaml", "--output", "xml"},
                                                    {"checkpoint", "a.yaml", "--no-such-option"}};
  for (const auto& arguments : wrong) {
    const CommandResult result = run("lockstep", arguments);
    EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(arguments) << result.out << result.err;
    EXPECT_NE(result.out + result.err, "");
  }
}

TEST_F(CommandLine, BadGroupFilesAreNamedWithTheFault) {
  struct Case {
    std::string yaml;
    std::string named;
  };
  const std::string server = "  - {id: server, pid: 1, images: i}\n";
  const std::vector<Case> cases{{"group: [", "group.yaml"},
                                {"", "group.yaml"},
                                {"group: g\nbroker: ipc:///x\n", "members"},
                                {good(""), "members"},
                                {good("  - {id: server, images: i}\n"), "pid"},
                                {good("  - {pid: 1, images: i}\n"), "id"},
                                {good("  - {id: server, pid: 1}\n"), "images"},
                                {good(server + server), "server"},
                                {good("  - {id: '../up', pid: 1, images: i}\n"), "id"},
                                {good("  - {id: server, pid: minus, images: i}\n"), "pid"},
                                {good("  - {id: server, pid: 1, images: i, pods: x}\n"), "pods"},
                                {good(server) + "lease: soon\n", "lease"},
                                {good(server) + "leese: 5s\n", "leese"},
                                {good(server) + "deadlines: {prepear: 5s}\n", "prepear"},
                                {good(server) + "deadlines: {lock: -1s}\n", "lock"},
                                {"group: g\nbroker: nonsense\nmembers:\n" + server, "broker"}};
  for (const Case& each : cases) {
    const CommandResult result = checkpoint(each.yaml);
    EXPECT_EQ(result.exit_code, 2) << each.yaml << result.out << result.err;
    EXPECT_THAT(result.err, HasSubstr("group.yaml")) << each.yaml;
    EXPECT_THAT(result.err, HasSubstr(each.named)) << each.yaml;
  }
}

TEST_F(CommandLine, MissingGroupFileIsNamed) {
  const CommandResult result = run("lockstep", {"checkpoint", dir_ / "missing.yaml"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("missing.yaml"));
}

TEST_F(CommandLine, MemberThatDoesNotRunIsNamed) {
  write_file(dir_ / "gone.pid", "4194000\n");
  const CommandResult gone = checkpoint(good("  - {id: absentee, pidfile: gone.pid, images: i}\n"));
  EXPECT_THAT(gone.exit_code, AnyOf(1, 2));
  EXPECT_THAT(gone.err, HasSubstr("absentee"));
  const CommandResult unknown = checkpoint(good("  - {id: absentee, pidfile: never.pid, images: i}\n"));
  EXPECT_THAT(unknown.exit_code, AnyOf(1, 2));
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("absentee"), HasSubstr("never.pid")));
}

TEST_F(CommandLine, BrokerThatIsNotThereIsTold) {
  const std::string broker = "ipc://" + (dir_ / "nobody").string();
  const CommandResult status = run("lockstep", {"status", "--broker", broker});
  EXPECT_EQ(status.exit_code, 3) << status.err;
  EXPECT_THAT(status.err, HasSubstr("nobody"));

  // A member in a pod of its own, so that nothing but the broker is missing.
  const Network network(1);
  const Process member = Process::start({.command = {"sleep", "600"},
                                         .log = dir_ / "member.log",
                                         .netns = network.pod(0).path(),
                                         .dies_with_test = false});
  const CommandResult result = checkpoint(good("  - {id: m, pid: " + std::to_string(member.pid()) + ", images: i}\n"));
  EXPECT_EQ(result.exit_code, 3) << result.out << result.err;
  EXPECT_TRUE(member.running());
  EXPECT_EQ(state_of(member.pid()), 'S');
}

TEST_F(CommandLine, CriuThatIsNotThereIsNamedBeforeAnythingIsFrozen) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string path = cluster.write_group(traffic.group(), kShortBounds);
  std::string text = read_file(path);
  text.replace(text.find(criu_path()), criu_path().size(), "/nowhere/criu");
  write_file(path, text);
  const CommandResult result = cluster.lockstep({"checkpoint", path});
  EXPECT_THAT(result.exit_code, AnyOf(1, 2)) << result.out << result.err;
  EXPECT_THAT(result.err, HasSubstr("/nowhere/criu"));
  EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
  expect_good_end(cluster, traffic);
}

TEST_F(CommandLine, PodWithoutAnAgentIsToldBeforeAnythingIsFrozen) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  cluster.agent(1).stop();
  const CommandResult result = cluster.lockstep({"checkpoint", cluster.write_group(traffic.group(), kShortBounds)});
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_THAT(result.out + result.err, HasSubstr("client0"));
  EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
  expect_good_end(cluster, traffic);
}

TEST_F(CommandLine, BrokerRefusesToListenOnANetworkWithoutKeys) {
  for (const std::string address : {"0.0.0.0", "10.78.0.1", "[::]", "*"}) {
    write_file(dir_ / "broker.yaml", "listen: \"tcp://" + address + ":7600\"\n");
    const CommandResult result = run("lockstep-broker", {"--config", dir_ / "broker.yaml"});
    EXPECT_GT(result.exit_code, 0) << address;
    EXPECT_THAT(result.err, HasSubstr("lockstep keys init")) << address;
  }
}

TEST_F(CommandLine, DaemonsNameTheirBadSettings) {
  for (const std::string name : {"lockstep-broker", "lockstep-agent"}) {
    const CommandResult missing = run(name, {"--config", dir_ / "missing.yaml"});
    EXPECT_GT(missing.exit_code, 0) << name;
    EXPECT_THAT(missing.err, HasSubstr("missing.yaml")) << name;
    write_file(dir_ / "daemon.yaml", "lissen: x\n");
    const CommandResult unknown = run(name, {"--config", dir_ / "daemon.yaml"});
    EXPECT_GT(unknown.exit_code, 0) << name;
    EXPECT_THAT(unknown.err, HasSubstr("lissen")) << name;
  }
}

}  // namespace
}  // namespace lockstep::e2e
