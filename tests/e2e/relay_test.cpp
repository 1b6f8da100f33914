/// Hooks that find no agent's socket, and know a broker: each starts `lockstep-agent --relay` for itself. The pods are
/// locked by their sidecars all the same.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

class Relay : public EndToEnd {
 protected:
  /// A group file whose hooks look for agents in a folder that is not theirs.
  static std::string write_group(const Cluster& cluster, const Traffic& traffic) {
    const std::string path = cluster.write_group(traffic.group(), kShortBounds);
    std::string text = read_file(path);
    const std::string agents = "socket_dir: " + (cluster.dir() / "run").string() + "\n";
    text.replace(text.find(agents), agents.size(), "socket_dir: " + empty_folder(cluster) + "\n");
    write_file(path, text);
    return path;
  }

  static std::string empty_folder(const Cluster& cluster) {
    std::filesystem::create_directories(cluster.dir() / "empty");
    return cluster.dir() / "empty";
  }

  /// How many relays the broker has got to know so far.
  static std::size_t relays_seen(const Cluster& cluster) {
    std::istringstream log(read_file(cluster.dir() / "broker.log"));
    std::size_t count = 0;
    for (std::string line; std::getline(log, line);) {
      if (line.find(" relay ") != std::string::npos && line.find(" is here") != std::string::npos) ++count;
    }
    return count;
  }

  /// A hook waits for its relay's end, so that there is none at any time without a hook.
  static void expect_no_relay(const std::string& broker) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string command = read_file(entry.path() / "cmdline");
      const bool relay = command.find("--relay") != std::string::npos && command.find(broker) != std::string::npos;
      EXPECT_FALSE(relay) << "process " << entry.path().filename() << " is left: " << command;
    }
  }
};

TEST_F(Relay, KilledAndRestoredTwiceEveryConnectionGoesOn) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string group = write_group(cluster, traffic);
  std::size_t calls = 0;
  for (int cycle = 0; cycle < 2; ++cycle) {
    ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group)) << "cycle " << cycle;
    EXPECT_EQ(relays_seen(cluster), calls += 2 * 3) << "one for each hook of each member";
    expect_no_relay(cluster.broker_for_cli());
    ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group)) << "cycle " << cycle;
    EXPECT_EQ(relays_seen(cluster), calls += 2 * 4);
    expect_no_relay(cluster.broker_for_cli());
  }
  expect_good_end(cluster, traffic);
}

TEST_F(Relay, LeftRunningEveryConnectionGoesOn) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string group = write_group(cluster, traffic);
  for (std::size_t cycle = 1; cycle <= 3; ++cycle) {
    const CommandResult result = cluster.lockstep({"checkpoint", group, "--leave-running"});
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_EQ(relays_seen(cluster), cycle * 2 * 4);
    expect_no_relay(cluster.broker_for_cli());
    expect_unlocked(cluster);
    EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty()) << "cycle " << cycle;
  }
  expect_good_end(cluster, traffic);
}

/// A relay that never heard the broker tells its hook so, as an agent would.
TEST_F(Relay, BrokerKilledInTheMiddleOfARoundLetsAllRunOn) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {.rate = 2000, .ballast_mib = 768});
  const std::string group = write_group(cluster, traffic);
  const std::vector<pid_t> pids = traffic.pids();
  const Process round =
      Process::start({.command = {program("lockstep"), "checkpoint", group}, .log = cluster.dir() / "round.log"});
  ASSERT_TRUE(wait_until([&] { return cluster.locked(0) && cluster.locked(1); }, 10s));
  const auto before = traffic.snapshot();
  cluster.broker().kill();
  const auto code = round.wait(25s);
  ASSERT_TRUE(code.has_value()) << "lockstep itself hangs";
  EXPECT_NE(code, 0) << read_file(round.log());
  EXPECT_EQ(traffic.pids(), pids);
  expect_unlocked(cluster, kLeaseIsOver);
  EXPECT_THAT(traffic.await_flow(before, 15s), IsEmpty()) << read_file(round.log());
  for (const std::string& member : traffic.members()) {
    EXPECT_FALSE(std::filesystem::exists(cluster.record_of(member))) << member;
  }
  expect_no_relay(cluster.broker_for_cli());
  cluster.start_broker();
  cluster.wait_for_agents();
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

