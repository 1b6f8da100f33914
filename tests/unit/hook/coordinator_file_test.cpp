/// criu-coordinator.json in both forms.
#include "agent/hook/coordinator_file.hpp"

#include <gtest/gtest.h>

namespace lockstep::hook {
namespace {

using Names = std::vector<std::string>;

Names names_of(const CoordinatorEntry& entry) {
  Names names;
  for (const MemberId& id : entry.dependencies) names.push_back(id.value);
  return names;
}

CoordinatorEntry own(const std::string& text) {
  const auto entry = parse_coordinator_file(text, "criu-coordinator.json");
  EXPECT_TRUE(entry) << entry.error().message();
  return entry.value_or(CoordinatorEntry{});
}

CoordinatorEntry common(const std::string& text, const std::string& who) {
  const auto entry = parse_coordinator_config(text, "/etc/criu/criu-coordinator.json", who);
  EXPECT_TRUE(entry) << entry.error().message();
  return entry.value_or(CoordinatorEntry{});
}

TEST(TheFileOfAnImagesFolder, NamesTheMemberAndThoseItDependsOn) {
  const auto entry =
      own(R"({"id": "A", "dependencies": "C:B", "address": "10.0.0.1", "port": "7600", "log-file": "x.log"})");
  EXPECT_EQ(entry.id, MemberId("A"));
  EXPECT_EQ(names_of(entry), (Names{"A", "B", "C"}));
  EXPECT_EQ(entry.broker, "tcp://10.0.0.1:7600");
}

TEST(TheFileOfAnImagesFolder, MayLeaveOutAllButTheId) {
  EXPECT_EQ(names_of(own(R"({"id": "A"})")), Names{"A"});
  EXPECT_EQ(own(R"({"id": "A"})").broker, "") << "what nobody has named is nobody's address";
  EXPECT_EQ(names_of(own(R"({"id": "test", "dependencies": "test"})")), Names{"test"});
  EXPECT_EQ(names_of(own(R"({"id": "A", "dependencies": ":B::"})")), (Names{"A", "B"}));
}

TEST(TheAddress, IsAnEndpoint) {
  EXPECT_EQ(own(R"({"id": "A", "address": "broker.example"})").broker, "tcp://broker.example:8080");
  EXPECT_EQ(own(R"({"id": "A", "port": 7600})").broker, "tcp://127.0.0.1:7600");
  EXPECT_EQ(own(R"({"id": "A", "address": "fd00::1", "port": "7600"})").broker, "tcp://[fd00::1]:7600");
  EXPECT_EQ(own(R"({"id": "A", "address": "[fd00::1]", "port": "7600"})").broker, "tcp://[fd00::1]:7600");
}

TEST(TheFileOfAnImagesFolder, IsRefusedWhereItIsWrong) {
  struct Row {
    const char* text;
    const char* says;
  };
  for (const Row& row :
       {Row{"", "not a JSON object"}, Row{"[]", "not a JSON object"}, Row{"{\"id\": \"A\"", "not a JSON object"},
        Row{"{}", "the id \"\" must be"}, Row{R"({"id": "../x"})", "the id \"../x\" must be"},
        Row{R"({"id": ["A"]})", "id must be a text"},
        Row{R"({"id": "A", "dependencies": ["B"]})", "dependencies must be a text"},
        Row{R"({"id": "A", "dependencies": "B:C D"})", "the id \"C D\" must be"},
        Row{R"({"id": "A", "port": -1})", "port must be a text"}}) {
    const auto entry = parse_coordinator_file(row.text, "criu-coordinator.json");
    ASSERT_FALSE(entry) << row.text;
    EXPECT_NE(entry.error().message().find(row.says), std::string::npos) << entry.error().message();
    EXPECT_NE(entry.error().message().find("criu-coordinator.json"), std::string::npos);
  }
}

constexpr const char* kConfig = R"({
  "address": "127.0.0.1", "port": "7600", "log-file": "/var/log/c.log",
  "dependencies": {"A": ["B", "C"], "B": ["C", "A"], "C": ["A"], "lonely": [], "x1": ["x2"], "x3": ["x2"]}
})";

TEST(TheFileOfTheMachine, ConnectsWhoeverNamesWhom) {
  EXPECT_EQ(names_of(common(kConfig, "A")), (Names{"A", "B", "C"}));
  EXPECT_EQ(names_of(common(kConfig, "C")), (Names{"A", "B", "C"}));
  EXPECT_EQ(names_of(common(kConfig, "lonely")), Names{"lonely"});
  EXPECT_EQ(names_of(common(kConfig, "x1")), (Names{"x1", "x2", "x3"})) << "one way is enough";
  EXPECT_EQ(names_of(common(kConfig, "x2")), (Names{"x1", "x2", "x3"}))
      << "who is only named has no key, and belongs to them";
  EXPECT_EQ(common(kConfig, "x2").id, MemberId("x2"));
}

TEST(TheFileOfTheMachine, FindsAContainerByTheBeginningOfItsId) {
  const std::string database = "3f" + std::string(62, 'a');
  const std::string web = "3f0" + std::string(61, 'b');
  const std::string config = R"({"dependencies": {"3f": [")" + web + R"("], "3f0": ["3f"]}})";
  EXPECT_EQ(common(config, database).id, MemberId("3f"));
  EXPECT_EQ(common(config, web).id, MemberId("3f0"));
  EXPECT_EQ(names_of(common(config, web)), (Names{"3f", "3f0"})) << "named in full by the other one, it is the same";
  const std::string whole = R"({"dependencies": {"3faa": [")" + web + R"("], ")" + web + R"(": ["3faaa"]}})";
  EXPECT_EQ(names_of(common(whole, database)), (Names{web, "3faa"}));
  EXPECT_EQ(names_of(common(whole, web)), (Names{web, "3faa"})) << "the same set, whichever way it is named";
}

TEST(TheFileOfTheMachine, WithoutAnEntryNamesNobody) {
  const auto entry = common(kConfig, "someone");
  EXPECT_TRUE(entry.id.empty());
  EXPECT_TRUE(entry.dependencies.empty());
  EXPECT_EQ(entry.broker, "tcp://127.0.0.1:7600") << "but the broker is everybody's";
  EXPECT_TRUE(common(kConfig, "").id.empty());
}

TEST(TheFileOfTheMachine, IsRefusedWhereItIsWrong) {
  for (const char* text : {"", "{}", R"({"dependencies": []})", R"({"dependencies": {"A": "B"}})",
                           R"({"dependencies": {"A": [1]}})", R"({"dependencies": {"A": ["b c"]}})"}) {
    EXPECT_FALSE(parse_coordinator_config(text, "config", "A")) << text;
  }
}

}  // namespace
}  // namespace lockstep::hook
