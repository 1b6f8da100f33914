/// What the tests of single connections share: members that are lockstep-sockets, and reports as JSON.
#pragma once

#include <map>
#include <nlohmann/json.hpp>

#include "tests/e2e/end_to_end.hpp"
#include "tests/e2e/harness/held_sockets.hpp"

namespace lockstep::e2e {

using nlohmann::json;

inline constexpr auto kAtOnce = 1s;

inline auto has_received(std::uint64_t bytes) {
  return [bytes](const HeldSocket& socket) { return socket.received >= bytes; };
}
inline bool has_failed(const HeldSocket& socket) { return socket.state == "failed"; }
/// The other end has closed it, or is gone.
inline bool is_told(const HeldSocket& socket) { return socket.end_of_file || socket.state == "failed"; }

class Connections : public EndToEnd {
 protected:
  /// Runs `lockstep` with --output json; the report, null when it is none.
  static json report_of(const Cluster& cluster, std::vector<std::string> command, int exit_code) {
    command.insert(command.end(), {"--output", "json"});
    const CommandResult result = cluster.lockstep(command);
    json report = json::parse(result.out, nullptr, false);
    EXPECT_FALSE(report.is_discarded()) << result.out << result.err;
    EXPECT_EQ(result.exit_code, exit_code) << result.out << result.err;
    return report;
  }

  /// What the report says of a member.
  static json of_member(const json& report, const std::string& id) {
    for (const json& member : report.value("members", json::array())) {
      if (member.at("id") == id) return member;
    }
    ADD_FAILURE() << "nothing about " << id << " in " << report.dump(1);
    return json::object();
  }

  /// The member's connections: those given, and none of any other kind.
  static void expect_counts(const json& report, const std::string& id, const std::map<std::string, int>& expected) {
    const json connections = of_member(report, id).value("connections", json::object());
    std::map<std::string, int> found;
    for (const auto& [kind, count] : connections.items()) {
      if (count != 0) found[kind] = count;
    }
    EXPECT_EQ(found, expected) << id;
  }

  static std::vector<GroupMember> group_of(std::initializer_list<const HeldSockets*> members) {
    std::vector<GroupMember> group;
    for (const HeldSockets* member : members) group.push_back({.id = member->id()});
    return group;
  }

  /// Checkpoints and kills; returns the report when the pids are free.
  static json dump_and_kill(const Cluster& cluster, const std::string& group,
                            std::initializer_list<const HeldSockets*> members) {
    const json report = report_of(cluster, {"checkpoint", group}, 0);
    for (const HeldSockets* member : members) {
      EXPECT_TRUE(wait_until([&] { return !exists(member->pid()); }, 10s)) << member->id() << " lives on";
    }
    return report;
  }
  using EndToEnd::dump_and_kill;

  /// A connection that is alive: each end gets what the other one sends, in order.
  static void expect_alive(HeldSockets& one, const std::string& end, HeldSockets& other, const std::string& other_end) {
    constexpr std::uint64_t kBytes = 10'000;
    const std::uint64_t to_other = other.socket(other_end).received + kBytes;
    const std::uint64_t to_one = one.socket(end).received + kBytes;
    one.tell("send " + end + " " + std::to_string(kBytes));
    other.tell("send " + other_end + " " + std::to_string(kBytes));
    expect_received(other, other_end, to_other);
    expect_received(one, end, to_one);
  }

  /// So many bytes in all, and each the right one.
  static void expect_received(const HeldSockets& by, const std::string& end, std::uint64_t bytes) {
    const auto socket = by.await(end, has_received(bytes));
    ASSERT_TRUE(socket.has_value()) << by.id() << " has no " << end;
    EXPECT_EQ(socket->received, bytes) << by.id() << ": " << *socket;
    EXPECT_FALSE(socket->corrupt) << by.id() << ": " << *socket;
  }

  /// The application gets ECONNABORTED, and its peer is told.
  static void expect_closed(const HeldSockets& member, const std::string& end, const HeldSockets& peer,
                            const std::string& peer_end) {
    const auto own = member.await(end, has_failed, kAtOnce);
    ASSERT_TRUE(own.has_value()) << member.id() << " has no " << end;
    EXPECT_EQ(own->error, "ECONNABORTED") << member.id() << ": " << *own;
    const auto other = peer.await(peer_end, is_told, kAtOnce);
    ASSERT_TRUE(other.has_value()) << peer.id() << " has no " << peer_end;
    EXPECT_TRUE(is_told(*other)) << peer.id() << ": " << *other;
  }

  static void expect_good_end(Cluster& cluster, std::initializer_list<const HeldSockets*> applications) {
    std::vector<pid_t> pids;
    for (const HeldSockets* each : applications) {
      EXPECT_TRUE(exists(each->pid())) << each->id() << " has ended";
      pids.push_back(each->pid());
    }
    expect_nothing_left(cluster, pids);
  }
  using EndToEnd::expect_good_end;
};

}  // namespace lockstep::e2e
