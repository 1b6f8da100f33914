/// groups.yaml: what it says, what is refused, and how a running broker reads it again.
#include "broker/groups_file.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>

#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::broker {
namespace {

constexpr milliseconds kSilence{3'000};

TEST(GroupsFile, SaysWhatAGroupFileSaysInItsWords) {
  const auto groups = parse_standing_groups(R"(
groups:
  - group: shop
    leave_running: yes
    order: serial
    deadlines: {prepare: 5s, finish: 1m}
    lease: 20s
    external: keep
    members:
      - {id: database, container: 0f3c}
      - {id: web, pod_uid: 01234567-89ab-cdef-0123-456789abcdef, external: refuse, external_allow: "*:53"}
  - group: bank
    members: [{id: ledger}]
)",
                                            "groups.yaml", kSilence);
  ASSERT_TRUE(groups) << groups.error().message();
  ASSERT_EQ(groups->size(), 2U);
  const StandingGroup& shop = (*groups)[0];
  EXPECT_EQ(shop.group, GroupId("shop"));
  EXPECT_TRUE(shop.plan.leave_running);
  EXPECT_EQ(shop.plan.order, MemberOrder::serial);
  EXPECT_EQ(shop.plan.deadlines.prepare_ms, 5'000U);
  EXPECT_EQ(shop.plan.deadlines.lock_ms, Deadlines().lock_ms);
  EXPECT_EQ(shop.plan.deadlines.finish_ms, 60'000U);
  EXPECT_EQ(shop.plan.lease_ms, 20'000U);
  EXPECT_EQ(shop.plan.policy.external, ExternalPolicy::keep);
  ASSERT_EQ(shop.plan.members.size(), 2U);
  EXPECT_EQ(shop.plan.members[0].container, "0f3c");
  EXPECT_EQ(shop.plan.members[1].pod_uid, "01234567-89ab-cdef-0123-456789abcdef");
  EXPECT_EQ(shop.plan.members[1].policy.external, ExternalPolicy::refuse);
  EXPECT_EQ(shop.plan.members[1].policy.external_allow.size(), 1U);
  EXPECT_FALSE((*groups)[1].plan.leave_running) << "CRIU decides; a lock may not go for a guess";
}

TEST(GroupsFile, LeasesOutlastTheBrokersSilence) {
  const auto groups = parse_standing_groups("groups: [{group: a, members: [{id: m}]}]", "g", milliseconds(10'000));
  ASSERT_TRUE(groups) << groups.error().message();
  EXPECT_EQ((*groups)[0].plan.lease_ms, 40'000U);
}

TEST(GroupsFile, TellsTheLineAndWhatWasExpected) {
  struct Row {
    const char* yaml;
    const char* says;
  };
  for (const Row& row :
       {Row{"{}", "the key \"groups\" is missing"}, Row{"groups: 1", "groups"},
        Row{"groups: [{members: [{id: m}]}]", "the key \"group\" is missing"}, Row{"groups: [{group: a}]", "the key \"members\" is missing"},
        Row{"groups: [{group: a, members: []}]", "at least one member"},
        Row{"groups: [{group: a, members: [{id: m}]}, {group: a, members: [{id: m}]}]", "\"a\" is there twice"},
        Row{"groups: [{group: a, members: [{id: m}, {id: m}]}]", "member id 'm' is there twice"},
        Row{"groups: [{group: a/b, members: [{id: m}]}]", "is no name"},
        Row{"groups: [{group: a, members: [{id: m, container: web}]}]", "hexadecimal digits"},
        Row{"groups: [{group: a, members: [{id: m, pod_uid: web}]}]", "expected a pod's uid"},
        Row{"groups: [{group: a, members: [{id: m, container: ab}, {id: n, container: abc}]}]",
            "fits \"ab\" of member m of group a"},
        Row{"groups: [{group: a, members: [{id: m, container: abc}]}, {group: b, members: [{id: n, container: ab}]}]",
            "fits \"abc\" of member m of group a"},
        Row{"groups: [{group: a, members: [{id: m, pid: 4}]}]", "unknown key \"pid\""},
        Row{"groups: [{group: a, lease: 3s, members: [{id: m}]}]", "four times the broker's silence"},
        Row{"groups: [{group: a, order: serial, members: [{id: m}]}]", "needs leave_running: yes"},
        Row{"groups: [{group: a, order: any, members: [{id: m}]}]", "order"},
        Row{"groups: [{group: a, deadlines: {prepare: 5}, members: [{id: m}]}]", "duration"}}) {
    const auto groups = parse_standing_groups(row.yaml, "groups.yaml", kSilence);
    ASSERT_FALSE(groups) << row.yaml;
    EXPECT_NE(groups.error().message().find(row.says), std::string::npos)
        << row.yaml << ": " << groups.error().message();
    EXPECT_NE(groups.error().message().find("groups.yaml"), std::string::npos) << groups.error().message();
  }
}

class RunningBroker : public ::testing::Test {
 protected:
  /// As editors and ConfigMaps do.
  void replace(const std::string& yaml) const {
    lockstep::test::write_file(dir_ / "new", yaml);
    std::filesystem::rename(dir_ / "new", path());
  }
  [[nodiscard]] static bool has_changed(const GroupsFile& file) {
    pollfd entry{file.changes(), POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
  }
  [[nodiscard]] std::string path() const { return dir_ / "groups.yaml"; }

  lockstep::test::TempDir dir_;
};

TEST_F(RunningBroker, ReadsAChangedFileAndKeepsWhatItHadBesideAWrongOne) {
  replace("groups: [{group: a, members: [{id: m}]}]");
  auto file = GroupsFile::open(path(), kSilence);
  ASSERT_TRUE(file) << file.error().message();
  auto first = file->look();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((**first)[0].group, GroupId("a"));
  EXPECT_FALSE(file->look()) << "no news";
  EXPECT_FALSE(has_changed(*file));

  replace("groups: [{group: b, mem");
  EXPECT_TRUE(has_changed(*file));
  const auto wrong = file->look();
  ASSERT_TRUE(wrong && !*wrong);
  EXPECT_NE(wrong->error().message().find("groups.yaml"), std::string::npos) << wrong->error().message();
  EXPECT_FALSE(file->look()) << "said once";

  replace("groups: [{group: b, members: [{id: m}]}, {group: c, members: [{id: m}]}]");
  const auto mended = file->look();
  ASSERT_TRUE(mended && *mended);
  EXPECT_EQ((**mended).size(), 2U);

  std::filesystem::remove(path());
  const auto gone = file->look();
  ASSERT_TRUE(gone && !*gone);
  replace("groups: [{group: d, members: [{id: m}]}]");
  const auto back = file->look();
  ASSERT_TRUE(back && *back);
}

}  // namespace
}  // namespace lockstep::broker
