#include "cli/machine/criu_config.hpp"

#include <gtest/gtest.h>

namespace lockstep::cli {
namespace {

TEST(CriuConfig, ReadsWhatMatters) {
  const CriuConfig config = read_criu_config(
      "# tcp-close\n"
      "  action-script \"/opt/with blank/other.sh\"\n"
      "action-script /usr/bin/lockstep-hook  # ours\n"
      "action-script=/x/lockstep-hook\n"
      "network-lock nftables\n\n"
      "network-lock skip\n"
      "tcp-established");
  EXPECT_EQ(config.action_scripts,
            (std::vector<std::string>{"/opt/with blank/other.sh", "/usr/bin/lockstep-hook", "/x/lockstep-hook"}));
  EXPECT_EQ(config.network_lock, "skip") << "the last one counts";
  EXPECT_FALSE(config.tcp_close);
  EXPECT_EQ(hooks_in(config), (std::vector<std::string>{"/usr/bin/lockstep-hook", "/x/lockstep-hook"}));
  EXPECT_TRUE(read_criu_config("tcp-close").tcp_close);
}

TEST(CriuConfig, BlocksComeAndGoWithoutATrace) {
  for (const std::string text : {"", "tcp-established\n", "# a comment\n\nlog-level 4\n"}) {
    const std::string with = with_block(text, "/usr/bin/lockstep-hook");
    EXPECT_TRUE(has_block(with));
    EXPECT_TRUE(with.starts_with(text));
    EXPECT_EQ(hooks_in(read_criu_config(with)), std::vector<std::string>{"/usr/bin/lockstep-hook"});
    EXPECT_EQ(read_criu_config(with).network_lock, "skip");
    EXPECT_EQ(with_block(with, "/usr/bin/lockstep-hook"), with);
    EXPECT_EQ(hooks_in(read_criu_config(with_block(with, "/new/lockstep-hook"))),
              std::vector<std::string>{"/new/lockstep-hook"});
    EXPECT_EQ(without_block(with), text);
    EXPECT_EQ(without_block(text), text);
  }
  EXPECT_EQ(without_block(with_block("no newline", "/h")), "no newline\n");
}

TEST(CriuConfig, OursWinsOverWhatStandsBefore) {
  EXPECT_EQ(read_criu_config(with_block("network-lock iptables\n", "/h")).network_lock, "skip");
}

TEST(CriuConfig, ABlockWithoutAnEndTakesNothingWithIt) {
  const std::string text = "# begin lockstep: x\naction-script /h\ntcp-established\n";
  EXPECT_FALSE(has_block(text));
  EXPECT_EQ(without_block(text), text);
}

}  // namespace
}  // namespace lockstep::cli
