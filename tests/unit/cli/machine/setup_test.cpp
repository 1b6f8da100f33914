#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "cli/machine/setup_command.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

constexpr const char* kHook = "/usr/bin/lockstep-hook";

TEST(Setup, WritesAndUndoes) {
  const test::TempDir root;
  const std::string runc = root / "etc/criu/runc.conf";
  const std::string crun = root / "etc/criu/crun.conf";
  test::write_file(crun, "log-level 4\n");
  SetupOptions options;
  options.root = root.path();

  const auto written = setup_files(options, kHook);
  ASSERT_TRUE(written) << written.error().message();
  ASSERT_EQ(written->size(), 2U);
  EXPECT_EQ((*written)[0].path, runc);
  EXPECT_EQ((*written)[0].change, "written");
  EXPECT_NE(test::read_file(runc).find("\naction-script /usr/bin/lockstep-hook\nnetwork-lock skip\n"),
            std::string::npos);
  EXPECT_TRUE(test::read_file(crun).starts_with("log-level 4\n"));
  EXPECT_EQ((*setup_files(options, kHook))[0].change, "unchanged");

  options.undo = true;
  options.runtime = "runc";
  const auto undone = setup_files(options, {});
  ASSERT_TRUE(undone);
  EXPECT_EQ(undone->size(), 1U);
  EXPECT_EQ((*undone)[0].change, "removed");
  EXPECT_FALSE(std::filesystem::exists(runc)) << "it held nothing else";
  options.runtime = "all";
  ASSERT_TRUE(setup_files(options, {}));
  EXPECT_EQ(test::read_file(crun), "log-level 4\n");
  EXPECT_EQ((*setup_files(options, {}))[0].change, "unchanged");
}

TEST(Setup, ChangesNothingWhereOneFileCantBe) {
  const test::TempDir root;
  const std::string own = "action-script /opt/lockstep-hook\n";
  test::write_file(root / "etc/criu/crun.conf", own);
  SetupOptions options;
  options.root = root.path();
  const auto refused = setup_files(options, kHook);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_EQ(test::read_file(root / "etc/criu/crun.conf"), own);
  EXPECT_FALSE(std::filesystem::exists(root / "etc/criu/runc.conf"));
}

TEST(Setup, ChangesNothingWhereEveryCriuRunsTheHookAlready) {
  const test::TempDir root;
  test::write_file(root / "etc/criu/default.conf", "action-script /opt/lockstep-hook\nnetwork-lock skip\n");
  SetupOptions options;
  options.root = root.path();
  const auto refused = setup_files(options, kHook);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_NE(refused.error().message().find("default.conf"), std::string::npos) << refused.error().message();
  EXPECT_FALSE(std::filesystem::exists(root / "etc/criu/runc.conf"));
  options.undo = true;
  EXPECT_TRUE(setup_files(options, kHook));
}

TEST(Setup, PutsBackWhatItHasWrittenWhenALaterFileFails) {
  const test::TempDir root;
  const std::string runc = root / "etc/criu/runc.conf";
  const std::string crun = root / "etc/criu/crun.conf";
  const std::string large = "# " + std::string(64 * 1024, 'x') + "\n";
  SetupOptions options;
  options.root = root.path();
  // The second file gets too large.
  const auto fails = [&] {
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit small{16 * 1024, limit.rlim_max};
    const auto handler = ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto result = setup_files(options, kHook);
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::signal(SIGXFSZ, handler);
    return !result;
  };
  test::write_file(crun, large);
  EXPECT_TRUE(fails());
  EXPECT_FALSE(std::filesystem::exists(runc));
  test::write_file(runc, "log-level 4\n");
  EXPECT_TRUE(fails());
  EXPECT_EQ(test::read_file(runc), "log-level 4\n");
  EXPECT_EQ(test::read_file(crun), large);
}

}  // namespace
}  // namespace lockstep::cli
