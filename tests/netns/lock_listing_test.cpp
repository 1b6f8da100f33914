/// What a lock tells of itself, and who finds it: agent/kernel/lock_note and lock_listing, agent/stale_locks, the
/// command line's locks and unlock.
#include "agent/kernel/lock_listing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/kernel/iptables_lock.hpp"
#include "agent/kernel/machine_netns.hpp"
#include "agent/kernel/nft_comment.hpp"
#include "agent/stale_locks.hpp"
#include "cli/exit_code.hpp"
#include "cli/locks_command.hpp"
#include "tests/netns/lock_owners.hpp"
#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

using agent::sweep_stale_locks;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// How a lock is made under an owner's name.
struct Maker {
  const char* name;
  const char* backend;
  Result<std::unique_ptr<PodLock>> (*make)(const Fd& netns, const LockOwner& owner);
};

Result<std::unique_ptr<PodLock>> make_nft(const Fd& netns, const LockOwner& owner) {
  return create_pod_lock(netns, LockBackend::nftables, {}, owner);
}
Result<std::unique_ptr<PodLock>> make_iptables(const Fd& netns, const char* flavour, const LockOwner& owner) {
  auto lock = IptablesLock::create(netns, {}, flavour, owner);
  if (lock) must((*lock)->prepare());
  return lock;
}

const Maker kMakers[] = {
    {"nftables", "nftables", make_nft},
    {"iptables_nft", "iptables",
     [](const Fd& netns, const LockOwner& owner) { return make_iptables(netns, "-nft", owner); }},
    {"iptables_legacy", "iptables",
     [](const Fd& netns, const LockOwner& owner) { return make_iptables(netns, "-legacy", owner); }},
};

class LockListingTest : public ::testing::TestWithParam<Maker> {
 protected:
  void SetUp() override {
    if (auto tried = GetParam().make(pod_.fd(), {}); !tried) GTEST_SKIP() << tried.error().message();
  }
  std::unique_ptr<PodLock> make(const LockOwner& owner) { return must(GetParam().make(pod_.fd(), owner)); }
  FoundLock only() {
    auto found = must(find_locks(pod_.fd()));
    EXPECT_EQ(found.size(), 1U);
    return found.at(0);
  }
  MachineNetns here() { return {must(netns_inode(pod_.fd())), "test", pod_.path()}; }
  bool open() { return UdpFlow(pod_, pod_, "127.0.0.1", 7001).passes(milliseconds(100)); }

  TestNetns pod_;
};
INSTANTIATE_TEST_SUITE_P(Backends, LockListingTest, ::testing::ValuesIn(kMakers),
                         [](const auto& maker) { return std::string(maker.param.name); });

TEST_P(LockListingTest, AnArmedLockTellsWhoAndWhen) {
  const LockOwner owner = this_process("node7/node");
  const auto lock = make(owner);
  must(lock->arm(seconds(20), "20250101T120000-1a2b3c4d"));
  const auto now = std::chrono::system_clock::now().time_since_epoch() / milliseconds(1);
  FoundLock found = only();
  EXPECT_EQ(found.backend, GetParam().backend);
  EXPECT_TRUE(found.armed);
  EXPECT_EQ(found.note.owner, owner);
  EXPECT_EQ(state_of(found.note.owner), OwnerState::alive);
  EXPECT_EQ(found.note.round, "20250101T120000-1a2b3c4d");
  EXPECT_NEAR(static_cast<double>(found.note.armed_unix_ms), static_cast<double>(now), 3000);
  ASSERT_TRUE(found.remaining);
  EXPECT_GT(*found.remaining, seconds(15));
  EXPECT_LE(*found.remaining, seconds(22));

  const LockNote first = found.note;
  must(lock->renew(seconds(60)));  // the round and its beginning stay
  found = only();
  EXPECT_EQ(found.note, first);
  EXPECT_GT(*found.remaining, seconds(50));
  must(lock->disarm());
  found = only();
  EXPECT_FALSE(found.armed);
  EXPECT_FALSE(found.remaining);
  EXPECT_EQ(found.note.round, "");
}

TEST_P(LockListingTest, ALockIsRemovedAndThatOnly) {
  pod_.run({"nft", "-f", "-"}, "table inet other { chain c { type filter hook input priority 0; }\n}\n");
  must(make({})->arm(seconds(20)));
  ASSERT_FALSE(open());
  must(remove_lock(pod_.fd(), only()));
  EXPECT_THAT(must(find_locks(pod_.fd())), IsEmpty());
  EXPECT_TRUE(open());
  EXPECT_THAT(pod_.run({"nft", "list", "ruleset"}), HasSubstr("table inet other"));
}

