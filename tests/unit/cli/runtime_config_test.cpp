#include "cli/runtime_config.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

class RuntimeConfigTest : public testing::Test {
 protected:
  RuntimeConfigTest() {
    test::write_file(hook_, "#!/bin/sh\n");
    std::filesystem::permissions(hook_, std::filesystem::perms::owner_all);
  }

  void write(const std::string& name, const std::string& text) { test::write_file(file(name), text); }
  [[nodiscard]] std::string file(const std::string& name) const { return root_ / ("etc/criu/" + name); }
  [[nodiscard]] std::string good() const { return "action-script " + hook_ + "\nnetwork-lock skip\n"; }

  /// What is wrong, and what is to be done; empty: nothing.
  [[nodiscard]] std::string trouble(const std::string& runtime, const std::string& annotation = {}) const {
    const auto found = runtime_trouble({runtime, annotation}, root_.path());
    return found ? found->what + "; " + found->remedy : "";
  }

  test::TempDir root_;
  std::string hook_ = root_ / "bin/lockstep-hook";
};

TEST_F(RuntimeConfigTest, IsThatOfTheContainersRuntime) {
  EXPECT_NE(trouble("runc").find("runc.conf is missing"), std::string::npos) << trouble("runc");
  EXPECT_NE(trouble("runc").find("lockstep setup --runtime runc"), std::string::npos);
  write("runc.conf", good());
  EXPECT_EQ(trouble("runc"), "");
  EXPECT_EQ(trouble("/usr/sbin/runc"), "");
}

TEST_F(RuntimeConfigTest, CrunTakesRuncsWhereItHasNone) {
  EXPECT_NE(trouble("crun").find("crun.conf is missing"), std::string::npos) << trouble("crun");
  write("runc.conf", good());
  EXPECT_EQ(trouble("crun"), "");
  write("crun.conf", "log-level 4\n");
  EXPECT_NE(trouble("crun").find("crun.conf names no lockstep-hook"), std::string::npos) << trouble("crun");
}

TEST_F(RuntimeConfigTest, IsTheFileThatAnAnnotationNames) {
  write("runc.conf", good());
  const std::string own = trouble("runc", file("own.conf"));
  EXPECT_NE(own.find("own.conf is missing"), std::string::npos) << own;
  EXPECT_NE(own.find("org.criu.config"), std::string::npos) << own;
  write("own.conf", good());
  EXPECT_EQ(trouble("runc", file("own.conf")), "");
}

TEST_F(RuntimeConfigTest, StandsOnWhatEveryCriuReads) {
  write("default.conf", good());
  EXPECT_EQ(trouble("runc"), "");
  write("runc.conf", good());
  EXPECT_NE(trouble("runc").find("2 times"), std::string::npos) << trouble("runc");
}

TEST_F(RuntimeConfigTest, NamesAHookThatIsThere) {
  write("runc.conf", good());
  std::filesystem::remove(hook_);
  EXPECT_NE(trouble("runc").find("which is not there"), std::string::npos) << trouble("runc");
}

TEST_F(RuntimeConfigTest, OfOtherRuntimesIsNotKnown) {
  EXPECT_EQ(trouble("kata"), "");
  EXPECT_EQ(trouble(""), "");
}

}  // namespace
}  // namespace lockstep::cli
