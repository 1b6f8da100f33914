#include <gtest/gtest.h>

#include "tests/unit/connections/tables.hpp"

namespace lockstep {
namespace {

using broker::testing::at;

TEST(EndpointText, WritesBothFamilies) {
  EXPECT_EQ(endpoint_text(at("10.0.0.1", 80)), "10.0.0.1:80");
  EXPECT_EQ(endpoint_text(at("fd00::1", 80)), "[fd00::1]:80");
  EXPECT_EQ(endpoint_text(at("0.0.0.0", 80)), "*:80");
  EXPECT_EQ(endpoint_text(at("::", 80)), "*:80");
  EXPECT_EQ(endpoint_text(at("10.0.0.1", 0)), "10.0.0.1:*");
}

TEST(EndpointText, WritesConnections) {
  EXPECT_EQ(connection_text(broker::testing::socket(at("10.0.0.1", 5000), at("10.0.0.2", 80))),
            "10.0.0.1:5000 > 10.0.0.2:80");
  EXPECT_EQ(connection_text(broker::testing::listener(at("fd00::2", 80))), "[fd00::2]:80 (listen)");
}

TEST(EndpointText, ParsesAddresses) {
  EXPECT_EQ(parse_address("::ffff:10.0.0.1"), parse_address("10.0.0.1"));
  EXPECT_EQ(parse_address("fd00::1")->family, IpFamily::v6);
  for (const std::string text : {"", "10.0.0", "10.0.0.1:80", "[::1]", "fe80::1%eth0", "host", " 10.0.0.1"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
  EXPECT_FALSE(parse_address(std::string("10.0.0.1\0x", 10)));
}

TEST(EndpointText, TellsLoopback) {
  for (const char* text : {"127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(is_loopback(at(text, 1)));
  for (const char* text : {"128.0.0.1", "10.127.0.1", "::2", "1::1", "::"}) EXPECT_FALSE(is_loopback(at(text, 1)));
}

}  // namespace
}  // namespace lockstep
