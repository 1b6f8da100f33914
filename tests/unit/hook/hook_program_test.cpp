/// The real program against an agent by script.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/hook/proc_files.hpp"
#include "common/fd.hpp"
#include "tests/unit/hook/hook_scenes.hpp"

namespace lockstep::hook::test {
namespace {

using std::string_literals::operator""s;

TEST(HookProgram, TellsTheAgentWhatItCanNotSee) {
  HookPlace place("network-lock");
  place.environment.insert({{"LOCKSTEP_ROUND", "r1"}, {"LOCKSTEP_GROUP", "shop"}, {"LOCKSTEP_MEMBER", "db"}});
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct stat status {};
  ASSERT_EQ(::fstat(socket.get(), &status), 0);
  const std::uint64_t inode = status.st_ino;
  const FakeAgent agent(place.node_socket(), [inode](HookPeer& hook) {
    const auto message = hook.next();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->round, RoundId("r1"));
    EXPECT_EQ(message->group, GroupId("shop"));
    EXPECT_EQ(message->member, MemberId("db"));
    EXPECT_EQ(message->sequence, 1U);
    const auto* event = std::get_if<HookEvent>(&message->body);
    ASSERT_NE(event, nullptr);
    EXPECT_EQ(event->action, HookAction::network_lock);
    EXPECT_EQ(event->pod.boot_id, read_boot_id().value());
    EXPECT_EQ(event->pod.netns_inode, netns_inode_of(::getpid()).value());
    EXPECT_EQ(event->criu_pid, ::getpid());
    EXPECT_EQ(event->criu_start, start_time_of(::getpid()).value());
    EXPECT_EQ(event->root_pid, ::getpid());
    EXPECT_TRUE(std::binary_search(event->socket_inodes.begin(), event->socket_inodes.end(), inode));
    EXPECT_TRUE(event->record.empty());
    answer(hook, Verdict::go);
  });
  expect_success(place.run());
}

TEST(HookProgram, WaitsAsLongAsTheAgentIsAlive) {
  HookPlace place("setup-namespaces");
  const FakeAgent agent(place.node_socket(), after_event([](HookPeer& hook) {
                          for (int i = 0; i < 3; ++i) hook.say(Alive{});
                          answer(hook, Verdict::go);
                        }));
  expect_success(place.run());
}

TEST(HookProgram, PrintsTheReasonOfAnAbortInOneLine) {
  for (const char* action :
       {"pre-dump", "network-lock", "post-dump", "network-unlock", "setup-namespaces", "post-restore"}) {
    HookPlace place(action);
    const FakeAgent agent(place.node_socket(), answering(Verdict::abort, "member web:\n\x1b[31mno space"));
    expect_refusal(place.run(), std::string(action) + ": round aborted: member web:  [31mno space");
  }
}

TEST(HookProgram, PrefersThePodsOwnAgent) {
  HookPlace place("network-lock");
  const FakeAgent pod(place.pod_socket(), answering(Verdict::go));
  const FakeAgent node(place.node_socket(), [](HookPeer&) { ADD_FAILURE() << "asked the node's agent"; });
  expect_success(place.run());
}

TEST(HookProgram, PassesOverAStaleSocket) {
  HookPlace place("network-lock");
  leave_stale_socket(place.pod_socket());
  const FakeAgent node(place.node_socket(), answering(Verdict::go));
  expect_success(place.run());
}

TEST(HookProgram, FailsWithoutAnAgent) {
  HookPlace place("network-lock");
  expect_refusal(place.run(), "no agent listens at " + place.pod_socket() + " nor at " + place.node_socket());
  leave_stale_socket(place.node_socket());
  expect_refusal(place.run(), "no agent listens at");
}

TEST(HookProgram, FailsAtWhatIsNoSocket) {
  HookPlace place("network-lock");
  write_file(place.node_socket(), "");
  expect_refusal(place.run(), "not a socket");
}

TEST(HookProgram, FailsAtAStrangersSocket) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  HookPlace place("network-lock");
  const FakeAgent agent(place.node_socket(), [](HookPeer&) { ADD_FAILURE() << "was trusted"; });
  ASSERT_EQ(::lchown(place.node_socket().c_str(), 12345, 12345), 0);
  expect_refusal(place.run(), "belongs to user 12345");
}

TEST(HookProgram, FailsWhenTheAgentHangsUp) {
  HookPlace place("setup-namespaces");
  const FakeAgent agent(place.node_socket(), [](HookPeer& hook) { EXPECT_TRUE(hook.next_body<HookEvent>()); });
  expect_refusal(place.run(), "closed the connection without an answer");
}

TEST(HookProgram, FailsWhenTheAgentHangsUpAtOnce) {
  HookPlace place("setup-namespaces");
  const FakeAgent agent(place.node_socket(), [](HookPeer&) {});
  EXPECT_EQ(place.run().exit_code, 1);
}

