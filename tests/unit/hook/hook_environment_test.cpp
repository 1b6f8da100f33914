#include "agent/hook/hook_environment.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

#include "agent/hook/proc_files.hpp"

namespace lockstep::hook {
namespace {

/// "NAME=value" strings in the form in which a program gets them.
class Variables {
 public:
  Variables(std::initializer_list<const char*> pairs) : entries_(pairs) { entries_.push_back(nullptr); }
  [[nodiscard]] Environment view() const { return Environment(entries_.data()); }

 private:
  std::vector<const char*> entries_;
};


TEST(Environment, FindsWholeNamesOnly) {
  const Variables variables{"AB=1", "A=2", "EMPTY=", "NOTHING"};
  EXPECT_EQ(variables.view().get("A"), "2");
  EXPECT_EQ(variables.view().get("EMPTY"), "");
  EXPECT_EQ(variables.view().get("NOTHING"), std::nullopt);
  EXPECT_EQ(variables.view().get("B"), std::nullopt);
}

TEST(JobFrom, TakesWhatCriuSets) {
  const Variables variables{"CRTOOLS_IMAGE_DIR=/proc/7/fd/9", "CRTOOLS_INIT_PID=42", "LOCKSTEP_POD=4026531840"};
  const auto job = job_from(variables.view(), HookAction::network_lock);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->action, HookAction::network_lock);
  EXPECT_EQ(job->images_dir, "/proc/7/fd/9");
  EXPECT_EQ(job->root_pid, 42);
  EXPECT_EQ(job->told_pod, 4026531840U);
}

TEST(JobFrom, KnowsNoRootTaskBeforeARestore) {
  const Variables variables{"CRTOOLS_IMAGE_DIR=/i", "CRTOOLS_INIT_PID=42"};
  const auto job = job_from(variables.view(), HookAction::pre_restore);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->root_pid, 0);
}

TEST(JobFrom, RefusesWhatMakesNoSense) {
  for (const Variables& variables :
       {Variables{"CRTOOLS_INIT_PID=42"}, Variables{"CRTOOLS_IMAGE_DIR=/i", "CRTOOLS_INIT_PID=-1"},
        Variables{"CRTOOLS_IMAGE_DIR=/i", "CRTOOLS_INIT_PID=0"},
        Variables{"CRTOOLS_IMAGE_DIR=/i", "CRTOOLS_INIT_PID=4x"},
        Variables{"CRTOOLS_IMAGE_DIR=/i", "CRTOOLS_INIT_PID=99999999999"},
        Variables{"CRTOOLS_IMAGE_DIR=/i", "LOCKSTEP_POD=net:[5]"}}) {
    const auto job = job_from(variables.view(), HookAction::pre_dump);
    ASSERT_FALSE(job);
    EXPECT_EQ(job.error().code, ErrorCode::invalid);
  }
}

TEST(MemberFrom, ReadsTheImagesFoldersFile) {
  const auto names =
      member_from(Variables{}.view(), "# whose\n\nround: r-1\n  group :\tshop \r\nmember: db\ncolour: red\n");
  ASSERT_TRUE(names);
  EXPECT_EQ(names->round, RoundId("r-1"));
  EXPECT_EQ(names->group, GroupId("shop"));
  EXPECT_EQ(names->member, MemberId("db"));
}

TEST(MemberFrom, PrefersTheEnvironmentNameByName) {
  const Variables variables{"LOCKSTEP_ROUND=r-2", "LOCKSTEP_MEMBER="};
  const auto names = member_from(variables.view(), "round: r-1\ngroup: shop\nmember: db");
  ASSERT_TRUE(names);
  EXPECT_EQ(names->round, RoundId("r-2"));
  EXPECT_EQ(names->group, GroupId("shop"));
  EXPECT_TRUE(names->member.empty());
}

TEST(MemberFrom, MayKnowNothing) {
  const auto names = member_from(Variables{}.view(), "");
  ASSERT_TRUE(names);
  EXPECT_TRUE(names->round.empty() && names->group.empty() && names->member.empty());
}

TEST(MemberFrom, RefusesNamesThatAreNone) {
  const Variables variables{"LOCKSTEP_GROUP=../x"};
  const auto by_variable = member_from(variables.view(), "");
  ASSERT_FALSE(by_variable);
  EXPECT_NE(by_variable.error().message().find("LOCKSTEP_GROUP"), std::string::npos);
  const auto by_file = member_from(Variables{}.view(), "member: a b\n");
  ASSERT_FALSE(by_file);
  EXPECT_NE(by_file.error().message().find("lockstep.member: member"), std::string::npos);
}

TEST(SettingsFrom, HasDefaults) {
  const auto settings = settings_from(Variables{}.view(), "");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->socket_dir, "/run/lockstep");
  EXPECT_EQ(settings->broker, "");
  EXPECT_EQ(settings->silence, seconds(5));
  EXPECT_EQ(settings->limit, std::chrono::hours(1));
}

TEST(SettingsFrom, ReadsTheFileAndPrefersTheEnvironment) {
  const std::string file = "socket_dir: /run/a\nbroker: tcp://127.0.0.1:7400\n";
  const auto by_file = settings_from(Variables{}.view(), file);
  ASSERT_TRUE(by_file);
  EXPECT_EQ(by_file->socket_dir, "/run/a");
  EXPECT_EQ(by_file->broker, "tcp://127.0.0.1:7400");
  const Variables variables{"LOCKSTEP_SOCKET_DIR=/run/b", "LOCKSTEP_BROKER=", "LOCKSTEP_HOOK_SILENCE_MS=70",
                            "LOCKSTEP_HOOK_LIMIT_MS=90"};
  const auto by_variable = settings_from(variables.view(), file);
  ASSERT_TRUE(by_variable);
  EXPECT_EQ(by_variable->socket_dir, "/run/b");
  EXPECT_EQ(by_variable->broker, "");
  EXPECT_EQ(by_variable->silence, milliseconds(70));
  EXPECT_EQ(by_variable->limit, milliseconds(90));
}

TEST(SettingsFrom, RefusesWhatMakesNoSense) {
  for (const Variables& variables : {Variables{"LOCKSTEP_SOCKET_DIR=run"}, Variables{"LOCKSTEP_HOOK_SILENCE_MS=0"},
                                     Variables{"LOCKSTEP_HOOK_SILENCE_MS=5s"}, Variables{"LOCKSTEP_HOOK_LIMIT_MS=-1"},
                                     Variables{"LOCKSTEP_HOOK_LIMIT_MS=86400001"}}) {
    EXPECT_FALSE(settings_from(variables.view(), ""));
  }
}

TEST(StartTimeIn, CountsBehindTheCommandsName) {
  const std::string fields = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 19 20\n";
  EXPECT_EQ(start_time_in("12 (sh)" + fields).value(), 777U);
  EXPECT_EQ(start_time_in("12 (a) b) S 1 (" + std::string(")") + fields).value(), 777U);
}

TEST(StartTimeIn, RefusesWhatIsCutShort) {
  for (const char* text :
       {"", "12 (sh", "12 (sh)", "12 (sh) S 1 2 3", "12 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
        "12 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x"}) {
    EXPECT_FALSE(start_time_in(text)) << text;
  }
}

}  // namespace
}  // namespace lockstep::hook
