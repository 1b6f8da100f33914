/// The real program beside the files of criu-coordinator.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/hook/hook_scenes.hpp"

namespace lockstep::hook::test {
namespace {

constexpr const char* kOwn = R"({"id": "db", "dependencies": "web:queue", "address": "127.0.0.1", "port": "7600"})";

/// Nobody has named the member, and the machine's file is one of the test's own.
struct CoordinatedPlace : HookPlace {
  TempDir etc;
  explicit CoordinatedPlace(const std::string& action) : HookPlace(action) {
    environment["LOCKSTEP_COORDINATOR_CONFIG"] = etc / "criu-coordinator.json";
  }
  void write_own(const std::string& text) const { write_file(images / "criu-coordinator.json", text); }
  void write_common(const std::string& text) const { write_file(etc / "criu-coordinator.json", text); }
  void write_record() const {
    Record record;
    record.round = RoundId("r-dump");
    record.group = GroupId("db-0123abcd");
    record.member = MemberId("db");
    record.members = {MemberId("db"), MemberId("web")};
    write_file(images / kRecordFile, encode_record(record));
  }
};

/// What the hook calls itself: "group/member" and those it names.
std::string said_by(const HookPlace& place) {
  std::string said;
  const FakeAgent agent(place.node_socket(), [&said](HookPeer& hook) {
    const auto message = hook.next();
    ASSERT_TRUE(message);
    const auto* event = std::get_if<HookEvent>(&message->body);
    ASSERT_NE(event, nullptr);
    said = message->group.value + "/" + message->member.value + ":";
    for (const MemberId& id : event->dependencies) said += " " + id.value;
    answer(hook, Verdict::go);
  });
  expect_success(place.run());
  std::filesystem::remove(place.node_socket());
  return said;
}

std::string own_process_name() {
  std::string name = read_file("/proc/self/comm");
  name.pop_back();
  return name;
}

TEST(HookCoordinator, TakesIdAndDependenciesFromTheImagesFolder) {
  for (const char* action : {"pre-dump", "network-lock"}) {
    const CoordinatedPlace place(action);
    place.write_own(kOwn);
    EXPECT_EQ(said_by(place), "/db: db queue web") << action;
  }
}

TEST(HookCoordinator, TakesThemFromTheMachinesFileByTheProcesssName) {
  const CoordinatedPlace place("pre-dump");
  place.write_common("{\"dependencies\": {\"" + own_process_name() + "\": [\"web\"], \"queue\": [\"web\"]}}");
  const std::string said = said_by(place);
  // In a container it is its id that counts.
  if (said != "/:") {
    EXPECT_EQ(said, "/" + own_process_name() + ": " + own_process_name() + " queue web");
  }
}

TEST(HookCoordinator, TheFoldersOwnFileGoesFirst) {
  const CoordinatedPlace place("pre-dump");
  place.write_own(kOwn);
  place.write_common(R"({"dependencies": {"db": ["other"]}})");
  EXPECT_EQ(said_by(place), "/db: db queue web");
}

TEST(HookCoordinator, LockstepsOwnNamesGoBeforeThem) {
  CoordinatedPlace place("pre-dump");
  place.write_own("not even JSON");
  write_file(place.images / kMemberFile, "group: shop\nmember: web\n");
  EXPECT_EQ(said_by(place), "shop/web:");
  place.environment["LOCKSTEP_MEMBER"] = "queue";
  EXPECT_EQ(said_by(place), "shop/queue:");
}

TEST(HookCoordinator, OnRestoreTheRecordTellsWhoBelongsTogether) {
  for (const bool own : {true, false}) {
    const CoordinatedPlace place("pre-restore");
    own ? place.write_own(kOwn) : place.write_common(R"({"dependencies": {}})");
    place.write_record();
    EXPECT_EQ(said_by(place), "db-0123abcd/db: db web");
  }
  const CoordinatedPlace without("pre-restore");
  without.write_record();
  EXPECT_EQ(said_by(without), "db-0123abcd/db:") << "nobody here has moved from criu-coordinator";
}

TEST(HookCoordinator, AFileThatIsWrongStopsTheDump) {
  const CoordinatedPlace place("pre-dump");
  place.write_own("{\"id\": ");
  expect_refusal(place.run(), "criu-coordinator.json: not a JSON object");
  const CoordinatedPlace other("pre-dump");
  other.write_common("[]");
  expect_refusal(other.run(), "criu-coordinator.json: not a JSON object");
}

TEST(HookCoordinator, ItsAddressIsTheBrokersWhereThereIsNoAgent) {
  CoordinatedPlace place("pre-dump");
  place.environment.erase("LOCKSTEP_BROKER");
  // A port where nobody listens: the relay says whom it has looked for.
  place.write_own(R"({"id": "db", "address": "127.0.0.1", "port": 9})");
  place.environment["LOCKSTEP_HOOK_SILENCE_MS"] = "700";
  const HookOutcome outcome = place.run();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.log.find("tcp://127.0.0.1:9"), std::string::npos) << outcome.log;
}

}  // namespace
}  // namespace lockstep::hook::test
