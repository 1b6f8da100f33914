#include "cli/commands/command_runner.hpp"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "cli/files.hpp"
#include "cli/scan/proc_scan.hpp"
#include "common/config.hpp"

namespace lockstep::cli {
namespace {

/// From SIGTERM to SIGKILL.
constexpr milliseconds kTermLimit{2'000};
/// How often a group without its leader is looked at: no descriptor tells its end.
constexpr milliseconds kLookAgain{50};

/// Zombies do not count: a container's first process may never reap them.
bool any_lives(pid_t group) {
  if (::kill(-group, 0) != 0) return false;
  return std::ranges::any_of(list_processes(), [&](const auto& entry) {
    const ProcessStat& stat = entry.second;
    return stat.group == group && stat.state != 'Z' && stat.state != 'X';
  });
}

}  // namespace

bool CommandRunner::begin(CommandMoment moment, const std::vector<std::string>& more) {
  moment_ = moment;
  environment_ = more;
  failed_ = false;
  for (std::size_t member = 0; member < tracks_.size(); ++member) {
    tracks_[member].next = 0;
    tracks_[member].results.clear();
    if (any(plan_[member].commands, moment)) start_next(member);
  }
  return busy() || !told_.empty();
}

void CommandRunner::start_next(std::size_t member) {
  Track& track = tracks_[member];
  const std::vector<MemberCommand>& commands = plan_[member].commands;
  track.command = nullptr;
  while (track.next < commands.size() && commands[track.next].moment != moment_) ++track.next;
  if (track.next == commands.size()) {
    told_.push_back({member, CommandReport{moment_, CommandState::succeeded, std::move(track.results)}});
    return;
  }
  const std::size_t number = track.next++;
  track.command = &commands[number];
  track.started = Clock::now();
  track.output =
      plan_[member].folder + "/command-" + std::string(to_string(moment_)) + "-" + std::to_string(number + 1) + ".out";
  CriuCommand start;
  start.argv = track.command->argv;
  start.environment = plan_[member].environment;
  start.environment.insert(start.environment.end(), environment_.begin(), environment_.end());
  start.environment.push_back("LOCKSTEP_MOMENT=" + std::string(to_string(moment_)));
  start.output = track.output;
  auto process = CriuProcess::start(start);
  if (!process) return end(member, false, process.error().message());
  track.process.emplace(std::move(*process));
}

void CommandRunner::end(std::size_t member, bool ok, const std::string& how) {
  Track& track = tracks_[member];
  CommandResult result{moment_, track.command->text, ok, 0, {}};
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - track.started);
  result.duration_ms = static_cast<std::uint32_t>(took.count());
  const std::size_t room = kCommandOutput - std::min(how.size() + 1, kCommandOutput);
  const auto printed = read_tail(track.output, room);
  result.output = how + (how.empty() ? "" : "\n") + (printed ? *printed : std::string());
  track.results.push_back(std::move(result));
  if (ok) return start_next(member);
  // Those that would have come next may rely on this one.
  failed_ = true;
  track.command = nullptr;
  told_.push_back({member, CommandReport{moment_, CommandState::failed, std::move(track.results)}});
}

void CommandRunner::expire(std::size_t member, const std::string& how) {
  Track& track = tracks_[member];
  track.process->signal_group(SIGTERM);
  const pid_t group = track.process->pid();
  dying_.push_back({std::move(*track.process), group, Clock::now() + kTermLimit});
  track.process.reset();
  end(member, false, how);
}

void CommandRunner::turn() {
  const TimePoint now = Clock::now();
  for (std::size_t member = 0; member < tracks_.size(); ++member) {
    Track& track = tracks_[member];
    if (!track.process) continue;
    if (const auto exit = track.process->poll()) {
      track.process.reset();
      end(member, exit->ok(), exit->ok() ? std::string() : exit->text());
    } else if (now >= track.started + track.command->timeout) {
      expire(member, "has not ended after " + format_duration(track.command->timeout) + ", and was ended");
    }
  }
  reap();
}

void CommandRunner::reap() {
  std::vector<Dying> left;
  for (Dying& dying : dying_) {
    dying.leader_ended = dying.process.poll().has_value();
    // The leader's pid is nobody else's while its group has a process.
    if (dying.leader_ended && (dying.killed || !any_lives(dying.group))) continue;
    if (!dying.killed && Clock::now() >= dying.kill_at) {
      ::kill(-dying.group, SIGKILL);
      dying.killed = true;
    }
    if (!dying.leader_ended || !dying.killed) left.push_back(std::move(dying));
  }
  dying_.swap(left);
}

void CommandRunner::stop(const std::string& reason) {
  for (std::size_t member = 0; member < tracks_.size(); ++member) {
    if (tracks_[member].process) expire(member, reason);
  }
}

bool CommandRunner::busy() const {
  return std::ranges::any_of(tracks_, [](const Track& track) { return track.process.has_value(); });
}

bool CommandRunner::any_process() const { return busy() || !dying_.empty(); }

std::vector<std::size_t> CommandRunner::running() const {
  std::vector<std::size_t> members;
  for (std::size_t member = 0; member < tracks_.size(); ++member) {
    if (tracks_[member].process) members.push_back(member);
  }
  return members;
}

std::vector<CommandRunner::Told> CommandRunner::take_reports() { return std::exchange(told_, {}); }

void CommandRunner::add_to(std::vector<zmq::pollitem_t>& items) const {
  for (const Track& track : tracks_) {
    if (track.process) items.push_back({nullptr, track.process->pidfd(), ZMQ_POLLIN, 0});
  }
  for (const Dying& dying : dying_) {
    if (!dying.leader_ended) items.push_back({nullptr, dying.process.pidfd(), ZMQ_POLLIN, 0});
  }
}

std::optional<TimePoint> CommandRunner::next_deadline() const {
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint time) { next = std::min(next.value_or(time), time); };
  for (const Track& track : tracks_) {
    if (track.process) consider(track.started + track.command->timeout);
  }
  for (const Dying& dying : dying_) {
    if (!dying.killed)
      consider(dying.leader_ended ? std::min(dying.kill_at, Clock::now() + kLookAgain) : dying.kill_at);
  }
  return next;
}

}  // namespace lockstep::cli
