/// broker.yaml: what is filled in, and what is refused in words that help.
#include "broker/broker_config.hpp"

#include <gtest/gtest.h>

namespace lockstep::broker {
namespace {

using Texts = std::vector<std::string>;

BrokerConfig good(const std::string& yaml) {
  const auto config = parse_broker_config(yaml, "broker.yaml");
  EXPECT_TRUE(config) << config.error().message();
  return config.value_or(BrokerConfig{});
}

TEST(BrokerConfig, OfAnEmptyFileListensOnASocketOfThisMachine) {
  const BrokerConfig config = good("");
  EXPECT_EQ(config.listen, Texts{"ipc:///run/lockstep-broker/broker.sock"});
  EXPECT_EQ(config.publish, Texts{"ipc:///run/lockstep-broker/broker.sock.pub"});
  EXPECT_EQ(config.heartbeat, milliseconds(500));
  EXPECT_EQ(config.silence, milliseconds(3'000));
}

TEST(BrokerConfig, PublishesNextToWhereItListens) {
  const BrokerConfig config = good("listen: [tcp://127.0.0.1:7600, 'tcp://[::1]:7700']");
  EXPECT_EQ(config.publish, (Texts{"tcp://127.0.0.1:7601", "tcp://[::1]:7701"}));
  EXPECT_EQ(good("listen: tcp://127.0.0.1:7600\npublish: tcp://localhost:9000").publish, Texts{"tcp://localhost:9000"});
}

TEST(BrokerConfig, ListensElsewhereOnlyWithKeys) {
  for (const char* address : {"0.0.0.0", "*", "10.0.0.1", "192.168.1.5", "128.0.0.1", "broker.example", "127.evil.example"}) {
    const std::string listen = "listen: 'tcp://" + std::string(address) + ":7600'\n";
    const auto refused = parse_broker_config(listen, "broker.yaml");
    ASSERT_FALSE(refused) << address;
    const std::string message = refused.error().message();
    for (const std::string& part : {std::string("broker.yaml:1: listen"), std::string(address), std::string("no keys"),
                                    std::string("lockstep keys init")}) {
      EXPECT_NE(message.find(part), std::string::npos) << message;
    }
    EXPECT_TRUE(parse_broker_config(listen + "keys: /etc/somewhere", "broker.yaml")) << address;
    EXPECT_FALSE(parse_broker_config(listen + "keys: none", "broker.yaml")) << address;
    EXPECT_FALSE(parse_broker_config(listen + "trusted: ['" + address + "']", "broker.yaml")) << "there was such a way once";
  }
  EXPECT_FALSE(parse_broker_config("listen: 'tcp://[fd00::1]:7600'", "b"));
  EXPECT_FALSE(parse_broker_config("listen: tcp://127.0.0.1:7600\npublish: tcp://10.0.0.1:7601", "b"))
      << "the releases are as dangerous as the commands";
}

TEST(BrokerConfig, TellsTheLineAndWhatWasExpected) {
  struct Row {
    const char* yaml;
    const char* says;
  };
  for (const Row& row :
       {Row{"lisen: tcp://127.0.0.1:1", "unknown key \"lisen\", did you mean \"listen\"?"},
        Row{"listen: http://127.0.0.1:1", "must be tcp://HOST:PORT or ipc:///PATH"},
        Row{"listen: tcp://127.0.0.1", "the port is missing"}, Row{"listen: tcp://127.0.0.1:0", "from 1 to 65535"},
        Row{"listen: ipc://broker.sock", "absolute path"}, Row{"listen: {a: b}", "list of texts"},
        Row{"heartbeat: 5", "duration"}, Row{"heartbeat: 1ms", "from 50ms to 1m"},
        Row{"heartbeat: 2s\nsilence: 3s", "at least twice the heartbeat"}, Row{"silence: 1h", "from 200ms to 10m"},
        Row{"keys: here", "absolute path"}, Row{"ipc_group: a b", "no name of a group"}, Row{"listen: [", "not YAML"}, Row{"- a", "expected \"key: value\" lines"},
        Row{"heartbeat: 1s\nheartbeat: 1s", "occurs twice"}}) {
    const auto config = parse_broker_config(row.yaml, "broker.yaml");
    ASSERT_FALSE(config) << row.yaml;
    EXPECT_NE(config.error().message().find(row.says), std::string::npos) << config.error().message();
    EXPECT_EQ(config.error().message().rfind("broker.yaml", 0), 0U) << config.error().message();
  }
}

TEST(BrokerConfig, ThatIsNotThereIsNamed) {
  const auto config = load_broker_config("/nonexistent/broker.yaml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::not_found);
  EXPECT_NE(config.error().message().find("/nonexistent/broker.yaml"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::broker
