#include "cli/report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/report_json.hpp"
#include "cli/status_command.hpp"
#include "tests/unit/cli/samples.hpp"

namespace lockstep::cli {
namespace {

using Json = nlohmann::json;

Report sample_report() {
  Report report;
  report.round = RoundId("20250101T000000-00000001");
  report.group = GroupId("demo");
  report.outcome.status = sample_dump();
  report.outcome.duration = milliseconds(215);
  for (const char* id : {"server", "client"}) {
    MemberReport member;
    member.images = std::string("/img/") + id;
    member.log = member.images + "/dump.log";
    member.pid = 42;
    member.run.exit = ProcessExit{};
    member.run.ended = milliseconds(212);
    // Forked 1 ms before their events came, ended 0.1 ms after the release; the clock is the broker's.
    const MemberStatus& status = report.outcome.status.members[report.members.size()];
    for (const auto& [place, action] :
         {std::pair{1, HookAction::network_lock}, std::pair{2, HookAction::post_dump}}) {
      const PhaseTimes& times = status.phases[place];
      const microseconds end(times.released_us + 100 - times.arrived_us + 1'000);
      member.hooks[place] = HookTimes{action, microseconds(times.arrived_us - 1'000), microseconds(1'000), end, end};
    }
    member.times.dump = DumpTimes{microseconds(900), microseconds(64'000), microseconds(30), microseconds(20)};
    report.outcome.runs.push_back(member.run);
    report.members.push_back(member);
  }
  return report;
}

/// The same, aborted by one member.
Report aborted_report() {
  Report report = sample_report();
  report.outcome.status.state = RoundState::aborted;
  report.outcome.status.reason = "CRIU has failed: Error (x.c:1): no\nmore of it";
  report.outcome.status.culprit = MemberId("client");
  for (auto* member : {&report.members[0], &report.members[1]}) {
    member->run.exit = ProcessExit{1, 0};
    member->run.detail = "Error (x.c:1): no\033[2J";
    member->times = {};
    member->hooks = {};
  }
  report.outcome.runs = {report.members[0].run, report.members[1].run};
  return report;
}

TEST(Show, SaysThatNobodyTellsHowACriuEndedWhoseHookHasOpenedTheRound) {
  Message answer{RoundId("hook-20250101T000000-00000001-1"), GroupId("demo"), {}, 0, sample_dump()};
  auto& status = std::get<RoundStatus>(answer.body);
  for (MemberStatus& member : status.members) member.criu = CriuOutcome::running;
  status.members[1].criu = CriuOutcome::failed;
  EXPECT_NE(round_text(answer, {}).find("not told"), std::string::npos) << round_text(answer, {});
  const Json json = Json::parse(round_json(answer));
  EXPECT_EQ(json["members"][0]["criu"], "not told");
  EXPECT_EQ(json["members"][1]["criu"], "failed");
  answer.round = RoundId("20250101T000000-00000001");
  EXPECT_EQ(Json::parse(round_json(answer))["members"][0]["criu"], "running");
}

TEST(Report, ShowsACommittedRound) {
  EXPECT_EQ(
      report_text(sample_report(), {55, false}),
      "member  arrived  locked  frozen  dumped  released  unlocked  sockets  criu's end\n"
      "server    100.0   126.0    64.0   180.0     200.0     206.0       12  ok\n"
      "client    110.0   136.0    64.0   190.0     200.0     206.0       12  ok\n"
      "(milliseconds since the round was opened; frozen: CRIU's own measure of how long the tree stood still)\n\n" +
          draw_timeline(sample_dump(), {55, false}) +
          "\nstood still    ms  freezing  memory  criu's rest  others  hooks  lock  barriers\n"
          "server       64.9       0.9     0.0         26.8    20.0    2.0   1.0      14.2\n"
          "client       64.9       0.9     0.0         46.8     0.0    2.0   1.0      14.2\n"
          "(others: waiting for other members' CRIUs; hooks, lock, barriers: lockstep's own time)\n" +
          "\ndump round 20250101T000000-00000001 of group demo: committed, 2 members, 215 ms\n");
}

TEST(Report, NamesWhoAbortedARound) {
  const std::string text = report_text(aborted_report(), {});
  EXPECT_NE(text.find("member \"server\": criu ended with the round; its log is /img/server/dump.log\n"),
            std::string::npos);
  EXPECT_NE(text.find("member \"client\": criu ended with an error; its log is /img/client/dump.log\n"
                      "  Error (x.c:1): no?[2J\n"),
            std::string::npos)
      << text;
  EXPECT_TRUE(text.ends_with("aborted: CRIU has failed: Error (x.c:1): no (member client), 2 members, 215 ms\n"))
      << text;
}

/// A member on a node, with what its kubelet has said.
Report remote_report() {
  Report report = sample_report();
  MemberReport& server = report.members[0];
  server = {{}, {}, 0, server.run, {}, "node-1", {"/var/lib/kubelet/checkpoints/checkpoint-a_b-c.tar"}};
  return report;
}

TEST(Report, NamesTheArchivesOnNodes) {
  Report report = remote_report();
  EXPECT_NE(
      report_text(report, {}).find("\nmember server: node node-1: /var/lib/kubelet/checkpoints/checkpoint-a_b-c.tar\n"),
      std::string::npos);
  report.members[0].run.exit = ProcessExit{1, 0};
  report.members[0].run.detail = "lockstep: HTTP 500";
  EXPECT_NE(report_text(report, {})
                .find("member \"server\": criu ended with an error on node node-1\n  lockstep: HTTP 500\n"),
            std::string::npos);
}

TEST(ReportJson, NamesTheArchivesOnNodes) {
  const Json json = Json::parse(report_json(remote_report()));
  const Json& server = json["members"][0];
  EXPECT_EQ(server["node"], "node-1");
  EXPECT_EQ(server["archives"], Json::array({"/var/lib/kubelet/checkpoints/checkpoint-a_b-c.tar"}));
  EXPECT_EQ(server["images"], nullptr);
  EXPECT_EQ(server["pid"], nullptr);
  EXPECT_EQ(server["criu"]["log"], nullptr);
  EXPECT_EQ(json["members"][1]["node"], nullptr);
  EXPECT_EQ(json["members"][1]["archives"], Json::array());
}

TEST(Report, TellsWhatIsNotAsItWasSaved) {
  Report report = sample_report();
  EXPECT_EQ(report_text(report, {}).find("Not as it was"), std::string::npos);
  EXPECT_TRUE(Json::parse(report_json(report))["after_restore"].empty());
  report.after_restore.push_back(
      {MemberId("server"), {RestoreDifference::Kind::limit, 12, "redis", "open files", "5000", "512", "raise it"}});
  EXPECT_NE(report_text(report, {})
                .find("\nNot as it was saved:\nmember server: process 12 (redis): open files 512, was "
                      "5000: raise it\n"),
            std::string::npos);
  const Json told = Json::parse(report_json(report))["after_restore"][0];
  EXPECT_EQ(told["member"], "server");
  EXPECT_EQ(told["kind"], "limit");
  EXPECT_EQ(told["saved"], "5000");
}

/// Aborted by un-accepted connections, as often as was allowed.
Report spoilt_report() {
  Report report = aborted_report();
  const InFlight found{MemberId("client"), true, 7, "10.0.0.1:80", 12, "nginx", 6};
  const Attempt attempt{
      RoundId("r1"),    false, "aborted", "member \"client\": " + found.text(), {found}, milliseconds(90),
      milliseconds(150)};
  report.attempts = {attempt, attempt};
  report.attempts[1].round = report.round;
  report.attempts[1].pause = {};
  return report;
}

TEST(Report, TellsWhatUnacceptedConnectionsHaveDone) {
  Report report = spoilt_report();
  const std::string text = report_text(report, {});
  const std::string where =
      "member \"client\": un-accepted connections at its listener 10.0.0.1:80 (process 12 (nginx), descriptor 6)";
  EXPECT_NE(text.find("attempt 1 (round r1): aborted: " + where + "\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n" + where + ": CRIU can't save them."), std::string::npos) << text;
  EXPECT_NE(text.find("\"skip_in_flight: true\""), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("aborted: " + where + ", 2 members, 215 ms\n")) << text;
  const Json json = Json::parse(report_json(report));
  ASSERT_EQ(json["attempts"].size(), 2U);
  EXPECT_EQ(json["attempts"][0]["round"], "r1");
  EXPECT_EQ(json["attempts"][0]["pause_ms"], 150);
  EXPECT_EQ(json["attempts"][0]["in_flight"][0]["listener"], "10.0.0.1:80");
  EXPECT_EQ(json["attempts"][0]["in_flight"][0]["pid"], 12);
  EXPECT_EQ(json["skip_in_flight_used"], false);
}

TEST(Report, SaysWhenUnacceptedConnectionsWereSkipped) {
  Report report = sample_report();
  report.attempts = spoilt_report().attempts;
  report.attempts.push_back({report.round, true, "committed", {}, {}, milliseconds(80), {}});
  const std::string text = report_text(report, {});
  EXPECT_NE(text.find(", with --skip-in-flight): committed\n"), std::string::npos) << text;
  EXPECT_NE(text.find("are in no image"), std::string::npos) << text;
  EXPECT_EQ(text.find("CRIU can't save them"), std::string::npos) << text;
  EXPECT_EQ(Json::parse(report_json(report))["skip_in_flight_used"], true);
  report.attempts = {{report.round, false, "committed", {}, {}, milliseconds(80), {}}};
  EXPECT_EQ(report_text(report, {}).find("attempt"), std::string::npos) << "one that works is nothing to tell";
}

TEST(Report, VerdictsAndExitCodes) {
  Report report = sample_report();
  const auto verdict = [&] { return verdict_of(report.outcome); };
  EXPECT_EQ(verdict(), RoundVerdict::committed);
  EXPECT_EQ(exit_code_of(verdict()), 0);

  report.outcome.runs[0].exit = ProcessExit{0, 9};  // complete for the broker, and not for CRIU
  EXPECT_EQ(verdict(), RoundVerdict::failed);
  report.outcome.runs[0].exit = std::nullopt;
  EXPECT_EQ(verdict(), RoundVerdict::failed);
  report.outcome.runs[0].exit = ProcessExit{};

  report.outcome.status.state = RoundState::committed;  // never completed
  EXPECT_EQ(verdict(), RoundVerdict::failed);
  EXPECT_EQ(exit_code_of(verdict()), 1);

  report.outcome.broker_lost = "the broker is gone";
  EXPECT_EQ(verdict(), RoundVerdict::unknown);
  EXPECT_EQ(exit_code_of(verdict()), 3);
  EXPECT_NE(verdict_line(report).find("not known: the broker is gone"), std::string::npos);

  report.outcome.status.state = RoundState::aborted;  // known before it was lost
  EXPECT_EQ(verdict(), RoundVerdict::aborted);
  EXPECT_EQ(exit_code_of(verdict()), 1);
}

TEST(ReportJson, HasItsShape) {
  const Json json = Json::parse(report_json(sample_report()));
  EXPECT_EQ(json["operation"], "dump");
  EXPECT_EQ(json["round"], "20250101T000000-00000001");
  EXPECT_EQ(json["group"], "demo");
  EXPECT_EQ(json["verdict"], "committed");
  EXPECT_EQ(json["exit_code"], 0);
  EXPECT_EQ(json["reason"], nullptr);
  EXPECT_EQ(json["duration_ms"], 215);
  ASSERT_EQ(json["members"].size(), 2U);
  const Json& client = json["members"][1];
  EXPECT_EQ(client["id"], "client");
  EXPECT_EQ(client["pod"]["netns_inode"], 42);
  EXPECT_EQ(client["phases"]["prepare"]["arrived_us"], 110'000);
  EXPECT_EQ(client["phases"]["unlock"]["released_us"], 210'000);
  EXPECT_EQ(client["unlocked_us"], 206'000);
  EXPECT_EQ(client["criu"]["ok"], true);
  EXPECT_EQ(client["criu"]["exit_code"], 0);
  EXPECT_EQ(client["criu"]["signal"], nullptr);
  EXPECT_EQ(client["criu"]["times"]["frozen_us"], 64'000);
  EXPECT_EQ(client["hooks"]["post-dump"]["said_us"], 1'000);
  EXPECT_EQ(client["frozen"]["still_us"], 64'900);
  EXPECT_EQ(client["frozen"]["criu"]["freezing_us"], 900);
  EXPECT_EQ(client["frozen"]["criu"]["memory_us"], 30);
  EXPECT_EQ(client["frozen"]["others_us"], 0);
  EXPECT_EQ(client["frozen"]["lockstep"]["hooks_us"], 2'000);
  EXPECT_EQ(json["members"][0]["frozen"]["others_us"], 20'000);
}

TEST(ReportJson, SaysNullForWhatHasNotHappened) {
  Report report = aborted_report();
  report.outcome.status.members[0] = fresh_member("server");
  report.members[0].run.exit = ProcessExit{0, 15};
  report.members[1].run.detail = "not \xff UTF-8";
  const Json json = Json::parse(report_json(report));
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["culprit"], "client");
  EXPECT_EQ(json["members"][0]["phases"]["lock"]["ready_us"], nullptr);
  EXPECT_EQ(json["members"][0]["unlocked_us"], nullptr);
  EXPECT_EQ(json["members"][0]["agent"], nullptr);
  EXPECT_EQ(json["members"][0]["criu"]["signal"], 15);
  EXPECT_EQ(json["members"][0]["criu"]["exit_code"], nullptr);
  EXPECT_EQ(json["members"][0]["criu"]["times"], nullptr);
  EXPECT_EQ(json["members"][0]["frozen"]["still_us"], nullptr);
  EXPECT_EQ(json["members"][0]["frozen"]["lockstep"]["sum_us"], nullptr);
}

TEST(ReportJson, TellsAnError) {
  const Json json = Json::parse(error_json(Error{ErrorCode::invalid, 0, "group.yaml:1", "bad"}, 2));
  EXPECT_EQ(json["error"]["message"], "group.yaml:1: bad");
  EXPECT_EQ(json["exit_code"], 2);
}

BrokerStatus sample_status() {
  BrokerStatus status;
  status.broker = "host-1";
  status.up_ms = 90'500;
  AgentStatus sidecar;
  sidecar.name = "pod-a";
  sidecar.boot_id = "boot";
  sidecar.pods = {1, 2, 3, 4};
  AgentStatus node;
  node.name = "node";
  node.whole_node = true;
  status.agents = {sidecar, node};
  RoundSummary round;
  round.id = RoundId("r1");
  round.group = GroupId("g");
  round.state = RoundState::aborted;
  round.reason = "no\nmore";
  round.culprit = MemberId("m");
  status.rounds = {round};
  status.counters.messages = 7;
  return status;
}

TEST(Status, IsTextForPeople) {
  const std::string text = status_text(sample_status());
  EXPECT_NE(text.find("broker host-1, up 90s"), std::string::npos) << text;
  EXPECT_NE(text.find("net:[1] net:[2] net:[3] and 1 more"), std::string::npos) << text;
  EXPECT_NE(text.find("whole node"), std::string::npos);
  EXPECT_NE(text.find("no (member m)\n"), std::string::npos) << text;
  const std::string empty = status_text(BrokerStatus{});
  EXPECT_NE(empty.find("no agents"), std::string::npos);
  EXPECT_NE(empty.find("no rounds"), std::string::npos);
}

TEST(Status, IsJsonForPrograms) {
  const std::string line = status_json(sample_status(), true);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const Json json = Json::parse(line);
  EXPECT_EQ(json["agents"][0]["pods"], (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(json["agents"][1]["whole_node"], true);
  EXPECT_EQ(json["rounds"][0]["state"], "aborted");
  EXPECT_EQ(json["counters"]["messages"], 7);
  EXPECT_EQ(json["up_ms"], 90'500);
}

}  // namespace
}  // namespace lockstep::cli
