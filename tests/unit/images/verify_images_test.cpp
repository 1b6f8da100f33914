#include "cli/verify_images.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/connection_graph.hpp"
#include "cli/exit_code.hpp"
#include "cli/verify_command.hpp"
#include "cli/verify_report.hpp"
#include "tests/unit/images/sample_images.hpp"

namespace lockstep::cli {
namespace {

using images::TcpEnd;
using images::test::connection;
using images::test::endpoint;
using images::test::record_of;

/// A server in a pod with two clients, each in its own, and a stranger.
class VerifyImagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (std::uint16_t i = 0; i < 2; ++i) {
      const std::string host = std::to_string(2 + i);
      clients_.push_back(connection(endpoint("10.0.0.1", 80), endpoint("10.0.0." + host, 4001), 100, 200));
      clients_.push_back(connection(endpoint("fd00::1", 80), endpoint("fd00::" + host, 4001), 300, 400));
    }
    stranger_ = connection(endpoint("10.0.0.1", 80), endpoint("192.0.2.7", 4001)).a;
    write();
  }

  void write() {
    write_member("server", {clients_[0].a, clients_[1].a, clients_[2].a, clients_[3].a, stranger_}, 1);
    write_member("one", {clients_[0].b, clients_[1].b}, 2);
    write_member("two", {clients_[2].b, clients_[3].b}, 3);
  }

  void write_member(const std::string& id, const std::vector<TcpEnd>& ends, std::uint64_t pod) {
    std::filesystem::create_directories(dir_ / id);
    images::test::write_images(dir_ / id, ends);
    images::test::write_record(dir_ / id, record_of(id, {"server", "one", "two"}, ends, pod));
  }

  [[nodiscard]] std::vector<std::string> folders() const { return {dir_ / "server", dir_ / "one", dir_ / "two"}; }
  [[nodiscard]] CutSummary verify() const { return *verify_images(folders()); }

  images::test::TempDir dir_;
  std::vector<images::test::Ends> clients_;
  TcpEnd stranger_;
};

TEST_F(VerifyImagesTest, AConsistentCut) {
  clients_[1].a.written += 50;
  clients_[1].a.unacknowledged = 50;
  write();
  const CutSummary summary = verify();
  EXPECT_TRUE(summary.consistent());
  EXPECT_EQ(cut_line(summary),
            "round r1 of group g: consistent: 3 members, 4 internal connections fit, 50 bytes in flight, 1 external");
  const std::string text = cut_text(summary);
  EXPECT_NE(text.find("server [fd00::1]:80"), std::string::npos) << text;
  EXPECT_NE(text.find("established/established"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with(cut_line(summary) + "\n"));
}

TEST_F(VerifyImagesTest, EveryWayOfNotFitting) {
  struct Case {
    std::size_t connection;
    std::int32_t a_received, b_received;
    const char* words;
  };
  const Case cases[] = {
      {0, 0, 1, "server 10.0.0.1:80 to one 10.0.0.2:4001: 1 byte received that the sender, as saved, has not sent"},
      {0, 0, -7, "server 10.0.0.1:80 to one 10.0.0.2:4001: 7 bytes lost"},
      {3, 9, 0, "two [fd00::3]:4001 to server [fd00::1]:80: 9 bytes received that"},
      {3, -9, 0, "two [fd00::3]:4001 to server [fd00::1]:80: 9 bytes lost"},
  };
  const auto good = clients_;
  for (const Case& c : cases) {
    clients_ = good;
    clients_[c.connection].a.received += static_cast<std::uint32_t>(c.a_received);
    clients_[c.connection].b.received += static_cast<std::uint32_t>(c.b_received);
    write();
    const CutSummary summary = verify();
    EXPECT_EQ(summary.misfits(), 1U);
    EXPECT_TRUE(summary.problems.empty());
    EXPECT_NE(cut_text(summary).find(c.words), std::string::npos) << cut_text(summary);
    EXPECT_EQ(cut_line(summary), "round r1 of group g: NOT consistent: 1 of 4 internal connections does not fit");
  }
}

TEST_F(VerifyImagesTest, MixedRounds) {
  Record record = record_of("one", {"server", "one", "two"}, {clients_[0].b, clients_[1].b}, 2);
  record.round = RoundId("r0");
  images::test::write_record(dir_ / "one", record);
  const CutSummary summary = verify();
  EXPECT_FALSE(summary.consistent());
  EXPECT_EQ(summary.misfits(), 0U);
  EXPECT_NE(cut_line(summary).find("is of round r0 of group g, others are of round r1"), std::string::npos);
}

TEST_F(VerifyImagesTest, AMissingMember) {
  const auto summary = verify_images({dir_ / "server", dir_ / "two"});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->problems, std::vector<std::string>{"member \"one\" of round r1 of group g is missing"});
  EXPECT_EQ(summary->connections.size(), 2U);
  EXPECT_EQ(summary->external, 3U);
}

