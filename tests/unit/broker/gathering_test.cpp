/// Hooks that name each other: when their set is whole, and what becomes of it when it is not.
#include "broker/core/gathering.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "common/ids.hpp"

namespace lockstep::broker {
namespace {

constexpr milliseconds kLimit{10'000};
const TimePoint kStart{std::chrono::hours(1)};

using Names = std::vector<std::string>;

KeptEvent event(const std::string& member, const Names& dependencies, milliseconds at = milliseconds(0),
                HookAction action = HookAction::pre_dump) {
  HookEvent event;
  event.action = action;
  event.pod.boot_id = "boot-1";
  event.criu_pid = 100 + member.front();
  event.criu_start = 5;
  for (const std::string& name : dependencies) event.dependencies.emplace_back(name);
  return {PeerId("peer-of-" + member), {}, Message{{}, {}, MemberId(member), 7, std::move(event)}, kStart + at};
}

Names members(const std::vector<KeptEvent>& set) {
  Names names;
  for (const KeptEvent& kept : set) names.push_back(kept.message.member.value);
  return names;
}

class Gather : public ::testing::Test {
 protected:
  Names add(const std::string& member, const Names& dependencies, milliseconds at = milliseconds(0),
            HookAction action = HookAction::pre_dump) {
    const auto added = gathering_.add(event(member, dependencies, at, action), kLimit);
    EXPECT_EQ(added.refused, "");
    return members(added.set);
  }

  Gathering gathering_;
};

TEST_F(Gather, OneThatNamesOnlyItselfIsASet) {
  EXPECT_EQ(add("a", {"a"}), Names{"a"});
  EXPECT_EQ(add("b", {}), Names{"b"});
  EXPECT_EQ(gathering_.size(), 0U);
}

TEST_F(Gather, ASetIsWholeWhenAllHaveComeThatItNames) {
  // Of three, in every order, however they name each other.
  const std::vector<std::vector<Names>> kinds{
      {{"b", "c"}, {"a", "c"}, {"a", "b"}}, {{"b"}, {"c"}, {"a"}}, {{"b"}, {"a", "c"}, {"b"}}};
  for (const auto& names : kinds) {
    Names order{"a", "b", "c"};
    do {
      EXPECT_EQ(add(order[0], names[static_cast<std::size_t>(order[0][0] - 'a')]), Names{});
      EXPECT_EQ(add(order[1], names[static_cast<std::size_t>(order[1][0] - 'a')]), Names{});
      EXPECT_EQ(add(order[2], names[static_cast<std::size_t>(order[2][0] - 'a')]), (Names{"a", "b", "c"}));
      EXPECT_EQ(gathering_.size(), 0U);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_F(Gather, SetsKeepApart) {
  EXPECT_EQ(add("a", {"b"}), Names{});
  EXPECT_EQ(add("x", {"y"}), Names{});
  EXPECT_EQ(add("a", {"b"}, milliseconds(0), HookAction::pre_restore), Names{}) << "nor do operations mix";
  EXPECT_EQ(add("y", {"x"}), (Names{"x", "y"}));
  EXPECT_EQ(add("b", {"a"}), (Names{"a", "b"}));
  EXPECT_EQ(gathering_.size(), 1U);
}

TEST_F(Gather, AnEventThatIsSaidAgainCountsOnce) {
  EXPECT_EQ(add("a", {"b"}), Names{});
  KeptEvent again = event("a", {"b"});
  again.from = PeerId("another");
  again.message.sequence = 9;
  EXPECT_EQ(gathering_.add(again, kLimit).deadline, kStart + kLimit);
  EXPECT_EQ(gathering_.size(), 1U);
  const auto whole = gathering_.add(event("b", {"a"}), kLimit).set;
  ASSERT_EQ(members(whole), (Names{"a", "b"}));
  EXPECT_EQ(whole[0].from, PeerId("another"));
  EXPECT_EQ(whole[0].message.sequence, 9U);
}

TEST_F(Gather, ASecondCriuOfTheSameIdIsRefused) {
  EXPECT_EQ(add("a", {"b"}), Names{});
  KeptEvent other = event("a", {"b"});
  std::get<HookEvent>(other.message.body).criu_pid = 4711;
  EXPECT_NE(gathering_.add(other, kLimit).refused.find("another CRIU"), std::string::npos);
  EXPECT_EQ(add("b", {"a"}), (Names{"a", "b"})) << "the first one stays";
}

TEST_F(Gather, ASetThatIsNotWholeInTimeNamesWhoIsMissing) {
  EXPECT_EQ(add("a", {"b", "c"}), Names{});
  EXPECT_EQ(add("b", {"a", "d"}, milliseconds(4'000)), Names{});
  EXPECT_EQ(add("x", {"y"}, milliseconds(1'000)), Names{});
  EXPECT_EQ(gathering_.next_deadline(), kStart + kLimit);
  EXPECT_TRUE(gathering_.expire(kStart + kLimit - milliseconds(1)).empty());
  const auto late = gathering_.expire(kStart + kLimit);
  ASSERT_EQ(late.size(), 2U) << "all of the set, from its first event on";
  EXPECT_EQ(late[0].reason,
            "those that belong together have not all come within 10000 ms; waiting for c (named by a), d (named by b)");
  EXPECT_EQ(late[1].reason, late[0].reason);
  EXPECT_EQ(gathering_.next_deadline(), kStart + milliseconds(1'000) + kLimit);
  EXPECT_EQ(add("c", {"a"}, milliseconds(12'000)), Names{}) << "what came too late is not half of a set";
}

TEST_F(Gather, AHookThatHasGoneCountsNoMore) {
  EXPECT_EQ(add("a", {"b"}), Names{});
  EXPECT_EQ(add("c", {"a", "b"}), Names{});
  EXPECT_FALSE(gathering_.drop(MemberId("a"), PeerId("another")));
  EXPECT_TRUE(gathering_.drop(MemberId("a"), PeerId("peer-of-a")));
  EXPECT_FALSE(gathering_.drop(MemberId("a"), PeerId("peer-of-a")));
  EXPECT_EQ(add("b", {"a"}), Names{}) << "a is named, and has gone";
  EXPECT_EQ(add("a", {"b"}), (Names{"a", "b", "c"}));
}

TEST_F(Gather, WhatOnlyADroppedEventNamedIsWaitedForNoMore) {
  EXPECT_EQ(add("x", {"a", "b"}), Names{});
  EXPECT_EQ(add("a", {"a"}), Names{});
  gathering_.drop_all_of({PeerId("peer-of-x")});
  EXPECT_EQ(gathering_.size(), 1U);
  EXPECT_EQ(add("a", {"a"}), Names{"a"}) << "when it is said again";
}

TEST_F(Gather, HasBounds) {
  for (std::size_t i = 0; i < Gathering::kMaxEvents; ++i) {
    EXPECT_EQ(add("m" + std::to_string(i), {"missing" + std::to_string(i)}), Names{});
  }
  EXPECT_NE(gathering_.add(event("one-more", {"x"}), kLimit).refused.find("too many"), std::string::npos);
  EXPECT_EQ(gathering_.expire(kStart + kLimit).size(), Gathering::kMaxEvents);
  KeptEvent large = event("a", {"b"}, milliseconds(0), HookAction::pre_restore);
  std::get<HookEvent>(large.message.body).record.bytes.assign(Gathering::kMaxBytes, 'x');
  EXPECT_NE(gathering_.add(large, kLimit).refused, "");
  EXPECT_EQ(gathering_.size(), 0U);
}

TEST_F(Gather, OnePeerCarriesOnlyItsShare) {
  const auto carried = [](int i, std::size_t names) {
    KeptEvent kept = event("m" + std::to_string(i), {});
    kept.from = PeerId("node");
    for (std::size_t n = 0; n < names; ++n)
      std::get<HookEvent>(kept.message.body).dependencies.emplace_back(std::to_string(i) + "x" + std::to_string(n));
    return kept;
  };
  EXPECT_NE(gathering_.add(carried(0, Gathering::kMaxNamesOfOne + 1), kLimit).refused, "");
  for (int i = 0; i < static_cast<int>(Gathering::kMaxEventsOfOne); ++i)
    EXPECT_EQ(gathering_.add(carried(i, 1), kLimit).refused, "");
  EXPECT_NE(gathering_.add(carried(1'000, 1), kLimit).refused.find("carries too many already"), std::string::npos);
  EXPECT_EQ(gathering_.add(carried(0, 1), kLimit).refused, "") << "said again";
  EXPECT_EQ(add("another", {"one"}), Names{});
  gathering_.drop_all_of({PeerId("node")});
  EXPECT_EQ(gathering_.size(), 1U);
  EXPECT_EQ(gathering_.add(carried(0, Gathering::kMaxNamesOfOne), kLimit).refused, "");
  EXPECT_NE(gathering_.add(carried(1, 1), kLimit).refused, "");
}

TEST_F(Gather, PeersThatAreLostCostWhatTheyCarryAndNoMore) {
  // Each of one large set; the last peer's stays.
  constexpr int kPeers = 4;
  std::vector<PeerId> lost;
  for (int peer = 0; peer <= kPeers; ++peer) {
    const PeerId id("peer-" + std::to_string(peer));
    if (peer < kPeers) lost.push_back(id);
    for (int i = 0; i < (peer < kPeers ? static_cast<int>(Gathering::kMaxEventsOfOne) : 2); ++i) {
      const std::string name = std::to_string(peer) + "-" + std::to_string(i);
      KeptEvent kept = event(name, {"hub"});
      kept.from = id;
      for (int n = 0; n < 60; ++n)
        std::get<HookEvent>(kept.message.body).dependencies.emplace_back(name + "x" + std::to_string(n));
      ASSERT_EQ(gathering_.add(std::move(kept), kLimit).refused, "");
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  gathering_.drop_all_of(lost);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10))
      << "a second, where it is in proportion";
  EXPECT_EQ(gathering_.size(), 2U);
  EXPECT_EQ(gathering_.expire(kStart + kLimit).size(), 2U);
}

TEST_F(Gather, ManyMayAllNameEachOther) {
  Names all;
  for (int i = 0; i < 300; ++i) all.push_back("m" + std::to_string(1000 + i));
  for (int i = 0; i < 299; ++i) EXPECT_EQ(add(all[static_cast<std::size_t>(i)], all), Names{});
  EXPECT_EQ(add(all.back(), all).size(), 300U);
}

TEST(TheNameOfASet, IsTheSameEachTimeAndAlwaysValid) {
  const std::vector<MemberId> set{MemberId("web"), MemberId("database")};
  EXPECT_EQ(group_of(set), group_of({MemberId("database"), MemberId("web"), MemberId("web")}));
  EXPECT_EQ(group_of(set).value.substr(0, 9), "database-");
  EXPECT_NE(group_of(set), group_of({MemberId("database")}));
  EXPECT_NE(group_of({MemberId("ab"), MemberId("c")}), group_of({MemberId("a"), MemberId("bc")}));
  for (const auto& group : {group_of(set), group_of({MemberId(std::string(64, 'f'))})}) {
    EXPECT_TRUE(is_valid_name(group.value)) << group.value;
  }
}

}  // namespace
}  // namespace lockstep::broker
