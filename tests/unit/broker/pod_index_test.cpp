#include "broker/core/pod_index.hpp"

#include <gtest/gtest.h>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

/// Of each member its pod (0: not known) and its uid.
PodIndex index_of(const std::vector<std::pair<int, std::string>>& members) {
  OpenRound plan;
  for (const auto& [number, uid] : members) {
    RoundMember member;
    if (number != 0) member.pod = pod(number);
    member.pod_uid = uid;
    plan.members.push_back(member);
  }
  return PodIndex(plan);
}

TEST(PodIndex, ByTheNamespace) {
  const PodIndex pods = index_of({{1, ""}, {2, ""}, {1, ""}});
  EXPECT_EQ(pods.pod_of(0), pods.pod_of(2));
  EXPECT_NE(pods.pod_of(0), pods.pod_of(1));
  EXPECT_TRUE(pods.any_shared());
  EXPECT_FALSE(index_of({{1, ""}, {2, ""}}).any_shared());
}

TEST(PodIndex, ByTheUidWhileTheNamespaceIsNotKnown) {
  PodIndex pods = index_of({{0, "u"}, {0, "u"}, {0, ""}, {0, ""}, {0, "v"}});
  EXPECT_EQ(pods.pod_of(0), pods.pod_of(1));
  EXPECT_NE(pods.pod_of(2), pods.pod_of(3)) << "of whom nothing is known is alone";
  EXPECT_NE(pods.pod_of(0), pods.pod_of(4));
  pods.place(0, pod(7));
  EXPECT_EQ(pods.pod_of(0), pods.pod_of(1));
  pods.place(2, pod(7));
  EXPECT_EQ(pods.pod_of(2), pods.pod_of(1)) << "one that was placed there brings the other one's uid";
  EXPECT_NE(pods.pod_of(3), pods.pod_of(1));
}

TEST(PodIndex, OneKnownFromThePlanJoinsItsUid) {
  const PodIndex pods = index_of({{0, "u"}, {3, "u"}, {3, ""}});
  EXPECT_EQ(pods.pod_of(0), pods.pod_of(1));
  EXPECT_EQ(pods.pod_of(1), pods.pod_of(2));
}

TEST(PodIndex, AUidOfTwoNamespacesJoinsNobody) {
  PodIndex pods = index_of({{0, "u"}, {0, "u"}, {4, ""}});
  pods.place(0, pod(3));
  pods.place(1, pod(4));
  EXPECT_NE(pods.pod_of(0), pods.pod_of(1));
  EXPECT_EQ(pods.pod_of(1), pods.pod_of(2));
  for (std::size_t member = 0; member < 3; ++member) EXPECT_LT(pods.pod_of(member), pods.numbers());
}

}  // namespace
}  // namespace lockstep::broker::test
