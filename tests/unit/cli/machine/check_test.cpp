#include "cli/machine/check.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/machine/criu_config.hpp"
#include "cli/machine/doctor_command.hpp"

namespace lockstep::cli {
namespace {

struct Row {
  const char* name;
  Check check;
  Health health;
  const char* found;  ///< a part of it
};

TEST(Doctor, Judges) {
  const std::string good = with_block("", "/usr/bin/lockstep-hook");
  const auto config = [](bool is_there, const std::string& text) {
    return judge_runtime_config("runc", "/etc/criu/runc.conf", is_there, text);
  };
  const std::vector<Row> rows{
      {"no file", config(false, ""), Health::fail, "is missing"},
      {"another script", config(true, "action-script /x\n"), Health::fail, "names no lockstep-hook"},
      {"as setup writes it", config(true, good), Health::ok, "runs /usr/bin/lockstep-hook"},
      {"twice", config(true, "action-script /x/lockstep-hook\n" + good), Health::fail, "2 times"},
      {"CRIU's own lock", config(true, "action-script /x/lockstep-hook\n"), Health::fail, "network-lock skip"},
      {"closing", config(true, "tcp-close\n" + good), Health::fail, "tcp-close"},
      {"hook not run", judge_hook_run("runc", "(00.1) Error (x.c:1): no\n"), Health::fail, "does not run the hook"},
      {"no agent", judge_hook_run("runc", "lockstep-hook: pre-dump: no agent listens at /x\n(00.1) more"), Health::fail,
       "no agent listens at /x"},
      {"all is well", judge_hook_run("crun", "x\nlockstep-hook: pre-dump: round aborted: no round is open for it\n"),
       Health::ok, "reaches an agent and the broker"},
      {"v2", judge_cgroups("v2", true, true), Health::ok, "v2"},
      {"hybrid with runc alone", judge_cgroups("hybrid", true, false), Health::ok, "hybrid"},
      {"hybrid", judge_cgroups("hybrid", true, true), Health::warn, "crun refuses"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(row.check.health, row.health) << row.name;
    EXPECT_NE(row.check.found.find(row.found), std::string::npos) << row.name << ": " << row.check.found;
    EXPECT_EQ(row.check.remedy.empty(), row.health == Health::ok) << row.name;
  }
}

TEST(Doctor, SaysWhetherARoundWouldWork) {
  const std::vector<Check> good{{"a", Health::ok, "fine", {}}, {"longer", Health::warn, "so so", "do it"}};
  EXPECT_EQ(doctor_text(good),
            "ok    a       fine\n"
            "warn  longer  so so\n"
            "              -> do it\n"
            "a round would work on this machine\n");
  const auto json = nlohmann::json::parse(doctor_json({{"a", Health::fail, "no\xff", "x"}}));
  EXPECT_EQ(json["healthy"], false);
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["checks"][0]["health"], "fail");
  EXPECT_EQ(nlohmann::json::parse(doctor_json(good))["checks"][0]["remedy"], nullptr);
}

}  // namespace
}  // namespace lockstep::cli