TEST_P(LockListingTest, TheSweepTakesLocksOfTheDeadOnly) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("sweep-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const std::vector<MachineNetns> pods{here()};
  const auto living = make(this_process("node7/node"));
  must(living->arm(seconds(20)));
  EXPECT_EQ(sweep_stale_locks(folder, pods).removed, 0U);
  must(make({})->arm(seconds(20)));  // nobody knows whose
  EXPECT_EQ(sweep_stale_locks(folder, pods).removed, 0U);

  must(make(dead_owner("node7/node"))->arm(seconds(20)));
  const std::string path = folder / ("pod-" + std::to_string(here().inode) + ".sock");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  Fd sidecar(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(sidecar.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(sidecar.get(), 1), 0);
  EXPECT_EQ(sweep_stale_locks(folder, pods).removed, 0U);
  EXPECT_FALSE(open());
  sidecar.reset();  // its file stays
  EXPECT_EQ(sweep_stale_locks(folder, pods).removed, 1U);
  EXPECT_TRUE(open());
  EXPECT_EQ(sweep_stale_locks(folder, pods).removed, 0U);
  std::filesystem::remove_all(folder);
}

TEST_P(LockListingTest, WhatTheDeadHaveLeftClosedForARoundIsFoundAndStays) {
  EXPECT_FALSE(must(agent::find_left_lock(here())));
  must(make(dead_owner("node7/node"))->arm(seconds(20), "r1"));
  const agent::Sweep swept = sweep_stale_locks("/nonexistent", {here()});
  EXPECT_EQ(swept.removed, 0U);
  ASSERT_EQ(swept.left.size(), 1U);
  EXPECT_EQ(swept.left[0].lock.note.round, "r1");
  const auto left = must(agent::find_left_lock(here()));
  ASSERT_TRUE(left);
  EXPECT_EQ(left->lock.note, swept.left[0].lock.note);
  EXPECT_FALSE(open());
  const auto successor = must(
      create_pod_lock(pod_.fd(), LockBackend::nftables, {}, this_process("node7/node"), Closing{seconds(20), "r1"}));
  agent::remove_replaced(*left);
  const FoundLock now = only();
  EXPECT_EQ(now.note.owner, this_process("node7/node"));
  EXPECT_EQ(now.note.round, "r1");
  EXPECT_TRUE(now.armed);
  EXPECT_FALSE(open());
}

TEST_P(LockListingTest, UnlockByPathAndInodeSaysWhatItDid) {
  must(make(this_process("node7/node"))->arm(seconds(20), "r1"));
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(cli::run_unlock_command({.pod = pod_.path(), .json = true}), cli::kDone);
  const auto report = nlohmann::json::parse(::testing::internal::GetCapturedStdout());
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), AllOf(HasSubstr("warning"), HasSubstr("node7/node")));
  ASSERT_EQ(report["removed"].size(), 1U);
  EXPECT_EQ(report["warnings"].size(), 1U);
  EXPECT_THAT(report["removed"][0].get<std::string>(),
              AllOf(HasSubstr(GetParam().backend), HasSubstr(std::to_string(here().inode)), HasSubstr("armed")));
  EXPECT_TRUE(open());

  ::testing::internal::CaptureStdout();
  EXPECT_EQ(cli::run_unlock_command({.pod = pod_.path()}), cli::kDone);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "no locks\n");
}

