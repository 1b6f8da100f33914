#include "tests/sim/scenario.hpp"

#include <algorithm>

namespace lockstep::sim {
namespace {

/// Longer than anything that anybody waits for, in_doubt and deadlines included.
constexpr Duration kLongestAct = seconds(200);
/// After the last fault nothing has to be waited for but a deadline, an agent's silence and a lease.
constexpr Duration kPeace = seconds(25);
/// What a round takes where nothing goes wrong, and a great deal more.
constexpr Duration kLongestFreshRound = seconds(5);

class Story {
 public:
  Story(std::uint64_t seed, int members, Trace& trace)
      : dice_(seed), setting_(draw_setting(dice_, members)), world_(setting_, dice_.roll(), trace) {}

  Outcome run() {
    const int acts = 1 + dice_.below(2);
    for (int i = 0; i < acts && !world_.rules().broken(); ++i) act();
    if (!world_.rules().broken()) peace();
    for (const GroupId& group : setting_.groups) {
      if (!world_.rules().broken()) fresh_round(group);
    }
    outcome_.broken = world_.rules().broken();
    outcome_.steps = world_.steps();
    return outcome_;
  }

 private:
  /// A runtime that goes one by one can't be coordinated where it kills; now and then it is tried.
  bool leaves_running() { return setting_.one_by_one && !dice_.one_in(8); }

  void act() {
    // The first message of an agent takes a while: some rounds begin before it has come.
    if (!world_.run_for(dice_.between({}, milliseconds(50)))) return;
    world_.plan(draw_faults(dice_, setting_, dice_.below(5), world_.steps()));
    std::vector<RoundId> rounds;
    for (const GroupId& group : setting_.groups) {
      // What can't be restored is tried, too: it has to be refused.
      const bool restore = world_.restorable(group) ? dice_.one_in(2) : world_.any_record(group) && dice_.one_in(8);
      world_.set_tasks(group, !restore);
      const Operation operation = restore ? Operation::restore : Operation::dump;
      rounds.push_back(world_.open_round(group, operation, dice_.one_in(2) || leaves_running()));
    }
    const bool ended = world_.run_until([&] { return world_.quiet(); }, kLongestAct);
    if (!ended) return world_.rules().fail("progress", "CRIU still runs after 200 s");
    outcome_.rounds += static_cast<int>(rounds.size());
    outcome_.faulty += static_cast<int>(rounds.size());
    outcome_.committed +=
        static_cast<int>(std::ranges::count_if(rounds, [&](const RoundId& round) { return world_.committed(round); }));
  }

  void peace() {
    world_.heal();
    if (!world_.run_for(kPeace)) return;
    if (world_.any_lock()) world_.rules().fail("leases", "a pod is locked, and no round has anything to do with it");
  }

  void fresh_round(const GroupId& group) {
    world_.set_tasks(group, true);
    const RoundId round = world_.open_round(group, Operation::dump, dice_.one_in(2) || setting_.one_by_one);
    ++outcome_.rounds;
    const bool ended = world_.run_until([&] { return world_.quiet(); }, kLongestFreshRound);
    if (world_.rules().broken()) return;
    if (!ended) return world_.rules().fail("progress", "a fresh round has not ended after 5 s");
    if (!world_.committed(round)) return world_.rules().fail("progress", "a fresh round does not commit");
    if (!world_.restorable(group)) return world_.rules().fail("records", "a fresh round's records don't count");
    if (!world_.run_for(milliseconds(1'000))) return;
    if (world_.any_lock()) world_.rules().fail("leases", "a pod is locked after the end of a fresh round");
  }

  Dice dice_;
  Setting setting_;
  World world_;
  Outcome outcome_;
};

}  // namespace

Outcome run_seed(std::uint64_t seed, int members, Trace& trace) { return Story(seed, members, trace).run(); }

std::string report(std::uint64_t seed, int members, std::size_t lines) {
  Trace trace;
  trace.wanted = true;
  const Outcome outcome = run_seed(seed, members, trace);
  std::string text = "seed " + std::to_string(seed) + ": " + outcome.broken.value_or("no rule is broken") + "\n";
  const std::vector<std::string>& all = trace.lines();
  const std::size_t skipped = all.size() > lines ? all.size() - lines : 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i >= skipped || all[i].find("FAULT") != std::string::npos) text += all[i] + "\n";
  }
  return text + "replay: lockstep-sim --seed " + std::to_string(seed) + " --members " + std::to_string(members) +
         " --trace\n";
}

Sweep sweep(std::uint64_t from, std::uint64_t to, int members) {
  Sweep result;
  for (std::uint64_t seed = from; seed < to; ++seed) {
    Trace silent;
    const Outcome outcome = run_seed(seed, members, silent);
    result.sum.rounds += outcome.rounds;
    result.sum.committed += outcome.committed;
    result.sum.faulty += outcome.faulty;
    result.sum.steps += outcome.steps;
    if (!outcome.broken) continue;
    result.failed = seed;
    result.sum.broken = outcome.broken;
    break;
  }
  return result;
}

}  // namespace lockstep::sim
