#include "tests/sim/explorer.hpp"

#include <memory>
#include <unordered_set>
#include <utility>

namespace lockstep::sim {
namespace {

constexpr Duration kLongestPrefix = seconds(5);
constexpr Duration kLongestEnd = seconds(200);

struct Choice {
  enum class Kind : std::uint8_t { deliver, time, crash };
  Kind kind = Kind::time;
  Delivery delivery{};
  World::Part part = World::Part::broker;
  int number = 0;
  bool sent_arrives = false;
};

using Path = std::vector<Choice>;

class Explorer {
 public:
  Explorer(Operation operation, int members)
      : operation_(operation),
        members_(members),
        commit_(operation == Operation::dump ? HookAction::post_dump : HookAction::post_restore) {}

  Exploration run() {
    if (operation_ == Operation::restore) saved_ = save();
    std::vector<Path> branches{{}};
    while (!branches.empty() && !result_.broken) {
      Path path = std::move(branches.back());
      branches.pop_back();
      follow(std::move(path), branches);
    }
    return std::move(result_);
  }

 private:
  struct Run {
    Trace trace;
    std::unique_ptr<World> world;
    RoundId round;
  };

  [[nodiscard]] Setting setting() const {
    Setting setting = plain_setting(members_);
    setting.instant = true;
    return setting;
  }

  /// What a restore begins with. Once: most of the time goes into the worlds that are brought to the commit again.
  [[nodiscard]] std::vector<Images> save() const {
    Trace silent;
    World world(setting(), 1, silent);
    (void)world.run_for(milliseconds(20));
    (void)world.open_round(setting().groups.front(), Operation::dump, false);
    (void)world.run_until([&] { return world.quiet(); }, kLongestPrefix);
    return world.images();
  }

  [[nodiscard]] std::unique_ptr<Run> begin(bool traced) const {
    auto run = std::make_unique<Run>();
    run->trace.wanted = traced;
    run->world = std::make_unique<World>(setting(), 1, run->trace);
    World& world = *run->world;
    if (!saved_.empty()) world.put_images(saved_);
    (void)world.run_for(milliseconds(20));
    run->round = world.open_round(setting().groups.front(), operation_, true);
    (void)world.run_until([&] { return world.hooks_in(commit_) > 0; }, kLongestPrefix);
    world.start_due_hooks();
    world.keep_history();
    return run;
  }

  static void take(World& world, const Choice& choice) {
    if (choice.kind == Choice::Kind::deliver) world.deliver(choice.delivery);
    if (choice.kind == Choice::Kind::time) (void)world.step();
    if (choice.kind == Choice::Kind::crash) world.crash(choice.part, choice.number, choice.sent_arrives);
  }

  [[nodiscard]] std::vector<Choice> choices(const World& world, bool may_crash) const {
    std::vector<Choice> all;
    for (const Delivery& head : world.deliverable()) all.push_back({Choice::Kind::deliver, head});
    if (all.empty()) all.push_back({Choice::Kind::time});
    if (!may_crash) return all;
    const auto crash = [&](World::Part part, int number, bool sent_arrives) {
      if (world.can_crash(part, number, sent_arrives)) all.push_back({Choice::Kind::crash, {}, part, number, sent_arrives});
    };
    for (const bool sent_arrives : {true, false}) {
      crash(World::Part::broker, 0, sent_arrives);
      for (int i = 0; i < members_; ++i) crash(World::Part::agent, i, sent_arrives);
    }
    for (int i = 0; i < members_; ++i) crash(World::Part::hook, i, false);
    return all;
  }

  /// Takes the path, then always the first choice that there is; the others become branches.
  void follow(Path path, std::vector<Path>& branches) {
    auto run = begin(false);
    World& world = *run->world;
    bool crashed = false;
    for (const Choice& choice : path) {
      take(world, choice);
      crashed = crashed || choice.kind == Choice::Kind::crash;
    }
    while (!failed(world, path)) {
      if (!seen_.insert(world.fingerprint() + (crashed ? 1 : 0)).second) return;
      ++result_.states;
      if (world.hooks_in(commit_) == 0) return end(*run, path);
      const std::vector<Choice> all = choices(world, !crashed);
      for (std::size_t i = all.size(); i > 1; --i) {
        branches.push_back(path);
        branches.back().push_back(all[i - 1]);
      }
      take(world, all.front());
      path.push_back(all.front());
    }
  }

  void end(Run& run, const Path& path) {
    ++result_.ends;
    finish(*run.world);
    if (!failed(*run.world, path) && run.world->rules().is_decided(run.round)) ++result_.committed;
  }

  static void finish(World& world) {
    if (!world.run_until([&] { return world.quiet(); }, kLongestEnd)) world.rules().fail("progress", "it never ends");
    if (!world.run_until([&] { return !world.any_lock(); }, seconds(16)))
      world.rules().fail("leases", "a pod stays locked");
  }

  bool failed(const World& world, const Path& path) {
    if (!world.rules().broken()) return false;
    result_.broken = world.rules().broken();
    const auto again = begin(true);
    for (const Choice& choice : path) take(*again->world, choice);
    if (!again->world->rules().broken()) finish(*again->world);
    result_.trace = again->trace.lines();
    return true;
  }

  Operation operation_;
  int members_;
  HookAction commit_;
  std::vector<Images> saved_;
  std::unordered_set<std::uint64_t> seen_;
  Exploration result_;
};

}  // namespace

Exploration explore_commit(Operation operation, int members) { return Explorer(operation, members).run(); }

}  // namespace lockstep::sim
