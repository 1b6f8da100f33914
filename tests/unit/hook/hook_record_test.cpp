/// The real program and the record in the images folder, whatever becomes of the hook in between.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>

#include "tests/unit/hook/hook_scenes.hpp"

namespace lockstep::hook::test {
namespace {

TEST(HookRecord, StoresTheRecordAndCommitsItOnGo) {
  HookPlace place("post-dump");
  const FakeAgent agent(place.node_socket(), storing(Verdict::go, true));
  expect_success(place.run());
  EXPECT_EQ(read_file(place.images / kRecordFile), kRecord.bytes);
  EXPECT_FALSE(exists(place.images / kRecordPartFile));
}

TEST(HookRecord, LeavesNoRecordAfterAnAbort) {
  HookPlace place("post-dump");
  const FakeAgent agent(place.node_socket(), storing(Verdict::abort, true));
  expect_refusal(place.run(), "somebody could not");
  EXPECT_TRUE(std::filesystem::is_empty(place.images.path()));
}

TEST(HookRecord, RefusesToCommitWithoutARecord) {
  HookPlace place("post-dump");
  const FakeAgent agent(place.node_socket(), answering(Verdict::go));
  expect_refusal(place.run(), "no record of it has been stored");
}

TEST(HookRecord, TellsThatItCanNotStoreAndRefusesToCommitThen) {
  HookPlace place("post-dump");
  ASSERT_EQ(::mkdir((place.images / kRecordPartFile).c_str(), 0700), 0);
  const FakeAgent agent(place.node_socket(), storing(Verdict::go, false));
  expect_refusal(place.run(), "no record of it has been stored");
  EXPECT_FALSE(exists(place.images / kRecordFile));
}

TEST(HookRecord, StoresNothingOutsidePostDump) {
  HookPlace place("network-lock");
  const FakeAgent agent(place.node_socket(), after_event([](HookPeer& hook) { hook.say(Store{kRecord}); }));
  expect_refusal(place.run(), "record to store in network-lock");
  EXPECT_TRUE(std::filesystem::is_empty(place.images.path()));
}

TEST(HookRecord, AsksTheNextAgentWhenItsOwnDiesAfterTheVote) {
  for (const Verdict verdict : {Verdict::go, Verdict::abort}) {
    HookPlace place("post-dump");
    std::promise<void> voted;
    auto first = std::make_unique<FakeAgent>(place.node_socket(), [&voted](HookPeer& peer) {
      EXPECT_TRUE(peer.next_body<HookEvent>());
      peer.say(Store{kRecord});
      EXPECT_TRUE(peer.next_body<Stored>());
      voted.set_value();
    });
    RunningProgram hook = place.start();
    voted.get_future().wait();
    first.reset();
    std::filesystem::remove(place.node_socket());
    const FakeAgent second(place.node_socket(), [verdict](HookPeer& peer) {
      const auto event = peer.next_body<HookEvent>();
      ASSERT_TRUE(event);
      EXPECT_TRUE(event->in_doubt);
      answer(peer, verdict, "somebody could not");
      EXPECT_TRUE(peer.closed());
    });
    const HookOutcome outcome = hook.wait();
    verdict == Verdict::go ? expect_success(outcome) : expect_refusal(outcome, "somebody could not");
    EXPECT_EQ(exists(place.images / kRecordFile), verdict == Verdict::go);
    EXPECT_FALSE(exists(place.images / kRecordPartFile));
  }
}

TEST(HookRecord, LeavesNoRecordWhenNobodyTellsTheVerdict) {
  HookPlace place("post-dump");
  place.environment["LOCKSTEP_HOOK_LIMIT_MS"] = "700";
  const FakeAgent agent(place.node_socket(), [](HookPeer& hook) {
    EXPECT_TRUE(hook.next_body<HookEvent>());
    hook.say(Store{kRecord});
    EXPECT_TRUE(hook.next_body<Stored>());
  });
  expect_refusal(place.run(), "no verdict within 700 ms");
  EXPECT_TRUE(std::filesystem::is_empty(place.images.path()));
}

TEST(HookRecord, RemovesAnEarlierRecordOnlyWhenTheDumpBegins) {
  HookPlace place("pre-dump");
  write_file(place.images / kRecordFile, "earlier");
  write_file(place.images / kRecordPartFile, "earlier");
  {
    const FakeAgent agent(place.node_socket(), answering(Verdict::abort));
    expect_refusal(place.run(), "round aborted");
  }
  EXPECT_EQ(read_file(place.images / kRecordFile), "earlier");
  std::filesystem::remove(place.node_socket());
  const FakeAgent agent(place.node_socket(), answering(Verdict::go));
  expect_success(place.run());
  EXPECT_TRUE(std::filesystem::is_empty(place.images.path()));
}

TEST(HookRecord, ShowsTheRecordBeforeARestore) {
  HookPlace place("pre-restore");
  place.environment["LOCKSTEP_POD"] = "777";
  write_file(place.images / kRecordFile, kRecord.bytes);
  write_file(place.images / kMemberFile, "round: r1\ngroup: shop\nmember: db\n");
  const FakeAgent agent(place.sockets / "pod-777.sock", [](HookPeer& hook) {
    const auto message = hook.next();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->member, MemberId("db"));
    const auto* event = std::get_if<HookEvent>(&message->body);
    ASSERT_NE(event, nullptr);
    EXPECT_EQ(event->record, kRecord);
    EXPECT_EQ(event->root_pid, 0);
    EXPECT_EQ(event->pod.netns_inode, 777U);
    answer(hook, Verdict::go);
  });
  expect_success(place.run());
}

/// As a container runtime starts it: nobody has named the member.
struct NamelessPlace : HookPlace {
  explicit NamelessPlace(const std::string& action) : HookPlace(action) {
    for (const char* name : {"LOCKSTEP_ROUND", "LOCKSTEP_GROUP", "LOCKSTEP_MEMBER"}) environment.erase(name);
  }
};

/// Runs the hook, and returns what it calls itself.
Message envelope_of(const HookPlace& place) {
  Message seen;
  {
    const FakeAgent agent(place.node_socket(), [&seen](HookPeer& hook) {
      auto message = hook.next();
      ASSERT_TRUE(message);
      seen = std::move(*message);
      answer(hook, Verdict::go);
    });
    expect_success(place.run());
  }
  return seen;
}

TEST(HookRecord, NamesAMemberThatIsRestoredByARuntime) {
  Record record;
  record.round = RoundId("r-dump");
  record.group = GroupId("shop");
  record.member = MemberId("db");
  for (const char* action : {"pre-restore", "setup-namespaces", "post-restore", "network-unlock"}) {
    const NamelessPlace place(action);
    write_file(place.images / kRecordFile, encode_record(record));
    const Message message = envelope_of(place);
    EXPECT_EQ(message.group.value, "shop") << action;
    EXPECT_EQ(message.member.value, "db") << action;
    EXPECT_TRUE(message.round.empty()) << action << ": the record's round is that of the dump";
  }
}

TEST(HookRecord, DoesNotNameAMemberThatIsDumped) {
  Record record;
  record.group = GroupId("shop");
  record.member = MemberId("db");
  for (const char* action : {"pre-dump", "network-lock"}) {
    const NamelessPlace place(action);
    write_file(place.images / kRecordFile, encode_record(record));
    EXPECT_TRUE(envelope_of(place).member.empty()) << action;
  }
}

TEST(HookRecord, LeavesADamagedRecordToTheBroker) {
  const NamelessPlace place("pre-restore");
  write_file(place.images / kRecordFile, "no record");
  EXPECT_TRUE(envelope_of(place).member.empty());
}

// --- file systems that can't take the record -------------------------------------------------------------------------

/// The hook with a file system of its own as images folder, and what stands there afterwards behind its own output.
HookOutcome run_on_tmpfs(const HookPlace& place, const std::string& options) {
  const std::string script = "mount -t tmpfs -o " + options + " none \"$CRTOOLS_IMAGE_DIR\" || exit 77; '" +
                             place.program + "'; code=$?; ls \"$CRTOOLS_IMAGE_DIR\"; exit $code";
  return RunningProgram({"unshare", "--mount", "sh", "-c", script}, place.environment).wait();
}

bool can_mount() {
  const HookPlace place("pre-resume");
  return ::geteuid() == 0 && run_on_tmpfs(place, "size=4k").exit_code == 0;
}

TEST(HookRecord, RefusesAReadOnlyFolderBeforeItAsksAnybody) {
  if (!can_mount()) GTEST_SKIP() << "needs root and mount()";
  const HookPlace place("pre-dump");
  const FakeAgent agent(place.node_socket(), [](HookPeer&) { ADD_FAILURE() << "was asked"; });
  expect_refusal(run_on_tmpfs(place, "ro"), "Read-only file system");
}

TEST(HookRecord, LeavesNothingOfARecordThatDoesNotFit) {
  if (!can_mount()) GTEST_SKIP() << "needs root and mount()";
  const HookPlace place("post-dump");
  const FakeAgent agent(place.node_socket(), after_event([](HookPeer& hook) {
                          hook.say(Store{Blob{std::string(100'000, 'r')}});
                          const auto stored = hook.next_body<Stored>();
                          ASSERT_TRUE(stored);
                          EXPECT_FALSE(stored->ok);
                          EXPECT_NE(stored->reason.find("No space left"), std::string::npos) << stored->reason;
                          answer(hook, Verdict::abort, "could not store");
                        }));
  expect_refusal(run_on_tmpfs(place, "size=4k"), "could not store");
}

// --- being killed ---------------------------------------------------------------------------------------------------

TEST(HookRecord, LeavesNoRecordWhenItIsKilled) {
  HookPlace place("post-dump");
  {
    std::atomic<pid_t> pid{0};
    const FakeAgent agent(place.node_socket(), [&pid](HookPeer& hook) {
      EXPECT_TRUE(hook.next_body<HookEvent>());
      hook.say(Store{kRecord});
      EXPECT_TRUE(hook.next_body<Stored>());
      pid.wait(0);
      ::kill(pid, SIGKILL);
      EXPECT_TRUE(hook.closed());
    });
    RunningProgram hook = place.start();
    pid = hook.pid();
    pid.notify_all();
    EXPECT_EQ(hook.wait().exit_code, -SIGKILL);
  }
  EXPECT_FALSE(exists(place.images / kRecordFile));
  // What the killed one left behind is no obstacle to the next.
  std::filesystem::remove(place.node_socket());
  const FakeAgent agent(place.node_socket(), storing(Verdict::go, true));
  expect_success(place.run());
}

TEST(HookRecord, DiesWithCriu) {
  HookPlace place("post-restore");
  std::atomic<pid_t> criu{0};
  const FakeAgent agent(place.node_socket(), after_event([&criu](HookPeer&) {
                          criu.wait(0);
                          ::kill(criu, SIGKILL);
                        }));
  // A shell in CRIU's place: its child would be left running.
  RunningProgram shell({"sh", "-c", "'" + place.program + "'; exit $?"}, place.environment);
  criu = shell.pid();
  criu.notify_all();
  EXPECT_EQ(shell.wait().exit_code, -SIGKILL);
}

}  // namespace
}  // namespace lockstep::hook::test