/// A TCP port that takes connections and never says a word.
class SilentListener {
 public:
  SilentListener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.get(), generic, size) != 0 || ::listen(socket_.get(), 16) != 0 ||
        ::getsockname(socket_.get(), generic, &size) != 0) {
      throw std::runtime_error("no port to listen on");
    }
    port_ = ntohs(address.sin_port);
  }
  /// Nobody listens from now on.
  void close() { socket_.reset(); }
  [[nodiscard]] std::string endpoint() const { return "tcp://127.0.0.1:" + std::to_string(port_); }

 private:
  Fd socket_;
  std::uint16_t port_ = 0;
};

/// Why there is no broker.
enum class Nobody { refuses, is_silent, has_no_socket, has_no_address };

std::string name_of(Nobody nobody) {
  switch (nobody) {
    case Nobody::refuses: return "Refuses";
    case Nobody::is_silent: return "IsSilent";
    case Nobody::has_no_socket: return "HasNoSocket";
    case Nobody::has_no_address: return "HasNoAddress";
  }
  return {};
}

class RelayWithoutBroker : public Relay, public ::testing::WithParamInterface<Nobody> {
 protected:
  [[nodiscard]] std::string broker(const Cluster& cluster) {
    if (GetParam() == Nobody::has_no_address) return "nonsense";
    if (GetParam() == Nobody::has_no_socket) return "ipc://" + (cluster.dir() / "nobody").string();
    if (GetParam() == Nobody::refuses) listener_.close();
    return listener_.endpoint();
  }

  /// What a runtime does: a CRIU that knows of lockstep by the environment alone.
  static CommandResult dump(Cluster& cluster, pid_t pid, const std::string& broker) {
    const std::string images = cluster.dir() / "by-hand";
    std::filesystem::create_directories(images);
    const std::string inode = std::to_string(cluster.network().pod(0).inode());
    return run_command({"env",
                        "LOCKSTEP_GROUP=e2e",
                        "LOCKSTEP_MEMBER=server",
                        "LOCKSTEP_BROKER=" + broker,
                        "LOCKSTEP_SOCKET_DIR=" + empty_folder(cluster),
                        criu_path(),
                        "dump",
                        "--tree",
                        std::to_string(pid),
                        "--images-dir",
                        images,
                        "--log-file",
                        "dump.log",
                        "-v2",
                        "--tcp-established",
                        "--network-lock",
                        "skip",
                        "--external",
                        "net[" + inode + "]:pod",
                        "--action-script",
                        program("lockstep-hook")},
                       30s);
  }

  static std::vector<std::string> own_lines(const std::string& log) {
    std::vector<std::string> lines;
    std::istringstream stream(log);
    for (std::string line; std::getline(stream, line);) {
      if (line.find("lockstep") != std::string::npos && line.find("Error (") == std::string::npos)
        lines.push_back(line);
    }
    return lines;
  }

 private:
  SilentListener listener_;
};

TEST_P(RelayWithoutBroker, TheHookFailsClosedInOneLine) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string broker = this->broker(cluster);
  const auto before = traffic.snapshot();
  const auto begin = std::chrono::steady_clock::now();
  const CommandResult result = dump(cluster, traffic.pid_of("server"), broker);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GT(result.exit_code, 0) << result.out << result.err;
  EXPECT_LT(took, 5s) << "an agent gives a silent broker up after 3 s";

  const std::string log = read_file(cluster.dir() / "by-hand/dump.log") + result.out + result.err;
  const std::vector<std::string> lines = own_lines(log);
  // Of an address that is none the relay itself has told what is wrong with it.
  ASSERT_EQ(lines.size(), GetParam() == Nobody::has_no_address ? 2U : 1U) << log;
  EXPECT_THAT(lines.back(), AllOf(HasSubstr("lockstep-hook: pre-dump: "), HasSubstr(broker))) << log;

  EXPECT_TRUE(exists(traffic.pid_of("server")));
  EXPECT_THAT(traffic.await_flow(before), IsEmpty());
  expect_unlocked(cluster);
  expect_no_relay(broker);
  expect_good_end(cluster, traffic);
}

INSTANTIATE_TEST_SUITE_P(Addresses, RelayWithoutBroker,
                         ::testing::Values(Nobody::refuses, Nobody::is_silent, Nobody::has_no_socket,
                                           Nobody::has_no_address),
                         [](const auto& each) { return name_of(each.param); });

}  // namespace
}  // namespace lockstep::e2e
