/// agent.yaml: what is filled in, and what is refused in words that help.
#include "agent/agent_config.hpp"

#include <gtest/gtest.h>

namespace lockstep::agent {
namespace {

TEST(AgentConfig, OfAnEmptyFileIsASidecarOfThisMachine) {
  const auto config = parse_agent_config("", "agent.yaml");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->broker, "ipc:///run/lockstep-broker/broker.sock");
  EXPECT_EQ(config->releases, "ipc:///run/lockstep-broker/broker.sock.pub");
  EXPECT_EQ(config->scope, Scope::self);
  EXPECT_EQ(config->in_doubt, milliseconds(3'600'000));
}

TEST(AgentConfig, TakesEveryField) {
  const auto config = parse_agent_config(
      "broker: tcp://10.0.0.9:7600\nreleases: tcp://10.0.0.9:8000\nname: rack-1\nsocket_dir: /tmp/x\nlock: iptables\n"
      "key: /etc/x.key\nhook_group: criu\npod: node\ngroup: shop\nmember: db\nlog_level: debug\nin_doubt: 20s\n",
      "agent.yaml");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->broker, "tcp://10.0.0.9:7600");
  EXPECT_EQ(config->releases, "tcp://10.0.0.9:8000");
  EXPECT_EQ(config->name, "rack-1");
  EXPECT_EQ(config->key, "/etc/x.key");
  EXPECT_EQ(config->hook_group, "criu");
  EXPECT_EQ(config->socket_dir, "/tmp/x");
  EXPECT_EQ(config->lock, LockBackend::iptables);
  EXPECT_EQ(config->scope, Scope::node);
  EXPECT_EQ(config->group, "shop");
  EXPECT_EQ(config->member, "db");
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_EQ(config->in_doubt, milliseconds(20'000));
}

TEST(AgentConfig, DerivesWhereReleasesComeFrom) {
  const auto config = parse_agent_config("broker: 'tcp://[fd00::9]:7600'", "agent.yaml");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->releases, "tcp://[fd00::9]:7601");
}

TEST(AgentConfig, TellsWhatWasExpected) {
  struct Row {
    const char* yaml;
    const char* says;
  };
  for (const Row& row : {Row{"brokr: x", "did you mean \"broker\"?"}, Row{"broker: 10.0.0.1:7600", "must be tcp://HOST:PORT"},
                         Row{"broker: tcp://10.0.0.1:65535", "releases"}, Row{"lock: nft", "auto, nftables, iptables"},
                         Row{"pod: host", "self, node"}, Row{"pod: relay", "self, node"}, Row{"group: a b", "not a valid name"},
                         Row{"member: ../db", "not a valid name"}, Row{"key: here", "absolute path"},
                         Row{"hook_group: a b", "no name of a group"}, Row{"in_doubt: 10", "duration"},
                         Row{"in_doubt: 100ms", "from 1s to 24h"}}) {
    const auto config = parse_agent_config(row.yaml, "agent.yaml");
    ASSERT_FALSE(config) << row.yaml;
    EXPECT_NE(config.error().message().find(row.says), std::string::npos) << config.error().message();
  }
}

}  // namespace
}  // namespace lockstep::agent
