#include "common/config.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace lockstep {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

TEST(Duration, IsReadWithItsUnit) {
  const std::vector<std::pair<std::string, milliseconds>> good{
      {"250ms", 250ms}, {"10s", 10s}, {"5m", 5min}, {"1h", 1h}, {"0s", 0ms}, {"24h", 24h}, {"576h", 576h}};
  for (const auto& [text, value] : good) {
    const auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, value) << text;
  }
}

TEST(Duration, RefusesEverythingElse) {
  for (const char* text : {"", "10", "s", "-1s", "1.5s", "10 s", "10S", "1d", "10sx", " 10s", "577h",
                           "99999999999999999999ms", "9223372036854775807h", "ten seconds", "+5s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, IsWrittenInTheLargestUnitThatFits) {
  EXPECT_EQ(format_duration(0ms), "0s");
  EXPECT_EQ(format_duration(250ms), "250ms");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(120s), "2m");
  EXPECT_EQ(format_duration(3600s), "1h");
  for (const auto value : {1ms, 999ms, 1000ms, 59'999ms, 60'000ms, 3'600'000ms}) {
    EXPECT_EQ(*parse_duration(format_duration(value)), value);
  }
}

TEST(NearestWord, FindsTheTypo) {
  const std::vector<std::string_view> keys{"images", "pid", "pidfile", "criu_options"};
  EXPECT_EQ(nearest_word("image", keys), "images");
  EXPECT_EQ(nearest_word("iamges", keys), "images");
  EXPECT_EQ(nearest_word("pidFile", keys), "pidfile");
  EXPECT_EQ(nearest_word("criu-options", keys), "criu_options");
  EXPECT_EQ(nearest_word("wholly_different", keys), "");
  EXPECT_EQ(nearest_word(std::string(10'000, 'x'), keys), "");
}

enum class Lock { automatic, nftables };

struct Settings {
  std::string name = "default";
  bool on = false;
  std::uint16_t port = 1;
  milliseconds wait{5s};
  std::vector<std::string> list;
  Lock lock = Lock::automatic;
  std::uint32_t inner = 0;
};

/// Every getter once. The result is the error's text, or nothing.
std::string read(const std::string& yaml, Settings& settings) {
  auto config = Config::parse(yaml, "file.yaml");
  if (!config) return config.error().message();
  config->text("name", settings.name);
  config->flag("on", settings.on);
  config->number("port", settings.port, 1, 1000);
  config->duration("wait", settings.wait, 1s, 1min);
  config->texts("list", settings.list);
  config->choice("lock", settings.lock, {{"auto", Lock::automatic}, {"nftables", Lock::nftables}});
  if (auto section = config->section("section")) section->number("inner", settings.inner, 0, 9);
  for (auto& item : config->sections("items")) {
    item.require("id");
    std::string id;
    item.text("id", id);
  }
  const auto done = config->finish();
  return done ? "" : done.error().message();
}

TEST(Config, LeavesDefaultsWhereNothingIsSaid) {
  for (const char* yaml : {"", "# only a comment\n", "---\n", "{}"}) {
    Settings settings;
    EXPECT_EQ(read(yaml, settings), "") << yaml;
    EXPECT_EQ(settings.name, "default");
    EXPECT_EQ(settings.wait, 5s);
  }
}

TEST(Config, ReadsAllKinds) {
  Settings settings;
  EXPECT_EQ(read("name: n\non: yes\nport: 1000\nwait: 2s\nlist: [a, b]\nlock: nftables\nsection: {inner: 7}\n"
                 "items: [{id: x}, {id: y}]\n",
                 settings),
            "");
  EXPECT_EQ(settings.name, "n");
  EXPECT_TRUE(settings.on);
  EXPECT_EQ(settings.port, 1000);
  EXPECT_EQ(settings.wait, 2s);
  EXPECT_EQ(settings.list, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(settings.lock, Lock::nftables);
  EXPECT_EQ(settings.inner, 7U);
}

TEST(Config, NamesFileLineAndField) {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"name: n\nport: x\n", "file.yaml:2: port: expected a number from 1 to 1000, got \"x\""},
      {"port: 0\n", "file.yaml:1: port: expected a number from 1 to 1000, got \"0\""},
      {"port: 1001\n", "file.yaml:1: port: expected a number from 1 to 1000, got \"1001\""},
      {"port: 1.5\n", "file.yaml:1: port: expected a number from 1 to 1000, got \"1.5\""},
      {"port:\n", "file.yaml:1: port: expected a number from 1 to 1000, got nothing"},
      {"name: [a]\n", "file.yaml:1: name: expected a text, got a list"},
      {"name:\n", "file.yaml:1: name: expected a text, got nothing"},
      {"on: maybe\n", "file.yaml:1: on: expected true or false, got \"maybe\""},
      {"wait: 10\n", "file.yaml:1: wait: duration \"10\": the unit is missing: 250ms, 10s, 5m or 1h"},
      {"wait: 2m\n", "file.yaml:1: wait: expected a duration from 1s to 1m, got \"2m\""},
      {"list: a\n", "file.yaml:1: list: expected a list of texts, got \"a\""},
      {"list: [a, {b: c}]\n", "file.yaml:1: list: item 1: expected a text, got a mapping"},
      {"lock: nft\n", "file.yaml:1: lock: expected one of auto, nftables, got \"nft\""},
      {"section: 5\n", "file.yaml:1: section: expected \"key: value\" pairs, got \"5\""},
      {"section:\n  inner: 10\n", "file.yaml:2: section.inner: expected a number from 0 to 9, got \"10\""},
      {"section:\n  iner: 1\n", "file.yaml:2: section: unknown key \"iner\", did you mean \"inner\"?"},
      {"items: {a: b}\n", "file.yaml:1: items: expected a list, got a mapping"},
      {"items:\n  - {id: x}\n  - 5\n", "file.yaml:3: items[1]: expected \"key: value\" pairs, got \"5\""},
      {"items:\n  - {id: x}\n  - {}\n", "file.yaml:3: items[1]: the key \"id\" is missing"},
      {"nmae: n\n", "file.yaml:1: unknown key \"nmae\", did you mean \"name\"?"},
      {"name: n\nname: m\n", "file.yaml:2: the key \"name\" occurs twice"},
      {"[a]: b\n", "file.yaml:1: a key must be a plain word"},
      {"just words\n", "file.yaml:1: expected \"key: value\" lines, got \"just words\""},
      {"a: b\n---\nc: d\n", "file.yaml: holds more than one document (\"---\")"},
  };
  for (const auto& [yaml, message] : bad) {
    Settings settings;
    EXPECT_EQ(read(yaml, settings), message) << yaml;
  }
}

TEST(Config, TellsWhereYamlIsBroken) {
  for (const char* yaml : {"a: [b\n", "a: b: c\n", "\t- x\n", "a: 'open\n", "a: *nobody\n", "%YAML 9.9\n"}) {
    Settings settings;
    const std::string message = read(yaml, settings);
    EXPECT_EQ(message.rfind("file.yaml", 0), 0U) << yaml << ": " << message;
  }
}

/// What the reader says of a text; empty when it takes it.
std::string complaint_about(const std::string& yaml) {
  const auto config = Config::parse(yaml, "f");
  return config ? "" : config.error().message();
}

TEST(Config, ComesToAnEndWithTextThatYamlCppDoesNot) {
  // YAML::LoadAll() takes documents out of this one for ever.
  EXPECT_NE(complaint_about("name: n\n, x: y\n"), "");
  EXPECT_NE(complaint_about("# comment\n, name: n\n"), "");
}

TEST(Config, RefusesWhatIsNestedTooDeep) {
  const std::string deep = std::string(33, '[') + std::string(33, ']');
  EXPECT_EQ(complaint_about("a: " + deep.substr(2, 62) + "\n"), "");
  EXPECT_EQ(complaint_about("a: " + deep + "\n"), "f:1: not YAML: nested deeper than 32 levels");
  for (const char* opening : {"[", "{a: ", "- ", "? "}) {
    std::string endless;
    for (int i = 0; i < 100'000; ++i) endless += opening;
    EXPECT_NE(complaint_about(endless), "") << opening;
  }
}

TEST(Config, RefusesAliasesThatGrow) {
  EXPECT_EQ(complaint_about("a: &x [b]\nc: *x\n"), "");
  EXPECT_EQ(complaint_about("a: &x [b, *x]\n"), "f:1: not YAML: an alias stands inside of what it names");
  // Each line has ten times the values of the one before.
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string former = "*a" + std::to_string(i - 1);
    const std::string name = "a" + std::to_string(i);
    laughs += name + ": &" + name + " [" + former;
    for (int n = 1; n < 10; ++n) laughs.append(", ").append(former);
    laughs += "]\n";
  }
  EXPECT_EQ(complaint_about(laughs), "f:5: not YAML: more than 100000 values");
}

TEST(Config, ReportsTheUnknownKeyRatherThanTheMissingOne) {
  auto config = Config::parse("imags: x\n", "f");
  ASSERT_TRUE(config);
  config->require("images");
  const auto done = config->finish();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message(), "f:1: unknown key \"imags\", did you mean \"images\"?");
}

TEST(Config, ToleratesWhatOtherProgramsFilesHold) {
  auto config = Config::parse("extra: {x: [1]}\nempty: \"\"\nnothing:\nlist: null\ninside: {more: 1, text: a}\nname: [b]\n", "f");
  ASSERT_TRUE(config);
  config->tolerate_others();
  std::string text = "default";
  config->text("empty", text);
  config->text("nothing", text);
  EXPECT_EQ(text, "default");
  EXPECT_TRUE(config->sections("list").empty());
  EXPECT_FALSE(config->section("nothing"));
  config->section("inside")->text("text", text);
  EXPECT_EQ(text, "a");
  config->text("name", text);
  const auto done = config->finish();
  ASSERT_FALSE(done) << "what is asked for has to be what it should be";
  EXPECT_EQ(done.error().message(), "f:6: name: expected a text, got a list");
}

TEST(Config, KeepsTheCallersComplaint) {
  auto config = Config::parse("a: 1\n\nb: 2\n", "f");
  ASSERT_TRUE(config);
  std::string text;
  config->text("a", text);
  config->text("b", text);
  config->complain("b", "does not please");
  config->complain("a", "comes too late");
  const auto done = config->finish();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message(), "f:3: b: does not please");
}

TEST(Config, SaysWhyAFileCannotBeRead) {
  const auto missing = Config::load("/nonexistent/file.yaml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_FALSE(Config::load("/proc/self"));  // a folder
}

TEST(Config, NumbersOfEveryWidth) {
  auto config = Config::parse("a: 255\nb: 4294967295\nc: 9223372036854775807\nd: -5\n", "f");
  ASSERT_TRUE(config);
  std::uint8_t a = 0;
  std::uint32_t b = 0;
  std::uint64_t c = 0;
  int d = 0;
  config->number("a", a);
  config->number("b", b);
  config->number("c", c);
  config->number("d", d, -5, -5);
  ASSERT_TRUE(config->finish());
  EXPECT_EQ(a, 255);
  EXPECT_EQ(b, 4294967295U);
  EXPECT_EQ(c, 9223372036854775807U);
  EXPECT_EQ(d, -5);
}

}  // namespace
}  // namespace lockstep
