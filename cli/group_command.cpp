#include "cli/group_command.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/aftermath.hpp"
#include "cli/attempts/attempts.hpp"
#include "cli/broker_address.hpp"
#include "cli/export_folder.hpp"
#include "cli/former_checkpoint.hpp"
#include "cli/images_folder.hpp"
#include "cli/preflight.hpp"
#include "cli/report.hpp"
#include "cli/report_json.hpp"
#include "cli/round_driver.hpp"
#include "cli/tree_check.hpp"
#include "cli/verify_report.hpp"
#include "common/round_id.hpp"
#include "common/signals.hpp"

namespace lockstep::cli {
namespace {

/// A member's own commands for this operation, and what they are told.
PlannedCommands own_commands(const RoundContext& context, Operation operation, const ReadyMember& ready,
                             std::size_t attempt) {
  const GroupMember& member = *ready.member;
  PlannedCommands plan;
  for (const MemberCommand& command : member.commands) {
    if (operation == Operation::dump ? command.on_dump : command.on_restore) plan.commands.push_back(command);
  }
  // What Podman imports has no folder yet.
  plan.folder = operation == Operation::restore && !ready.archive.empty() ? ready.unpacked.path() : ready.work;
  plan.environment = {"LOCKSTEP_ROUND=" + context.round.value, "LOCKSTEP_GROUP=" + context.group.value,
                      "LOCKSTEP_MEMBER=" + member.id.value, "LOCKSTEP_OPERATION=" + std::string(to_string(operation)),
                      "LOCKSTEP_ATTEMPT=" + std::to_string(attempt)};
  // A member on another node has neither here.
  if (!ready.images.empty()) plan.environment.push_back("LOCKSTEP_IMAGES=" + ready.images);
  if (operation == Operation::dump && ready.pid != 0)
    plan.environment.push_back("LOCKSTEP_PID=" + std::to_string(ready.pid));
  return plan;
}

/// The deadlines are for CRIU and the agents; commands have their own bounds, and come on top.
void make_room(RoundPlan& plan) {
  milliseconds prepare{};
  milliseconds frozen{};
  for (const PlannedCommands& own : plan.own_commands) {
    prepare = std::max(prepare, longest(own.commands, CommandMoment::prepare));
    frozen = std::max(frozen, longest(own.commands, CommandMoment::frozen));
  }
  plan.open.deadlines.prepare_ms += static_cast<std::uint32_t>(prepare.count());
  plan.open.deadlines.commit_ms += static_cast<std::uint32_t>(frozen.count());
}

milliseconds sum(const Deadlines& limits) {
  return milliseconds(std::int64_t{limits.prepare_ms} + limits.lock_ms + limits.commit_ms + limits.finish_ms);
}

RoundPlan make_plan(Operation operation, const GroupOptions& options, const GroupFile& group,
                    const Preflight& preflight, const std::string& broker, RoundId round, const AttemptPlan& attempt) {
  RoundPlan plan{std::move(round), group.group, {}, {}};
  plan.open.operation = operation;
  plan.open.leave_running = options.leave_running;
  plan.open.deadlines = group.deadlines;
  plan.open.lease_ms = group.lease_ms;
  plan.open.policy = group.policy;
  if (operation == Operation::dump) plan.open.order = group.order;  // a restore brings all back at once
  RoundContext context{plan.round, plan.group, preflight.hook, group.socket_dir, broker};
  for (const ReadyMember& ready : preflight.members) {
    plan.own_commands.push_back(own_commands(context, operation, ready, attempt.number));
  }
  make_room(plan);
  context.longest = sum(plan.open.deadlines);
  for (std::size_t i = 0; i < preflight.members.size(); ++i) {
    const ReadyMember& ready = preflight.members[i];
    const MemberDriver& driver = driver_of(*ready.member);
    plan.open.members.push_back(RoundMember{ready.member->id, ready.pod, ready.netns_path, ready.container,
                                            ready.member->policy,
                                            any(plan.own_commands[i].commands, CommandMoment::frozen)});
    plan.commands.push_back(operation == Operation::dump ? driver.dump(context, ready, options.leave_running)
                                                         : driver.restore(context, ready));
    auto& argv = plan.commands.back().argv;
    argv.insert(argv.end(), ready.more_options.begin(), ready.more_options.end());
    // A group with a member of Podman's does not allow it (group_file.cpp).
    if (attempt.skip_in_flight) argv.emplace_back("--skip-in-flight");
  }
  return plan;
}

/// A committed checkpoint has to be one consistent cut; that is looked up in the images, not believed.
void prove(const Preflight& preflight, Report& report) {
  if (verdict_of(report) != RoundVerdict::committed) return;
  if (std::ranges::any_of(preflight.members, &ReadyMember::is_remote)) {
    report.notes.push_back(
        "not proved to be one consistent cut: the archives are on the members' nodes; copy them here, "
        "and `lockstep verify` proves it");
    return;
  }
  std::vector<std::string> folders;
  for (const ReadyMember& ready : preflight.members) folders.push_back(ready.images);
  const auto cut = verify_images(folders);
  report.proof = cut ? cut_line(*cut) : cut.error().message();
  report.proven = cut && cut->consistent();
}

/// Where the checkpoint is whole, it takes the place of the one before. Otherwise that one stays: it may be the only
/// one that can be restored.
void keep_images(const Preflight& preflight, Report& report) {
  const RoundVerdict verdict = verdict_of(report);
  for (std::size_t i = 0; i < preflight.members.size(); ++i) {
    const ReadyMember& ready = preflight.members[i];
    if (verdict != RoundVerdict::committed) {
      const bool untold = verdict != RoundVerdict::aborted && ready.member->driver == Driver::podman;
      if (untold && !ready.archive.empty()) {
        report.notes.push_back("member \"" + ready.member->id.value + "\": " + ready.archive +
                               " is as it was before; what there is of this checkpoint is in Podman's store");
      }
      continue;
    }
    const auto kept = driver_of(*ready.member).keep(ready);
    if (kept) continue;
    MemberRun& run = report.outcome.runs[i];
    run.exit = ProcessExit{1, 0};
    run.detail =
        ready.archive + " was not replaced: " + kept.error().message() + "; the checkpoint is in Podman's store";
  }
}

/// An archive is written when the round is over already, and that may take long.
RoundPatience patience_with(const Preflight& preflight) {
  constexpr milliseconds kArchive{3'600'000};
  RoundPatience patience;
  const bool exports = std::ranges::any_of(preflight.members, [](const auto& ready) { return !ready.archive.empty(); });
  const bool remote = std::ranges::any_of(preflight.members, &ReadyMember::is_remote);
  if (exports || remote) patience.archive = kArchive;
  return patience;
}

/// Clears the images folders of what an earlier round left, whose checkpoint is set aside, and keeps in them what a
/// restore will need.
Result<void> make_ready(Operation operation, const Preflight& preflight, bool tried_before) {
  if (auto cleared = clear_images(operation, preflight.members, tried_before); !cleared) return cleared;
  for (const ReadyMember& ready : preflight.members) {
    if (operation != Operation::dump) break;
    if (auto kept = keep_options(ready); !kept) return kept;
  }
  return {};
}

/// Of make_ready(), when it has failed on the way: no CRIU has been started.
void undo(Operation operation, const Preflight& preflight, bool tried_before, Display& display) {
  if (operation == Operation::restore) return;
  for (const ReadyMember& ready : preflight.members) {
    if (ready.images.empty()) continue;
    const auto back = put_back(ready, tried_before);
    if (back) continue;
    display.note("member \"" + ready.member->id.value + "\": its former checkpoint: " + back.error().message());
  }
}

/// What was seen in the trees, and what has been done about it.
void report_findings(const Preflight& preflight, Report& report) {
  for (const ReadyMember& ready : preflight.members) {
    for (const Finding& finding : ready.findings) report.findings.push_back({ready.member->id, finding});
  }
}

/// Opens the round and sees it through. Between the opening and the first CRIU the images folders are cleared of what
/// an earlier round left: not before, since they may be those of a round that is still running.
Result<AttemptEnd> run_round(Operation operation, BrokerClient& broker, const RoundPlan& plan,
                             const Preflight& preflight, const AttemptPlan& attempt, Display& display,
                             const Fd& signals) {
  const TimePoint opened = Clock::now();
  RoundDriver driver(broker, plan, display, signals, patience_with(preflight));
  if (auto open = driver.open(); !open) return Failure(open.error());
  const auto held = operation == Operation::dump ? hold_images(preflight.members) : std::vector<Fd>();
  if (!held) {
    driver.give_up(held.error().message());
    return Failure(held.error());
  }
  if (auto made = make_ready(operation, preflight, attempt.number > 1); !made) {
    undo(operation, preflight, attempt.number > 1, display);
    driver.give_up(made.error().message());
    return Failure(made.error());
  }
  Report report{plan.round, plan.group, driver.run(), {}, preflight.warnings, {}};
  if (operation == Operation::dump) {
    prove(preflight, report);
    keep_images(preflight, report);
  }
  // Before the images are on the disk, which may take long: the commands may have to let users in again.
  driver.finish(report.outcome, to_string(verdict_of(report)));
  for (std::size_t i = 0; i < preflight.members.size(); ++i) {
    const ReadyMember& ready = preflight.members[i];
    MemberReport member{
        ready.archive.empty() ? ready.images : ready.archive, plan.commands[i].log, 0, report.outcome.runs[i], {}};
    if (operation == Operation::dump) member.pid = ready.pid;
    member.node = ready.node;
    if (member.run.ok()) member.archives = driver_of(*ready.member).archives(ready);
    if (auto times = read_criu_stats(ready.work, operation); times && member.run.ok()) member.times = *times;
    if (member.run.exit) member.hooks = read_hook_log(member.log, operation);
    report.members.push_back(std::move(member));
  }
  report_findings(preflight, report);
  if (operation == Operation::dump) {
    after_checkpoint(preflight.members, report);
    settle_former(preflight.members, report);  // not before the new one is on the disk
  } else {
    after_restore(preflight.members, opened, report);
  }
  auto in_flight = only_in_flight(report.outcome, read_failures(plan, report.outcome));
  find_listeners(preflight.members, in_flight);
  return AttemptEnd{std::move(report), std::move(in_flight)};
}

/// What a dump may try; a restore has one round.
RetryLimits limits_of(Operation operation, const GroupFile& group) {
  if (operation == Operation::restore) return {};
  return {group.in_flight_retries, group.skip_in_flight};
}

Result<Preflight> preflight_of(Operation operation, const GroupFile& group, bool look_at_trees) {
  if (operation == Operation::restore) return preflight_restore(group);
  auto preflight = preflight_checkpoint(group);
  if (!preflight || !look_at_trees) return preflight;
  if (auto looked = examine_trees(preflight->members); !looked) return Failure(looked.error());
  if (auto fit = check_examined(preflight->members); !fit) return Failure(fit.error());
  return preflight;
}

/// The kubelet ends no container. That all run on is then implied; that some do, and others don't, has to be wanted by
/// nobody.
Result<bool> runs_on(Operation operation, const GroupOptions& options, const GroupFile& group) {
  const auto by_kubelet = [](const GroupMember& member) { return member.driver == Driver::kubelet; };
  const auto count = std::ranges::count_if(group.members, by_kubelet);
  if (operation == Operation::restore || options.leave_running || count == 0) return options.leave_running;
  if (static_cast<std::size_t>(count) == group.members.size()) return true;
  return fail(ErrorCode::invalid, group.path,
              "the kubelet leaves its containers running, and the other members would be ended: use --leave-running");
}

Result<Report> run_command(Operation operation, GroupOptions options) {
  const auto group = load_group_file(options.file);
  if (!group) return Failure(group.error());
  const auto leave_running = runs_on(operation, options, *group);
  if (!leave_running) return Failure(leave_running.error());
  const bool implied = *leave_running != options.leave_running;
  options.leave_running = *leave_running;
  const auto address = broker_address(options.broker, &*group);
  if (!address) return Failure(address.error());
  const auto key = broker_key(*address, options.key, &*group);
  if (!key) return Failure(key.error());
  // Ctrl-C is an event: an interrupted round is aborted in order, instead of leaving its CRIUs alone, and temporary
  // folders behind.
  const auto signals = hold_ending_signals();  // before libzmq's threads
  ::signal(SIGPIPE, SIG_IGN);  // that nobody reads what this says any more must not end it in mid-round
  if (!signals) return Failure(signals.error());
  const auto preflight = preflight_of(operation, *group, options.preflight);
  if (!preflight) return Failure(preflight.error());
  auto broker = BrokerClient::connect(address->broker, address->releases, *key);
  if (!broker) return Failure(broker.error());
  if (const auto welcome = broker->hello(); !welcome) return Failure(welcome.error());
  if (take_signals(*signals) > 0) return fail(ErrorCode::refused, "interrupted", "nothing was started");

  const auto mode = Display::mode_for(STDERR_FILENO, options.quiet, group->members.size());
  const auto say = [&](const std::string& text) { Display(mode, STDERR_FILENO).note(text); };
  for (const auto& warning : preflight->warnings) say("warning: " + warning);
  if (implied) say("all containers run on, as with --leave-running: the kubelet ends none");
  const auto run = [&](const AttemptPlan& attempt) -> Result<AttemptEnd> {
    auto round = new_round_id();
    if (!round) return Failure(round.error());
    const RoundPlan plan =
        make_plan(operation, options, *group, *preflight, address->broker, std::move(*round), attempt);
    Display display(mode, STDERR_FILENO);
    return run_round(operation, *broker, plan, *preflight, attempt, display, *signals);
  };
  return run_attempts(limits_of(operation, *group), run, *signals, say);
}

}  // namespace

int run_group_command(Operation operation, const GroupOptions& options) {
  const auto report = run_command(operation, options);
  if (!report) {
    const ExitCode code = exit_code_of(report.error());
    std::fprintf(stderr, "lockstep: %s\n", report.error().message().c_str());
    if (options.json) std::fputs(error_json(report.error(), code).c_str(), stdout);
    return code;
  }
  const std::string text = options.json ? report_json(*report) : report_text(*report, {60, locale_is_utf8()});
  std::fputs(text.c_str(), stdout);
  return exit_code_of(verdict_of(*report));
}

}  // namespace lockstep::cli
