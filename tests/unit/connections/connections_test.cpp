#include "schemas/connections.hpp"

#include <gtest/gtest.h>

#include "tests/unit/connections/tables.hpp"

namespace lockstep {
namespace {

using broker::testing::at;

const Socket kConnected = broker::testing::socket(at("10.0.0.1", 5000), at("192.0.2.7", 443));

SocketLabel labelled(ConnectionLabel label, bool peer = false) {
  return {label, Doubt::none, peer ? 0 : -1, peer ? 0 : -1};
}

TEST(ConnectionPolicy, MemberBeforeGroupBeforeDefault) {
  ConnectionPolicy group;
  ConnectionPolicy member;
  EXPECT_EQ(resolve(group, member).external, ExternalPolicy::close);
  EXPECT_EQ(resolve(group, member).ambiguous, AmbiguousPolicy::external);
  EXPECT_EQ(resolve(group, member).revalidation, RevalidationPolicy::strict);
  group.external = ExternalPolicy::refuse;
  EXPECT_EQ(resolve(group, member).external, ExternalPolicy::refuse);
  member.external = ExternalPolicy::keep;
  EXPECT_EQ(resolve(group, member).external, ExternalPolicy::keep);
  group.external_allow = {*parse_allow_rule("*:1")};
  member.external_allow = {*parse_allow_rule("*:2")};
  EXPECT_EQ(resolve(group, member).external_allow.size(), 2U);
}

TEST(ConnectionPolicy, TreatsByLabel) {
  const ConnectionPolicy policy = resolve({}, {});
  const auto treat = [&](ConnectionLabel label) { return treatment_of(kConnected, labelled(label), policy); };
  EXPECT_EQ(treat(ConnectionLabel::internal), Treatment::restore);
  EXPECT_EQ(treat(ConnectionLabel::internal_service), Treatment::restore);
  EXPECT_EQ(treat(ConnectionLabel::orphaned), Treatment::restore);
  EXPECT_EQ(treat(ConnectionLabel::listening), Treatment::restore);
  EXPECT_EQ(treat(ConnectionLabel::external), Treatment::close);
  EXPECT_EQ(treat(ConnectionLabel::ambiguous), Treatment::close);
  EXPECT_EQ(treat(ConnectionLabel::finished), Treatment::absent);
}

TEST(ConnectionPolicy, TreatsHalfOpenByItsState) {
  const ConnectionPolicy policy = resolve({}, {});
  Socket socket = kConnected;
  EXPECT_EQ(treatment_of(socket, labelled(ConnectionLabel::half_open), policy), Treatment::close);
  socket.state = TcpState::syn_sent;
  EXPECT_EQ(treatment_of(socket, labelled(ConnectionLabel::half_open), policy), Treatment::restore);
  socket.inode = 0;
  EXPECT_EQ(treatment_of(socket, labelled(ConnectionLabel::half_open), policy), Treatment::absent);
}

TEST(ConnectionPolicy, KeepsWhatIsAllowed) {
  ConnectionPolicy policy = resolve({}, {});
  policy.external_allow = {*parse_allow_rule("192.0.2.0/24:443")};
  EXPECT_EQ(treatment_of(kConnected, labelled(ConnectionLabel::external), policy), Treatment::restore);
  policy.external = ExternalPolicy::refuse;
  EXPECT_EQ(treatment_of(kConnected, labelled(ConnectionLabel::external), policy), Treatment::restore);
  policy.external_allow = {*parse_allow_rule("192.0.2.0/24:80")};
  EXPECT_EQ(treatment_of(kConnected, labelled(ConnectionLabel::external), policy), Treatment::refuse);
}

TEST(ConnectionPolicy, TreatsAmbiguousAsTold) {
  ConnectionPolicy policy = resolve({}, {});
  policy.ambiguous = AmbiguousPolicy::internal;
  EXPECT_EQ(treatment_of(kConnected, labelled(ConnectionLabel::ambiguous, true), policy), Treatment::restore);
  EXPECT_EQ(treatment_of(kConnected, labelled(ConnectionLabel::ambiguous, false), policy), Treatment::close);
  policy.ambiguous = AmbiguousPolicy::refuse;
  EXPECT_EQ(treatment_of(kConnected, labelled(ConnectionLabel::ambiguous, true), policy), Treatment::refuse);
}

TEST(ConnectionPolicy, ReadsItsOwnWords) {
  for (const auto policy : {ExternalPolicy::close, ExternalPolicy::keep, ExternalPolicy::refuse}) {
    EXPECT_EQ(external_policy_from(to_string(policy)), policy);
  }
  for (const auto policy : {AmbiguousPolicy::external, AmbiguousPolicy::internal, AmbiguousPolicy::refuse}) {
    EXPECT_EQ(ambiguous_policy_from(to_string(policy)), policy);
  }
  for (const auto policy : {RevalidationPolicy::strict, RevalidationPolicy::warn}) {
    EXPECT_EQ(revalidation_policy_from(to_string(policy)), policy);
  }
  EXPECT_FALSE(external_policy_from("inherit"));
  EXPECT_FALSE(external_policy_from("Close"));
}

}  // namespace
}  // namespace lockstep
