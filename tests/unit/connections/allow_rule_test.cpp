#include "schemas/allow_rule.hpp"

#include <gtest/gtest.h>

#include "tests/unit/connections/tables.hpp"

namespace lockstep {
namespace {

using broker::testing::at;

TEST(AllowRule, ParsesWhatPeopleWrite) {
  const std::pair<const char*, const char*> cases[] = {
      {"10.0.0.0/8", "10.0.0.0/8"},
      {"10.1.2.3", "10.1.2.3"},
      {"10.1.2.3/32", "10.1.2.3"},
      {"10.1.2.3:443", "10.1.2.3:443"},
      {"10.0.0.0/8:443", "10.0.0.0/8:443"},
      {"10.0.0.0/8:8000-8100", "10.0.0.0/8:8000-8100"},
      {"10.0.0.0/8:80-80", "10.0.0.0/8:80"},
      {"[fd00::]/16", "[fd00::]/16"},
      {"fd00::/16", "[fd00::]/16"},
      {"fd00::7", "[fd00::7]"},
      {"[fd00::7]:443", "[fd00::7]:443"},
      {"[fd00::]/16:1-65535", "[fd00::]/16:1-65535"},
      {"*:53", "*:53"},
      {"*", "*"},
      {"0.0.0.0/0", "0.0.0.0/0"},
      {"[::]/0", "[::]/0"},
  };
  for (const auto& [text, shortest] : cases) {
    const auto rule = parse_allow_rule(text);
    ASSERT_TRUE(rule) << text << ": " << rule.error().message();
    EXPECT_EQ(allow_rule_text(*rule), shortest);
    EXPECT_EQ(*parse_allow_rule(allow_rule_text(*rule)), *rule) << text;
  }
}

TEST(AllowRule, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "write 10.0.0.0/8"},
      {"example.org:443", "is no IP address"},
      {"10.0.0.0/33", "the prefix is a number from 0 to 32"},
      {"[fd00::]/129", "the prefix is a number from 0 to 128"},
      {"10.0.0.0/", "the prefix is a number"},
      {"10.0.0.0/-1", "the prefix is a number"},
      {"10.1.2.3/8", "write 10.0.0.0/8 or one address"},
      {"10.1.2.3:", "a port is a number"},
      {"10.1.2.3:0", "a port is a number"},
      {"10.1.2.3:65536", "a port is a number"},
      {"10.1.2.3:80x", "a port is a number"},
      {"10.1.2.3:90-80", "begins behind its end"},
      {"10.1.2.3:80-", "a port is a number"},
      {"[fd00::1", "write 10.0.0.0/8"},
      {"[10.0.0.1]:80", "write 10.0.0.0/8"},
      {"[fd00::1]x", "write 10.0.0.0/8"},
      {"*/8", "takes no prefix"},
      {"::ffff:10.0.0.1", "write a v4-mapped address as IPv4: 10.0.0.1"},
      {":80", "is no IP address"},
  };
  for (const auto& [text, why] : cases) {
    const auto rule = parse_allow_rule(text);
    ASSERT_FALSE(rule) << text;
    EXPECT_NE(rule.error().message().find(why), std::string::npos) << text << ": " << rule.error().message();
  }
}

TEST(AllowRule, Matches) {
  const auto rule = [](const char* text) { return *parse_allow_rule(text); };
  EXPECT_TRUE(matches(rule("10.0.0.0/8"), at("10.255.1.2", 1)));
  EXPECT_FALSE(matches(rule("10.0.0.0/8"), at("11.0.0.0", 1)));
  EXPECT_TRUE(matches(rule("10.0.0.0/9"), at("10.127.1.2", 1)));
  EXPECT_FALSE(matches(rule("10.0.0.0/9"), at("10.128.1.2", 1)));
  EXPECT_TRUE(matches(rule("0.0.0.0/0"), at("1.2.3.4", 1)));
  EXPECT_FALSE(matches(rule("0.0.0.0/0"), at("fd00::1", 1)));
  EXPECT_TRUE(matches(rule("[fd00::]/16"), at("fd00:1::2", 1)));
  EXPECT_FALSE(matches(rule("[fd00::]/16"), at("fd01::2", 1)));
  EXPECT_TRUE(matches(rule("*:53"), at("fd01::2", 53)));
  EXPECT_FALSE(matches(rule("*:53"), at("10.0.0.1", 54)));
  EXPECT_TRUE(matches(rule("10.1.2.3:80-90"), at("10.1.2.3", 90)));
  EXPECT_FALSE(matches(rule("10.1.2.3:80-90"), at("10.1.2.3", 91)));
  AllowRule hostile = rule("10.0.0.0/8");
  hostile.prefix_length = 200;
  EXPECT_FALSE(matches(hostile, at("10.0.0.0", 1)));
}

}  // namespace
}  // namespace lockstep
