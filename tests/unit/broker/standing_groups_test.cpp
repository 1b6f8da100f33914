/// Which member of which standing group a hook means.
#include "broker/core/standing_groups.hpp"

#include <gtest/gtest.h>

namespace lockstep::broker {
namespace {

const std::string kDatabase(64, 'a');
const std::string kWeb = "b1" + std::string(62, '0');
constexpr const char* kPod = "01234567-89ab-cdef-0123-456789abcdef";

RoundMember named(const char* id, std::string container = {}, std::string pod_uid = {}) {
  RoundMember member;
  member.id = MemberId(id);
  member.container = std::move(container);
  member.pod_uid = std::move(pod_uid);
  return member;
}

StandingGroups groups() {
  StandingGroup shop{GroupId("shop"), {}};
  shop.plan.members = {named("database", kDatabase), named("web", "b1"), named("queue", {}, kPod)};
  StandingGroup bank{GroupId("bank"), {}};
  bank.plan.members = {named("web", "c2"), named("ledger"), named("twin-1", {}, "pod-of-two"),
                       named("twin-2", {}, "pod-of-two")};
  return StandingGroups({shop, bank});
}

struct Row {
  const char* name;
  const char* group;
  const char* member;
  std::string container;
  const char* pod_uid;
  const char* found;  ///< "group/member", or the doubt, or ""
  bool depends = false;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class Who : public ::testing::TestWithParam<Row> {};

TEST_P(Who, IsFoundOrNot) {
  const Row& row = GetParam();
  HookEvent event;
  event.container = row.container;
  event.pod_uid = row.pod_uid;
  if (row.depends) event.dependencies.emplace_back("other");
  const StandingGroups standing = groups();
  const auto match = standing.find(Message{{}, GroupId(row.group), MemberId(row.member), 1, event}, event);
  EXPECT_EQ(match.group != nullptr ? match.group->group.value + "/" + match.member.value : match.doubt, row.found);
}

INSTANTIATE_TEST_SUITE_P(
    By, Who,
    ::testing::Values(
        Row{"GroupAndMember", "bank", "web", "", "", "bank/web"},
        Row{"GroupAndMemberWhateverTheContainer", "bank", "web", kDatabase, kPod, "bank/web"},
        Row{"GroupAndNoSuchMember", "bank", "database", kDatabase, "", ""},
        Row{"NoSuchGroup", "other", "web", kWeb, "", ""}, Row{"MemberOfOneGroup", "", "ledger", "", "", "bank/ledger"},
        Row{"MemberOfTwoGroups", "", "web", "", "", "member web could be web of group shop, or web of group bank"},
        Row{"MemberOfTwoGroupsAndContainer", "", "web", kWeb, "", "shop/web"},
        Row{"NoSuchMember", "", "nobody", kWeb, "", ""}, Row{"WholeContainer", "", "", kDatabase, "", "shop/database"},
        Row{"BeginningOfContainer", "", "", kWeb, "", "shop/web"},
        Row{"ContainerBeforePod", "", "", kWeb, kPod, "shop/web"},
        Row{"ContainerWithinAGroup", "bank", "", kWeb, "", ""},
        Row{"AnotherContainer", "", "", std::string(64, 'd'), "", ""},
        Row{"LessOfTheContainerThanTheFileSays", "", "", std::string(12, 'a'), "", ""},
        Row{"Pod", "", "", std::string(64, 'd'), kPod, "shop/queue"},
        Row{"PodOfTwo", "", "", "", "pod-of-two",
            "a container of pod pod-of-two could be twin-1 of group bank, or twin-2 of group bank"},
        Row{"ForeignIdAndContainer", "", "nobody", kWeb, "", "shop/web", true},
        Row{"ForeignIdAndPod", "", "nobody", "", kPod, "shop/queue", true},
        Row{"ForeignIdThatIsAMembers", "", "ledger", kWeb, "", "bank/ledger", true},
        Row{"ForeignIdAndNothingElse", "", "nobody", "", "", "", true}, Row{"NothingAtAll", "", "", "", "", ""}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace lockstep::broker
