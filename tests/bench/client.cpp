#include "tests/bench/client.hpp"

#include <optional>
#include <stdexcept>
#include <utility>

#include "schemas/codec.hpp"

namespace lockstep::bench {
namespace {

constexpr milliseconds kPatience{10'000};
constexpr std::uint32_t kPhaseMs = 600'000;

}  // namespace

Client::Client(std::uint16_t router_port, const PeerKey* key) : connection_(router_port, "DEALER", key) {
  readable_.add(connection_.fd(), 0);
  Hello hello;
  hello.name = "bench";
  ask({}, std::move(hello));
}

Message Client::ask(const RoundId& round, Body body) {
  connection_.send(encode({round, kBenchGroup, {}, ++asked_, std::move(body)}));
  std::optional<Message> answer;
  const auto take = [&](std::string_view bytes) {
    auto message = decode(bytes);
    if (!message) throw std::runtime_error("from the broker: " + message.error().message());
    if (message->sequence == asked_) answer = std::move(*message);
  };
  while (!answer) readable_.wait(kPatience, [&](std::uint64_t) { connection_.receive(take); });
  if (const auto* refused = std::get_if<Refused>(&answer->body))
    throw std::runtime_error("refused: " + refused->reason);
  return std::move(*answer);
}

RoundId Client::open_round(std::vector<RoundMember> members) {
  OpenRound open;
  open.leave_running = true;
  open.members = std::move(members);
  open.deadlines = {kPhaseMs, kPhaseMs, kPhaseMs, kPhaseMs};
  // One broker may serve several clients of this process in turn, and its journal knows every round that it had.
  static std::uint64_t rounds = 0;
  const RoundId round("bench-" + std::to_string(++rounds));
  ask(round, std::move(open));
  return round;
}

}  // namespace lockstep::bench
