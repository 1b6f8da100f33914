#include "common/endpoints.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Endpoints, AreTakenApartAndPutTogether) {
  for (const char* text : {"tcp://10.0.0.1:7600", "tcp://broker.example:1", "tcp://[::1]:7600", "tcp://*:65535",
                           "tcp://[fe80::1%eth0]:7600", "ipc:///run/lockstep-broker/broker.sock"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->text(), text);
  }
  const auto endpoint = parse_endpoint("tcp://[::1]:7600");
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->host, "::1");
  EXPECT_EQ(endpoint->port, 7600);
  EXPECT_TRUE(endpoint->is_ipv6());
}

TEST(Endpoints, RefuseWhatIsNone) {
  for (const char* text : {"",
                           "10.0.0.1:7600",
                           "tcp:/10.0.0.1:7600",
                           "tcp://",
                           "tcp://:7600",
                           "tcp://host",
                           "tcp://host:",
                           "tcp://host:0",
                           "tcp://host:65536",
                           "tcp://host:http",
                           "tcp://host:-1",
                           "tcp://host:1 ",
                           "tcp://::1:7600",
                           "tcp://[::1]",
                           "tcp://[]:1",
                           "tcp://[zz]:1",
                           "tcp://ho st:1",
                           "tcp://-h:1",
                           "udp://host:1",
                           "inproc://x",
                           "ipc://",
                           "ipc://relative",
                           "ipc:///",
                           "ipc:///folder/",
                           "ipc://@", "ipc://@lockstep",
                           "IPC:///x",
                           "tcp://h;h:1"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
  EXPECT_FALSE(parse_endpoint("ipc:///" + std::string(120, 'x')));
  EXPECT_FALSE(parse_endpoint(std::string("ipc:///a\0b", 10)));
}

TEST(Endpoints, PublishNextDoor) {
  EXPECT_EQ(*publish_endpoint_of("tcp://h:7600"), "tcp://h:7601");
  EXPECT_EQ(*publish_endpoint_of("tcp://[::1]:7600"), "tcp://[::1]:7601");
  EXPECT_EQ(*publish_endpoint_of("ipc:///run/b.sock"), "ipc:///run/b.sock.pub");
  EXPECT_FALSE(publish_endpoint_of("tcp://h:65535"));
  EXPECT_FALSE(publish_endpoint_of("nonsense"));
  EXPECT_FALSE(publish_endpoint_of("ipc:///" + std::string(103, 'x')));  // ".pub" has no room
}

TEST(Endpoints, KnowWhatStaysOnThisMachine) {
  for (const char* text :
       {"tcp://127.0.0.1:1", "tcp://127.9.9.9:1", "tcp://localhost:1", "tcp://[::1]:1", "ipc:///x"}) {
    EXPECT_TRUE(is_loopback(text)) << text;
  }
  for (const char* text :
       {"tcp://10.0.0.1:1", "tcp://*:1", "tcp://[::]:1", "tcp://0.0.0.0:1", "tcp://127.evil.example:1",
        "tcp://localhost.example:1", "tcp://[::ffff:127.0.0.1]:1", "tcp://128.0.0.1:1", "nonsense"}) {
    EXPECT_FALSE(is_loopback(text)) << text;
  }
}

TEST(Endpoints, TheDefaultIsOne) {
  EXPECT_TRUE(parse_endpoint(kDefaultBroker));
  EXPECT_TRUE(publish_endpoint_of(kDefaultBroker));
}

}  // namespace
}  // namespace lockstep
