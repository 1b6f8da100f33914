/// The ground that the other end-to-end tests stand on: CRIU by itself, pods, the application and its judge.
#include <signal.h>

#include <fstream>

#include "tests/app/frame.hpp"
#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

using lockstep::traffic::append_frame;
using lockstep::traffic::Side;
using lockstep::traffic::StreamVerifier;

/// Feeds frames with these sequence numbers to a verifier, in pieces that split headers and payloads.
StreamVerifier verified(const std::vector<std::uint64_t>& sequences, std::size_t piece = 977) {
  std::vector<std::byte> bytes;
  for (const std::uint64_t sequence : sequences) append_frame(bytes, 7, sequence, 0);
  StreamVerifier verifier(Side::client);
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const std::size_t size = std::min(piece, bytes.size() - at);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, verifier.space().begin());
    (void)verifier.commit(size);
  }
  return verifier;
}

TEST(StreamVerifierTest, WholeStreamIsClean) {
  for (const std::size_t piece : {1UL, 31UL, 977UL, 65536UL}) {
    const auto verifier = verified({1, 2, 3, 4, 5}, piece);
    EXPECT_TRUE(verifier.counters().clean()) << piece;
    EXPECT_EQ(verifier.counters().received, 5U) << piece;
  }
}

TEST(StreamVerifierTest, CountsWhatIsWrong) {
  EXPECT_EQ(verified({2}).counters().lost, 1U) << "a stream begins with 1";
  EXPECT_EQ(verified({1, 2, 6}).counters().lost, 3U);
  EXPECT_EQ(verified({1, 2, 2, 3}).counters().doubled, 1U);
  const auto late = verified({1, 4, 2, 3, 5});
  EXPECT_EQ(late.counters().lost, 0U);
  EXPECT_EQ(late.counters().out_of_order, 2U);
  EXPECT_EQ(verified({1, 4, 2, 2}).counters().doubled, 1U);
}

TEST(StreamVerifierTest, EveryFlippedBitIsSeen) {
  std::vector<std::byte> good;
  append_frame(good, 7, 1, 0);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::vector<std::byte> bad = good;
    bad[at] ^= std::byte{0x10};
    append_frame(bad, 7, 2, 0);
    StreamVerifier verifier(Side::client);
    std::ranges::copy(bad, verifier.space().begin());
    (void)verifier.commit(bad.size());
    // A broken length may make the verifier wait for bytes that never come: then nothing has been received at all.
    const bool waits = verifier.counters().received == 0 && at >= 16 && at < 20;
    EXPECT_TRUE(!verifier.counters().clean() || waits) << "byte " << at;
  }
}

class Harness : public EndToEnd {};

TEST_F(Harness, PodsReachOneAnotherAndGoAway) {
  std::vector<std::string> paths;
  {
    Network network(3);
    for (std::size_t pod = 0; pod < 3; ++pod) paths.push_back(network.pod(pod).path());
    for (const std::string& address : {Network::address4(2), Network::address6(2), Network::hub_address()}) {
      // No ping on a bare machine: a refused connection shows that the other side answers.
      const auto result = run_command({"bash", "-c", "</dev/tcp/" + address + "/1"}, 5s, network.pod(0).path());
      EXPECT_THAT(result.err, HasSubstr("refused")) << address;
    }
    const std::uint64_t inode = network.pod(1).inode();
    network.replace_pod(1);
    EXPECT_NE(network.pod(1).inode(), inode);
    EXPECT_FALSE(std::filesystem::exists(paths[1]));
  }
  for (const std::string& path : paths) EXPECT_FALSE(std::filesystem::exists(path)) << path;
}

