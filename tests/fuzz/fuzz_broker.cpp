// What peers may say to a broker, in any order and at any time: its core under well-formed messages that make no sense.
// An input is a row of turns: who speaks (one of four), how much time has gone by, and the message's bytes.
#include <array>

#include "broker/core/broker_core.hpp"
#include "broker/core/memory_journal.hpp"
#include "schemas/codec.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::broker;

/// All that is sent can be sent: it is encoded, and every peer would take it.
void deliver(Outbox& out, BrokerCore& core, TimePoint now) {
  for (std::vector<Action> actions = out.take(); !actions.empty(); actions = out.take()) {
    for (const Action& action : actions) {
      const Message* message = nullptr;
      if (const auto* send = std::get_if<SendTo>(&action)) message = &send->message;
      if (const auto* publish = std::get_if<Publish>(&action)) message = &publish->message;
      if (message != nullptr)
        fuzz::expect(decode(encode(*message)).has_value(), "what the broker says can be understood");
      if (const auto* send = std::get_if<SendTo>(&action); send != nullptr && send->peer.value == "gone") {
        core.on_unroutable(send->peer, now, out);
      }
    }
  }
}

/// So that hooks can open rounds, too.
StandingGroups standing() {
  StandingGroup group{GroupId("shop"), {}};
  for (const char* id : {"web", "db"}) group.plan.members.emplace_back().id = MemberId(id);
  group.plan.members[1].container = "c0";
  return StandingGroups({group});
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::array<const char*, 4> kPeers{"one", "two", "three", "gone"};
  constexpr int kMaxTurns = 64;
  fuzz::Pieces input(fuzz::view_of(data, size));
  MemoryJournal journal;
  CoreSettings settings;
  settings.name = "broker";
  settings.kept_rounds = 3;
  settings.max_peers = 3;
  TimePoint now{};
  BrokerCore core(settings, journal, now, 1'700'000'000'000);
  core.set_standing_groups(standing());
  Outbox out;
  core.recover(now, out);
  deliver(out, core, now);
  for (int turn = 0; turn < kMaxTurns && !input.empty(); ++turn) {
    const PeerId from(kPeers[input.byte() % kPeers.size()]);
    now += milliseconds(std::uint64_t{input.byte()} * 4);
    const fuzz::Copy frame(input.piece());
    if (now >= core.next_deadline()) core.on_time(now, out);
    deliver(out, core, now);
    if (const auto message = decode(frame.view())) {
      core.on_message(from, *message, now, out);
    } else {
      core.on_malformed(from, message.error().message(), out);
    }
    deliver(out, core, now);
  }
  return 0;
}