TEST(HookProgram, FailsAtHalfAnAnswer) {
  HookPlace place("setup-namespaces");
  const FakeAgent agent(place.node_socket(), [](HookPeer& hook) {
    EXPECT_TRUE(hook.next_body<HookEvent>());
    hook.say_raw(
        "\0\0\0\x20"
        "abc"s);
  });
  expect_refusal(place.run(), "in the middle of a message");
}

TEST(HookProgram, FailsAtGarbage) {
  HookPlace place("setup-namespaces");
  const FakeAgent agent(place.node_socket(), after_event([](HookPeer& hook) { hook.say_raw("\0\0\0\5hello"s); }));
  expect_refusal(place.run(), "malformed");
}

TEST(HookProgram, FailsAtAnOversizedFrame) {
  HookPlace place("setup-namespaces");
  const FakeAgent agent(place.node_socket(), after_event([](HookPeer& hook) { hook.say_raw("\xff\xff\xff\xff"s); }));
  expect_refusal(place.run(), "receive frame of 4294967295 bytes");
}

TEST(HookProgram, FailsAtAMessageThatIsNotForHooks) {
  HookPlace place("setup-namespaces");
  const FakeAgent agent(place.node_socket(), after_event([](HookPeer& hook) { hook.say(Release{}); }));
  expect_refusal(place.run(), "sent a Release");
}

TEST(HookProgram, FailsWhenTheAgentIsSilent) {
  HookPlace place("setup-namespaces");
  place.environment["LOCKSTEP_HOOK_SILENCE_MS"] = "60";
  const FakeAgent agent(place.node_socket(), after_event([](HookPeer&) {}));
  expect_refusal(place.run(), "not a word for 60 ms");
}

TEST(HookProgram, FailsWhenTheVerdictNeverComes) {
  HookPlace place("setup-namespaces");
  place.environment["LOCKSTEP_HOOK_LIMIT_MS"] = "60";
  const FakeAgent agent(place.node_socket(), after_event([](HookPeer& hook) { hook.say(Alive{}); }));
  expect_refusal(place.run(), "no verdict within 60 ms");
}

TEST(HookProgram, FailsAtBadSettings) {
  HookPlace place("setup-namespaces");
  place.environment["LOCKSTEP_HOOK_SILENCE_MS"] = "soon";
  expect_refusal(place.run(), "LOCKSTEP_HOOK_SILENCE_MS=soon");
}

TEST(HookProgram, AsksTheNodesAgentWhenThePodIsNotKnown) {
  HookPlace place("pre-restore");
  const FakeAgent agent(place.node_socket(), answering(Verdict::go));
  expect_success(place.run());
}

TEST(HookProgram, AsksTheAgentOfAnotherPodWhereThereIsNoneNearer) {
  HookPlace place("pre-restore");
  leave_stale_socket(place.sockets / "pod-1.sock");
  const FakeAgent agent(place.sockets / "pod-778.sock", answering(Verdict::go));
  write_file(place.sockets / "pod-broken", "");
  expect_success(place.run());
}

TEST(HookProgram, TellsOfAFailureThoughTheRootTaskIsGone) {
  HookPlace place("network-unlock");
  place.environment["CRTOOLS_INIT_PID"] = "4194304";  // above the largest pid there can be
  const FakeAgent agent(place.node_socket(), answering(Verdict::go));
  expect_success(place.run());
}

TEST(HookProgram, FailsWhenTheRootTaskIsGoneElsewhere) {
  HookPlace place("network-lock");
  place.environment["CRTOOLS_INIT_PID"] = "4194304";
  const FakeAgent agent(place.node_socket(), [](HookPeer&) { ADD_FAILURE() << "was asked"; });
  expect_refusal(place.run(), "/proc/4194304/ns/net");
}

// --- by hand --------------------------------------------------------------------------------------------------------

TEST(HookProgram, LetsOtherActionsPassWithoutAskingAnybody) {
  for (const char* action :
       {"post-setup-namespaces", "pre-resume", "post-resume", "orphan-pts-master", "", "new-in-criu-5"}) {
    HookPlace place(action);
    place.environment.erase("CRTOOLS_IMAGE_DIR");
    const HookOutcome outcome = place.run();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_EQ(outcome.log, "");
  }
}

TEST(HookProgram, ExplainsItselfWhenItWasNotCriuThatStartedIt) {
  const HookOutcome outcome = RunningProgram({LOCKSTEP_HOOK_PATH}, {}).wait();
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.log.find("Usage: lockstep-hook"), std::string::npos);
}

TEST(HookProgram, KnowsHelpAndVersion) {
  const HookOutcome help = RunningProgram({LOCKSTEP_HOOK_PATH, "--help"}, {}).wait();
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_TRUE(help.log.starts_with("Usage: lockstep-hook")) << help.log;
  const HookOutcome version = RunningProgram({LOCKSTEP_HOOK_PATH, "--version"}, {}).wait();
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_TRUE(version.log.starts_with("lockstep-hook ")) << version.log;
  EXPECT_EQ(RunningProgram({LOCKSTEP_HOOK_PATH, "--wrong"}, {}).wait().exit_code, 2);
}

}  // namespace
}  // namespace lockstep::hook::test
