/// Who holds which pod's lock, and until when.
#include <gtest/gtest.h>

#include "tests/unit/agent/rig.hpp"

namespace lockstep::agent::test {
namespace {

using Calls = std::vector<std::string>;

class Book : public ::testing::Test {
 protected:
  FakeNetwork network_;
  LockBook book_{network_};
  TimePoint now_{std::chrono::hours(1)};
  milliseconds lease_{15'000};
};

TEST_F(Book, ArmsForTheFirstHolderAndDisarmsForTheLast) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  EXPECT_TRUE(book_.hold(place(1), holder(2), lease_, now_));
  EXPECT_EQ(network_.take_calls(), (Calls{"prepare 1001", "arm 1001 15000", "renew 1001 15000"}));
  EXPECT_TRUE(book_.let_go(holder(1)));
  EXPECT_EQ(network_.take_calls(), Calls{});
  EXPECT_TRUE(book_.let_go(holder(2)));
  EXPECT_EQ(network_.take_calls(), Calls{"disarm 1001"});
}

TEST_F(Book, CountsAHolderOnce) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  EXPECT_EQ(book_.holders_of(kRound).size(), 1U);
  EXPECT_TRUE(book_.let_go(holder(1)));
  EXPECT_TRUE(network_.locked.empty());
  EXPECT_TRUE(book_.let_go(holder(1))) << "nothing to give back is no error";
}

TEST_F(Book, KeepsPodsApart) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  EXPECT_TRUE(book_.hold(place(2), holder(2), lease_, now_));
  EXPECT_EQ(book_.pod_of(holder(2)), pod(2));
  EXPECT_TRUE(book_.let_go(holder(1)));
  EXPECT_EQ(network_.locked, std::set<std::uint64_t>{1002});
  EXPECT_EQ(book_.pod_of(holder(1)), std::nullopt);
}

TEST_F(Book, GivesBackARoundAndNoOther) {
  const Holder other{RoundId("r-2"), member(3)};
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  EXPECT_TRUE(book_.hold(place(1), other, lease_, now_));
  EXPECT_TRUE(book_.hold(place(2), holder(2), lease_, now_));
  EXPECT_EQ(book_.rounds().size(), 2U);
  EXPECT_TRUE(book_.let_go_round(kRound));
  EXPECT_EQ(network_.locked, std::set<std::uint64_t>{1001});
  EXPECT_TRUE(book_.let_go_round(other.round));
  EXPECT_TRUE(network_.locked.empty());
}

TEST_F(Book, RenewsEachThirdOfTheLease) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  EXPECT_EQ(book_.next_deadline(), now_ + seconds(5));
  (void)network_.take_calls();
  for (int i = 1; i <= 10; ++i) {
    EXPECT_TRUE(book_.on_time(now_ + seconds(5 * i) - milliseconds(1)).empty());
    EXPECT_EQ(network_.take_calls(), Calls{});
    EXPECT_TRUE(book_.on_time(now_ + seconds(5 * i)).empty());
    EXPECT_EQ(network_.take_calls(), Calls{"renew 1001 15000"});
  }
}

TEST_F(Book, TakesTheLongestLeaseThatAHolderAsksFor) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), seconds(30), now_));
  EXPECT_TRUE(book_.hold(place(1), holder(2), seconds(3), now_));
  EXPECT_EQ(network_.calls.back(), "renew 1001 30000");
  EXPECT_TRUE(book_.on_time(now_ + seconds(29)).empty());
}

TEST_F(Book, KnowsNoLongerLeaseThanTheKernelHasTaken) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), seconds(3), now_));
  network_.broken = {"renew"};
  EXPECT_FALSE(book_.hold(place(1), holder(2), seconds(30), now_));
  EXPECT_EQ(book_.on_time(now_ + seconds(3)), std::vector<Lapse>{{holder(1)}});
}

TEST_F(Book, TriesAgainSoonWhenTheKernelRefusesARenewal) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), seconds(12), now_));
  network_.broken = {"renew"};
  EXPECT_TRUE(book_.on_time(now_ + seconds(4)).empty());
  EXPECT_EQ(book_.next_deadline(), now_ + seconds(5));
  network_.broken.clear();
  EXPECT_TRUE(book_.on_time(now_ + seconds(5)).empty());
  EXPECT_TRUE(book_.on_time(now_ + seconds(16)).empty()) << "renewed at 5 s for 12 s";
}

TEST_F(Book, NamesTheHoldersOfALockThatHasRunOut) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  EXPECT_TRUE(book_.hold(place(1), holder(2), lease_, now_));
  EXPECT_EQ(book_.on_time(now_ + lease_).size(), 2U);
  EXPECT_TRUE(network_.locked.empty()) << "no pod is closed again after it has been open";
  EXPECT_TRUE(book_.rounds().empty());
  EXPECT_TRUE(book_.on_time(now_ + 2 * lease_).empty());
}

TEST_F(Book, NamesTheHoldersOfALockThatSomebodyHasTakenAway) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  network_.flushed = true;
  EXPECT_EQ(book_.on_time(now_ + lease_ / 3), (std::vector<Lapse>{{holder(1), true}})) << "not only after the lease";
  EXPECT_TRUE(book_.rounds().empty());
}

TEST_F(Book, NamesThemAtOnceWhereAFurtherHolderFindsItGone) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  network_.flushed = true;
  EXPECT_FALSE(book_.hold(place(1), holder(2), lease_, now_));
  EXPECT_EQ(book_.next_deadline(), now_);
  EXPECT_EQ(book_.on_time(now_), (std::vector<Lapse>{{holder(1), true}}));
}

TEST_F(Book, DoesNotHideALapseBehindASecondHolder) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  EXPECT_FALSE(book_.hold(place(1), holder(2), lease_, now_ + lease_));
  EXPECT_EQ(book_.on_time(now_ + lease_), std::vector<Lapse>{{holder(1)}});
}

TEST_F(Book, HoldsNothingWhereLockingFailed) {
  for (const char* step : {"prepare", "arm"}) {
    network_.broken = {step};
    EXPECT_FALSE(book_.hold(place(1), holder(1), lease_, now_)) << step;
    EXPECT_TRUE(book_.rounds().empty());
    EXPECT_TRUE(network_.locked.empty()) << "what arming has closed before it failed is open again";
  }
  network_.broken.clear();
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
}

TEST_F(Book, ForgetsAShareEvenWhereUnlockingFailed) {
  EXPECT_TRUE(book_.hold(place(1), holder(1), lease_, now_));
  EXPECT_TRUE(book_.hold(place(2), holder(2), lease_, now_));
  network_.broken = {"disarm"};
  EXPECT_FALSE(book_.let_go_round(kRound));
  EXPECT_TRUE(book_.rounds().empty()) << "both were tried; the kernel opens them with the lease";
  EXPECT_EQ(book_.next_deadline(), std::nullopt);
}

}  // namespace
}  // namespace lockstep::agent::test
