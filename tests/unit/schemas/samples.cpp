#include "tests/unit/schemas/samples.hpp"

#include <limits>

namespace lockstep::test {
namespace {

const PodId kPod{"0a0b0c0d-1111-2222-3333-444455556666", 4'026'532'999};

Endpoint endpoint(IpFamily family, std::uint8_t first, std::uint16_t port) {
  Endpoint end{family, {}, port};
  end.address.fill(first);
  return end;
}

ClosedConnections some_closed() { return {3, 1, 400, 50}; }

ConnectionPolicy a_policy() {
  const AllowRule rule{true, IpFamily::v6, endpoint(IpFamily::v6, 0x20, 0).address, 48, 53, 54};
  return {ExternalPolicy::keep, AmbiguousPolicy::refuse, RevalidationPolicy::warn, {rule}};
}

InterfaceAddress an_address() { return {"eth0", IpFamily::v6, endpoint(IpFamily::v6, 0xfd, 0).address, 64}; }

CommandResult a_command() { return {CommandMoment::frozen, "cp -a data copy", true, 120, "copied"}; }

MemberStatus a_member_status() {
  MemberStatus status{.id = MemberId("db"), .pod = kPod, .agent = "node-1/7", .phases = {}, .unlocked_us = 77,
                      .sockets = 12, .criu = CriuOutcome::failed, .detail = "Error (criu/mem.c:1): no space",
                      .connections = {1, 2, 3, 4, 5, 6, 7, 8, some_closed()}, .notes = {"cleared", "a table"},
                      .commands = {a_command()}};
  std::int64_t time = 100;
  for (PhaseTimes& phase : status.phases) phase = {time, time + 1, -1}, time += 10;
  return status;
}

Body order() {
  return Order{Phase::lock, Operation::restore, kPod, 4711, "/run/netns/pod", 15'001, {5, 6}, Blob{"rec\0ord"}, {a_socket()},
               {an_address()}};
}

Body round_status() {
  return RoundStatus{Operation::restore,
                     true,
                     RoundState::aborted,
                     Phase::commit,
                     "deadline",
                     MemberId("db"),
                     1'700'000'000'123,
                     {a_member_status(), a_member_status()},
                     {{"10.0.0.1:5000 > 10.0.0.2:80", MemberId("web"), "established", "gone"}},
                     900,
                     1'000,
                     true};
}

Body broker_status() {
  const AgentStatus agent{"node-1", Role::relay, "boot", {1, 2}, true, 250};
  const RoundSummary round{RoundId("r-9"), GroupId("shop"), Operation::restore, RoundState::complete, Phase::resume, 2,
                           1'700'000'000'123, "late", MemberId("web")};
  return BrokerStatus{"host-1-2", 123'456, {agent}, {round}, {1, 2, 3, 4, 5, 6, 7}};
}

}  // namespace

Socket a_socket() {
  return {endpoint(IpFamily::v6, 0xfe, 443), endpoint(IpFamily::v6, 0x20, 50'000), TcpState::close_wait, 123'456,
          0x1234'5678, 10, 2'896, 1000, 1'000'000, 2'000'000, true, 3};
}

Socket busy_socket() {
  return {endpoint(IpFamily::v6, 0xfd, 443), endpoint(IpFamily::v6, 0x20, 50'000), TcpState::established, 123'456'789,
          0x1234'5678, 100'000, 100'000, 100'000, 5'000'000'000, 5'000'000'000, true, 0};
}

Socket largest_socket() {
  constexpr auto k64 = std::numeric_limits<std::uint64_t>::max();
  constexpr auto k32 = std::numeric_limits<std::uint32_t>::max();
  return {endpoint(IpFamily::v6, 0xff, 65'535), endpoint(IpFamily::v6, 0xff, 65'535), TcpState::new_syn_recv, k64, k64,
          k32, k32, k32, k64, k64, true, k32};
}

NatEntry a_nat_entry() {
  return {endpoint(IpFamily::v4, 10, 40'000), endpoint(IpFamily::v4, 96, 80), endpoint(IpFamily::v6, 0x20, 8'080),
          endpoint(IpFamily::v6, 0x21, 50'000)};
}

NatEntry largest_nat_entry() {
  const Endpoint largest = endpoint(IpFamily::v6, 0xff, 65'535);
  return {largest, largest, largest, largest};
}

Record a_record() {
  return {RoundId("r-9"),
          GroupId("shop"),
          MemberId("db"),
          {MemberId("db"), MemberId("web")},
          kPod,
          4711,
          true,
          1'700'000'000'123,
          {an_address()},
          {a_socket()},
          {{ConnectionLabel::ambiguous, Doubt::counts_differ, 1, 0}},
          true,
          {{MemberId("web"), {busy_socket()}, {{ConnectionLabel::internal, Doubt::none, 0, 0}}}}};
}

std::vector<Message> every_message() {
  const Release release{Operation::restore, Phase::commit, Verdict::go, "because", MemberId("web"), true, true};
  const HookEvent event{
      HookAction::post_restore, kPod, 99, 123'456'789, 4711, "c0ffee", {7, 8, 9}, Blob{"record"}, true, "4c3f1a2b-uid",
      {MemberId("cache")}};
  const OpenRound open{
      Operation::restore, true,   {{MemberId("db"), kPod, "/run/netns/p", "c0ffee", a_policy(), true, "4c3f1a2b-uid"}},
      {1, 2, 3, 4},       20'000, a_policy(),
      MemberOrder::serial};
  const std::vector<Body> bodies{
      Hello{Role::relay, "node-1", "boot", {1, 2}, true, {RoundId("r-1"), RoundId("r-2")}, {RoundId("r-2")}},
      Welcome{"host-1-2", 500, 3'000, 17},
      Heartbeat{{RoundId("r-1")}},
      Refused{"unknown", true},
      event,
      HookGone{HookAction::network_unlock},
      order(),
      release,
      Pending{Phase::unlock, 1'234},
      Ready{Phase::lock,
            true,
            "why",
            {an_address()},
            {a_socket(), largest_socket()},
            some_closed(),
            {"cleared"},
            {a_nat_entry(), largest_nat_entry()}},
      open,
      AbortRound{"changed my mind"},
      MemberResult{true, "all well"},
      GetRound{},
      GetStatus{},
      round_status(),
      broker_status(),
      Alive{},
      Store{Blob{std::string("\0\xff", 2)}},
      Stored{true, "disk full"},
      Answer{Verdict::go, "because"},
      GetHistory{7},
      History{std::get<BrokerStatus>(broker_status()).rounds},
      CriuGone{4711, 123'456'789},
      CommandReport{CommandMoment::resume, CommandState::failed, {a_command()}},
  };
  std::vector<Message> messages;
  for (const Body& body : bodies) {
    messages.push_back({RoundId("r-9"), GroupId("shop"), MemberId("db"), 1'000'000'007, body});
  }
  return messages;
}

}  // namespace lockstep::test