/// Puts a process of its own into the namespace for as long as it lives.
class Inhabitant {
 public:
  explicit Inhabitant(const TestNetns& netns) : pid_(::fork()) {
    if (pid_ != 0) return;
    if (::setns(netns.fd().get(), CLONE_NEWNET) != 0) ::_exit(1);
    while (true) ::pause();
  }
  Inhabitant(const Inhabitant&) = delete;
  Inhabitant& operator=(const Inhabitant&) = delete;
  ~Inhabitant() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

/// The pod's lock as `lockstep locks --output json` lists it; null while it does not.
nlohmann::json listed(std::uint64_t inode) {
  ::testing::internal::CaptureStdout();
  (void)cli::run_locks_command({.json = true});
  const auto report = nlohmann::json::parse(::testing::internal::GetCapturedStdout());
  for (const auto& lock : report["locks"])
    if (lock["netns"] == inode) return lock;
  return nullptr;
}

TEST_P(LockListingTest, LocksListsEveryPodWithAProcessInIt) {
  const std::uint64_t inode = here().inode;
  must(make(this_process("node7/node"))->arm(seconds(20), "r1"));
  EXPECT_FALSE(find_netns(std::to_string(inode)));
  const Inhabitant inhabitant(pod_);
  nlohmann::json lock;
  for (const TimePoint end = Clock::now() + seconds(5); lock.is_null() && Clock::now() < end;) lock = listed(inode);
  ASSERT_FALSE(lock.is_null());
  EXPECT_EQ(lock["backend"], GetParam().backend);
  EXPECT_EQ(lock["state"], "armed");
  EXPECT_EQ(lock["owner"]["agent"], "node7/node");
  EXPECT_EQ(lock["owner"]["pid"], ::getpid());
  EXPECT_EQ(lock["owner"]["state"], "alive");
  EXPECT_EQ(lock["round"], "r1");
  EXPECT_GT(lock["lease_remaining_ms"], 10'000);
  EXPECT_LT(lock["age_ms"], 10'000);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(cli::run_unlock_command({.pod = "net:[" + std::to_string(inode) + "]"}), cli::kDone);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr("removed"));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("round r1"));
  EXPECT_TRUE(open());
}

TEST(LocksCommand, TextAndUnknownPods) {
  EXPECT_EQ(cli::locks_text({}, 0), "no locks\n");
  FoundLock lock;
  lock.backend = "nftables";
  lock.armed = true;
  lock.remaining = milliseconds(12'340);
  lock.note.owner = LockOwner{"node7/node", 812, 5, 6};
  lock.note.round = "r1";
  lock.note.armed_unix_ms = 1000;
  const std::string text = cli::locks_text({{{42, "web", "/run/netns/web"}, lock, OwnerState::dead}}, 4500);
  EXPECT_THAT(text, AllOf(HasSubstr("web"), HasSubstr("42"), HasSubstr("node7/node (pid 812, dead)"), HasSubstr("r1"),
                          HasSubstr("3.5 s"), HasSubstr("12.3 s")));
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(cli::run_unlock_command({.pod = "/nonexistent"}), cli::kUsage);
  EXPECT_EQ(cli::run_unlock_command({.pod = "1"}), cli::kUsage);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("/nonexistent"));
}

TEST(NftRuleset, NftShowsTheNotesAndLoadsThemAgain) {
  TestNetns pod;
  const LockOwner owner{"node7/node", 812, 5518, 4026531836};
  auto lock = must(create_pod_lock(pod.fd(), LockBackend::nftables, {}, owner));
  must(lock->arm(seconds(20), "r1"));
  const std::string shown = pod.run({"nft", "list", "ruleset"});
  EXPECT_THAT(shown, AllOf(HasSubstr("comment \"agent=node7/node pid=812 start=5518 pidns=4026531836\""),
                           HasSubstr("comment \"round=r1 since=")));
  must(lock->remove());
  pod.run({"nft", "-f", "-"}, shown);
  const auto found = must(find_locks(pod.fd()));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].note.owner, owner);
  EXPECT_EQ(found[0].note.round, "r1");
}

TEST(LockNote, LongAndStrangeNamesStayComments) {
  const LockOwner owner{std::string(300, 'n') + "\"; drop", 2147483647, ~0ULL, 4294967295};
  const std::string comment = owner_comment(owner);
  EXPECT_LE(comment.size(), kMaxComment);
  const std::string round = round_comment("a b\n\"c" + std::string(100, 'x'), 1735732800000);
  EXPECT_LE(round.size(), kMaxComment);
  LockNote note;
  read_comment(comment + " " + round, note);
  EXPECT_EQ(note.owner.pid, owner.pid);
  EXPECT_EQ(note.owner.start, owner.start);
  EXPECT_EQ(note.round.substr(0, 6), "a_b__c");
  EXPECT_EQ(note.armed_unix_ms, 1735732800000);
}

TEST(LockNote, ForgeriesAreReadAsNothing) {
  for (const char* text : {"", " ", "=", "pid", "pid=", "pid=-5", "pid=99999999999999999999", "pid=1x since=zzz"}) {
    const LockNote none;
    LockNote note;
    read_comment(text, note);
    EXPECT_EQ(note, none) << text;
  }
  EXPECT_EQ(state_of({}), OwnerState::unknown);
  LockOwner other = this_process("x");
  EXPECT_EQ(state_of(other), OwnerState::alive);
  ++other.start;  // the same pid, given out again
  EXPECT_EQ(state_of(other), OwnerState::dead);
  ++other.pid_namespace;
  EXPECT_EQ(state_of(other), OwnerState::unknown);
}

TEST(NftComments, AreFoundAmongOtherDataAndNeverReadPastTheEnd) {
  const std::string comment = nft::comment_data("hello");
  EXPECT_EQ(nft::comment_in(comment), "hello");
  EXPECT_EQ(nft::comment_in(std::string("\x01\x02zz", 4) + comment), "hello");
  EXPECT_EQ(nft::comment_in(std::string("\x00\x02zz", 4)), "zz");
  for (std::size_t length = 0; length < comment.size(); ++length) {
    const std::string copy = comment.substr(0, length);
    EXPECT_EQ(nft::comment_in(copy), "") << length;
  }
}

}  // namespace
}  // namespace lockstep::testing