TEST_F(Harness, ProcessesAreReapedAndTheirCodesKnown) {
  const TempDir dir;
  Process process = Process::start({.command = {"sh", "-c", "echo hello; exit 7"}, .log = dir / "log"});
  EXPECT_EQ(process.wait(5s), 7);
  EXPECT_EQ(read_file(dir / "log"), "hello\n");
  EXPECT_FALSE(exists(process.pid()));
  Process sleeper = Process::start({.command = {"sleep", "600"}, .log = dir / "log"});
  EXPECT_TRUE(sleeper.running());
  EXPECT_EQ(sleeper.stop(), 128 + SIGTERM);
  EXPECT_EQ(run_command({"sh", "-c", "echo out; echo err >&2; exit 3"}).exit_code, 3);
  EXPECT_EQ(run_command({"sleep", "600"}, 50ms).exit_code, -1);
  // An orphan becomes ours, and is reaped.
  const std::string orphan = run_command({"sh", "-c", "sleep 0.05 >/dev/null & echo $!"}).out;
  EXPECT_TRUE(wait_until([&] { return !exists(std::stoi(orphan)); }, 5s));
}

/// CRIU alone, with a lock of the test's own: where this fails, no lockstep can help.
TEST_F(Harness, CriuDumpsAndRestoresTheApplication) {
  const TempDir dir;
  const Network network(2);
  const Traffic traffic(dir.path(), network, {});
  const std::vector<pid_t> pids = traffic.pids();
  write_file(dir / "lock.nft",
             "table inet held {\n"
             "  chain in { type filter hook input priority -400; meta mark 0xC114 accept; drop; }\n"
             "  chain out { type filter hook output priority -400; meta mark 0xC114 accept; drop; }\n"
             "}\n");
  for (std::size_t pod = 0; pod < 2; ++pod) must_run({"nft", "-f", dir / "lock.nft"}, network.pod(pod).path());
  const auto images = [&](std::size_t pod) { return (dir / ("images" + std::to_string(pod))).string(); };
  for (std::size_t pod = 0; pod < 2; ++pod) {
    std::filesystem::create_directory(images(pod));
    must_run({criu_path(), "dump", "--tree", std::to_string(pids[pod]), "--images-dir", images(pod), "--log-file",
              "criu.log", "--tcp-established", "--network-lock", "skip", "--external",
              "net[" + std::to_string(network.pod(pod).inode()) + "]:pod"});
  }
  ASSERT_TRUE(traffic.await_gone(pids));
  const auto before = traffic.snapshot();
  for (std::size_t pod = 0; pod < 2; ++pod) {
    // The shell opens the namespace for CRIU to inherit.
    must_run({"sh", "-c",
              "exec \"$0\" restore --restore-detached --images-dir \"$1\" --log-file criu.log "
              "--tcp-established --network-lock skip --inherit-fd 'fd[7]:pod' 7<\"$2\"",
              criu_path(), images(pod), network.pod(pod).path()});
  }
  for (std::size_t pod = 0; pod < 2; ++pod)
    must_run({"nft", "delete", "table", "inet", "held"}, network.pod(pod).path());
  EXPECT_EQ(traffic.pids(), pids);
  EXPECT_THAT(traffic.await_flow(before), IsEmpty());
  EXPECT_THAT(traffic.finish(), IsEmpty());
}

/// The judge is worth something: it sees a connection that has been broken, and one that stands still.
TEST_F(Harness, JudgeSeesABrokenAndAStandingConnection) {
  const TempDir dir;
  const Network network(2);
  const Traffic traffic(dir.path(), network, {});
  must_run({"nft", "add table inet held; add chain inet held in { type filter hook input priority 0; policy drop; }"},
           network.pod(1).path());
  auto faults = traffic.await_flow(traffic.snapshot(), 1s);
  ASSERT_FALSE(faults.empty());
  EXPECT_THAT(faults.front(), HasSubstr("receives nothing"));
  must_run({"nft", "delete table inet held"}, network.pod(1).path());
  EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());

  must_run({"ss", "--kill", "--tcp", "state", "established", "dport", "=", "9000"}, network.pod(1).path());
  ASSERT_TRUE(wait_until([&] { return traffic.snapshot().server.failed > 0; }, 5s));
  EXPECT_FALSE(traffic.snapshot().server.healthy);
  faults = traffic.await_flow(traffic.snapshot(), 1s);
  ASSERT_FALSE(faults.empty());
  EXPECT_THAT(faults.front(), AnyOf(HasSubstr("reset"), HasSubstr("abort"), HasSubstr("without a goodbye")));
}

}  // namespace
}  // namespace lockstep::e2e