TEST_F(VerifyImagesTest, ImagesOfAnUncommittedRound) {
  std::filesystem::rename(dir_ / "one/lockstep.record", dir_ / "one/lockstep.record.part");
  const CutSummary summary = verify();
  ASSERT_EQ(summary.problems.size(), 2U);
  EXPECT_EQ(summary.problems[0],
            dir_ / "one/lockstep.record" + std::string(": is missing: this is no member of a committed checkpoint"));
  EXPECT_EQ(summary.connections.size(), 4U);  // shown all the same
}

TEST_F(VerifyImagesTest, ARecordOfAnotherDump) {
  images::test::write_record(dir_ / "one", record_of("one", {"server", "one", "two"}, {}, 2));
  EXPECT_EQ(verify().problems.size(), 2U);
}

TEST_F(VerifyImagesTest, OneThatWentBeforeOthersOfItsPodCountsOnlyBesideTheLast) {
  const std::vector<std::string> all{"server", "one", "two"};
  Record first = record_of("one", all, {clients_[0].b, clients_[1].b}, 2);
  Record last = record_of("two", all, {clients_[2].b, clients_[3].b}, 2);
  last.earlier.push_back({first.member, std::move(first.sockets), std::move(first.labels)});
  first.conditional = true;
  first.sockets = {};
  first.labels = {};
  images::test::write_record(dir_ / "one", first);
  images::test::write_record(dir_ / "two", last);
  EXPECT_TRUE(verify().consistent()) << cut_line(verify());
  ASSERT_TRUE(read_graph(folders()));

  last.round = RoundId("r2");
  images::test::write_record(dir_ / "two", last);
  EXPECT_NE(cut_text(verify()).find("that round was never decided"), std::string::npos) << cut_text(verify());
  EXPECT_FALSE(verify().consistent());

  last.round = first.round;
  last.earlier.clear();
  images::test::write_record(dir_ / "two", last);
  const CutSummary summary = verify();
  ASSERT_EQ(summary.problems.size(), 1U) << cut_text(summary);
  EXPECT_NE(summary.problems[0].find("member \"one\" was dumped before others of its pod"), std::string::npos);
  EXPECT_FALSE(read_graph(folders()));
}

TEST_F(VerifyImagesTest, AnEndThatTheBrokerSawAndCriuDidNotSave) {
  // Both records and the images agree about the one end; the other end's socket is in neither.
  Record record = record_of("server", {"server", "one", "two"},
                            {clients_[0].a, clients_[1].a, clients_[2].a, clients_[3].a, stranger_}, 1);
  record.labels[4].label = ConnectionLabel::internal;
  images::test::write_record(dir_ / "server", record);
  const CutSummary summary = verify();
  ASSERT_EQ(summary.problems.size(), 1U);
  EXPECT_NE(summary.problems[0].find("10.0.0.1:80 to 192.0.2.7:4001"), std::string::npos);
}

TEST_F(VerifyImagesTest, TcpCloseProvesNothingAndSaysSo) {
  for (const std::string& folder : folders())
    images::test::write_file(folder + "/inventory.img", images::test::inventory_image(true));
  const CutSummary summary = verify();
  EXPECT_TRUE(summary.consistent());
  EXPECT_TRUE(summary.connections.empty());
  EXPECT_EQ(summary.remarks.size(), 6U);  // the streams are stale as well
}

TEST_F(VerifyImagesTest, StaleStreamsAreOnlyARemark) {
  images::test::write_file(dir_ / "one/tcp-stream-fffff.img", "whatever");
  EXPECT_TRUE(verify().consistent());
  EXPECT_EQ(verify().remarks.size(), 1U);
}

TEST_F(VerifyImagesTest, TextAndJsonAndExitCodes) {
  EXPECT_EQ(run_verify_command({folders(), false, true}), kDone);
  EXPECT_EQ(run_verify_command({{dir_ / "server", dir_ / "nothing"}, false, false}), kUsage);
  EXPECT_EQ(run_verify_command({{dir_ / "server", dir_ / "server/files.img"}, true, false}), kUsage);
  EXPECT_EQ(run_verify_command({{dir_ / "server"}, false, true}), kFailed);
  clients_[0].b.received += 3;
  write();
  EXPECT_EQ(run_verify_command({folders(), true, false}), kFailed);
  const auto json = nlohmann::json::parse(cut_json(verify(), kFailed));
  EXPECT_EQ(json["round"], "r1");
  EXPECT_EQ(json["consistent"], false);
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["misfits"], 1);
  EXPECT_EQ(json["members"][0]["connections"], 5);
  const auto& first = json["connections"][0];
  EXPECT_EQ(first["a"]["member"], "server");
  EXPECT_EQ(first["a"]["local"], "10.0.0.1:80");
  EXPECT_EQ(first["fits"], false);
  EXPECT_EQ(first["a_to_b"]["sent"], 100);
  EXPECT_EQ(first["a_to_b"]["received"], 103);
  EXPECT_EQ(first["a_to_b"]["gap_bytes"], 3);
  EXPECT_EQ(first["b_to_a"]["misfit"], nullptr);
}

}  // namespace
}  // namespace lockstep::cli
