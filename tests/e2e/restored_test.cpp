/// After a restore limits, file sizes and clocks are compared with what was saved, and what differs is told.
#include <nlohmann/json.hpp>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

using nlohmann::json;

/// One process with limits of its own and a log that it appends to.
class Restored : public EndToEnd {
 protected:
  Restored()
      : cluster_(1, Agents::sidecars),
        log_(cluster_.dir() / "log"),
        member_(Process::start({.command = {"prlimit", "--nofile=3000:5000", "/bin/bash", "-c",
                                            "exec 5>>" + log_ + "; echo hello >&5; echo ready; exec sleep 1000"},
                                .log = cluster_.dir() / "member.out",
                                .netns = cluster_.network().pod(0).path(),
                                .dies_with_test = false})),
        group_(cluster_.write_group({{.id = "member"}}, kShortBounds)) {
    write_file(cluster_.dir() / "member.pid", std::to_string(member_.pid()) + "\n");
    if (!wait_until([&] { return read_file(cluster_.dir() / "member.out") == "ready\n"; }, 5s))
      throw std::runtime_error("the member does not start");
  }

  void dump() {
    const CommandResult dumped = cluster_.lockstep({"checkpoint", group_});
    ASSERT_EQ(dumped.exit_code, 0) << dumped.out << dumped.err;
    ASSERT_TRUE(wait_until([&] { return !exists(pid()); }, 5s)) << "it lives on";
  }
  [[nodiscard]] pid_t pid() const { return std::stoi(read_file(cluster_.dir() / "member.pid")); }

  void expect_end() {
    ::kill(pid(), SIGKILL);
    EXPECT_THAT(cluster_.shut_down(), IsEmpty());
  }

  Cluster cluster_;
  std::string log_;
  Process member_;
  std::string group_;
};

TEST_F(Restored, WhatIsAsItWasIsNothingToTell) {
  ASSERT_NO_FATAL_FAILURE(dump());
  const CommandResult restored = cluster_.lockstep({"restore", group_, "--output", "json"});
  ASSERT_EQ(restored.exit_code, 0) << restored.out << restored.err;
  const json report = json::parse(restored.out);
  EXPECT_EQ(report["after_restore"], json::array());
  EXPECT_EQ(report["notes"], json::array());
  const std::string limits = read_file("/proc/" + std::to_string(pid()) + "/limits");
  EXPECT_NE(limits.find("Max open files            3000                 5000"), std::string::npos) << limits;
  expect_end();
}

TEST_F(Restored, LoweredLimitsAndACutLogAreTold) {
  ASSERT_NO_FATAL_FAILURE(dump());
  std::filesystem::resize_file(log_, 2);
  // A restorer that may not raise limits, and has a lower one itself.
  const CommandResult restored = run_command({"prlimit", "--nofile=1000:1000", "setpriv",
                                              "--bounding-set=-sys_resource", program("lockstep"), "restore", group_},
                                             60s);
  ASSERT_EQ(restored.exit_code, 0) << "it is no failure: " << restored.out << restored.err;
  const std::string process = "member member: process " + std::to_string(pid()) + " (sleep): ";
  EXPECT_THAT(restored.out,
              AllOf(HasSubstr(process + "open files 1000, was 3000 (hard: 5000): raise the restorer's hard "
                                        "limit, or give it CAP_SYS_RESOURCE"),
                    HasSubstr(process + log_ + " (descriptor 5) 2 bytes, was 6 bytes: ")));
  expect_end();
}

}  // namespace
}  // namespace lockstep::e2e
