#include "cli/round_driver.hpp"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "cli/files.hpp"
#include "common/signals.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kFirstRepeat{200};
constexpr milliseconds kLastRepeat{1'000};
constexpr milliseconds kRedraw{100};
/// A hook's longest wait for its verdict (agent/hook/hook_environment.hpp).
constexpr milliseconds kLongestDoubt{3'600'000};
constexpr std::size_t kLogTail = 64 * 1024;
constexpr std::size_t kDetail = 1024;

/// How far a round has come: its state, then the number of things that have happened in it. PUB and ROUTER are two
/// ways, and what comes second may be the older one. The state counts first: a broker that was restarted knows the
/// outcome, and little of what went before.
std::pair<int, std::size_t> progress(const RoundStatus& status) {
  const auto passed = [](std::int64_t time) { return std::size_t{time >= 0}; };
  const int state = status.state == RoundState::open ? 0 : status.state == RoundState::committed ? 1 : 2;
  std::size_t count = 0;
  for (const auto& member : status.members) {
    for (const auto& times : member.phases) {
      count += passed(times.arrived_us) + passed(times.ready_us) + passed(times.released_us);
    }
    count += passed(member.unlocked_us) + static_cast<std::size_t>(member.criu != CriuOutcome::running) +
             member.commands.size();
  }
  count += passed(status.hold_begin_us) + passed(status.hold_end_us) + std::size_t{status.serial};
  return {state, count};
}

/// What was known of the members and the newer status does not tell.
void keep_times(const RoundStatus& former, RoundStatus& status) {
  const auto keep = [](std::int64_t before, std::int64_t& time) { time = time < 0 ? before : time; };
  keep(former.hold_begin_us, status.hold_begin_us);
  keep(former.hold_end_us, status.hold_end_us);
  for (std::size_t i = 0; i < status.members.size(); ++i) {
    MemberStatus& member = status.members[i];
    for (std::size_t phase = 0; phase < kPhasesPerRound; ++phase) {
      keep(former.members[i].phases[phase].arrived_us, member.phases[phase].arrived_us);
      keep(former.members[i].phases[phase].ready_us, member.phases[phase].ready_us);
      keep(former.members[i].phases[phase].released_us, member.phases[phase].released_us);
    }
    keep(former.members[i].unlocked_us, member.unlocked_us);
  }
}

/// Why a CRIU failed: the error lines of its log, else what it has printed, else how it ended.
std::string explain(const CriuCommand& command, const ProcessExit& exit) {
  for (const auto& path : {command.log, command.output}) {
    const auto text = read_tail(path, kLogTail);
    if (!text) continue;
    const auto lines = error_lines(*text, kDetail);
    if (!lines.empty()) return lines;
    // Mistakes in its options CRIU tells before it has a log: the first line says what, a page of help follows.
    if (path == command.output && !text->empty()) return text->substr(0, std::min(text->find('\n'), kDetail));
  }
  return exit.text() + ", and no error in " + command.log;
}

}  // namespace

Result<void> RoundDriver::open() {
  const auto answer = broker_.request(message(plan_.open, {}), patience_.answer);
  if (!answer) return Failure(answer.error());
  const auto* status = std::get_if<RoundStatus>(&answer->body);
  if (status == nullptr || status->members.size() != plan_.open.members.size()) {
    return fail(ErrorCode::unavailable, "the broker's answer to OpenRound makes no sense",
                "it is " + std::string(type_name(answer->body)));
  }
  opened_ = last_heard_ = Clock::now();
  status_ = *status;
  return {};
}

void RoundDriver::give_up(const std::string& reason) {
  const auto answer = broker_.request(message(AbortRound{reason}, {}), patience_.answer);
  if (!answer) display_.note("could not abort the round: " + answer.error().message());
}

RoundOutcome RoundDriver::run() {
  runs_.resize(plan_.commands.size());
  // Since the round was opened images may have been moved, for long: that was not the broker's silence.
  last_heard_ = Clock::now();
  next_repeat_ = last_heard_ + kFirstRepeat;
  repeat_after_ = kFirstRepeat;
  if (commands_.begin(CommandMoment::prepare, {})) display_.note("running the members' commands (prepare)");
  run_commands();
  while (!finished()) turn();
  finishing_ = true;
  commands_.stop("ended with the round");
  (void)commands_.take_reports();
  hear_out();
  display_.update(status_, elapsed());
  return {status_, runs_, elapsed(), signals_taken_ > 0, lost_};
}

void RoundDriver::finish(RoundOutcome& outcome, std::string_view verdict) {
  if (commands_.begin(CommandMoment::resume, {"LOCKSTEP_OUTCOME=" + std::string(verdict)})) {
    display_.note("running the members' commands (resume)");
  }
  hear_out();
  // What the commands at the end have come to stands in the newer one; they may have been interrupted, too. A word of
  // the broker's that comes too late changes no verdict: all has been done by it already.
  if (status_.state == outcome.status.state) outcome.status = status_;
  outcome.interrupted = signals_taken_ > 0;
  display_.update(status_, elapsed());
}

void RoundDriver::turn() {
  display_.update(status_, elapsed());
  wait_for_event();
  take_signals();
  take_messages();
  take_ends();
  run_commands();
  on_time();
}

// --- the members' own commands --------------------------------------------------------------------------------------

void RoundDriver::run_commands() {
  commands_.turn();
  const bool undecided = status_.state == RoundState::open && lost_.empty();
  // Without a broker nothing is begun; what has been is up to it when it is back, or to the deadlines.
  if (status_.state != RoundState::open || !(undecided || started_)) commands_.stop("ended with the round");
  for (auto& [member, report] : commands_.take_reports()) say(std::move(report), plan_.open.members[member].id);
  if (!started_ && !undecided) {
    started_ = true;
    for (MemberRun& run : runs_) run.detail = "was not started: the round had ended before";
  }
  if (!started_ && !commands_.busy() && !commands_.failed()) {
    started_ = true;
    start_all();
  }
  if (held_ || status_.hold_begin_us < 0 || status_.hold_end_us >= 0 || !undecided) return;
  held_ = true;
  if (commands_.begin(CommandMoment::frozen, {})) display_.note("all members stand still: running their commands");
  next_repeat_ = Clock::now();  // a sign of life, before the first one ends
}

/// Until the broker has answered all that was told, and commands have ended.
void RoundDriver::hear_out() {
  const int signals = signals_taken_;
  std::optional<TimePoint> end;
  while (commands_.any_process() || !unanswered_.empty()) {
    commands_.turn();
    for (auto& [member, report] : commands_.take_reports()) say(std::move(report), plan_.open.members[member].id);
    if (!commands_.busy() && !end) end = Clock::now() + patience_.answer;
    if (signals_taken_ > signals) commands_.stop("interrupted by the operator");
    // Nobody is held up here; that the record is not complete is told by its missing entries.
    const bool lonely = !lost_.empty() || Clock::now() >= end.value_or(TimePoint::max());
    if (lonely && !commands_.any_process()) break;
    wait_for_event();
    take_signals();
    take_messages();
    if (Clock::now() >= next_repeat_) repeat_questions();
  }
}

// --- CRIU -----------------------------------------------------------------------------------------------------------

void RoundDriver::start_all() {
  for (std::size_t i = 0; i < plan_.commands.size(); ++i) {
    // The log of an earlier try would explain a failure of this one.
    (void)remove_file(plan_.commands[i].log);
    auto process = CriuProcess::start(plan_.commands[i]);
    processes_.emplace_back();
    if (process) {
      processes_.back().emplace(std::move(*process));
      continue;
    }
    runs_[i].detail = process.error().message();
    report_end(i);
  }
}

void RoundDriver::take_ends() {
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    if (!processes_[i]) continue;
    const auto exit = processes_[i]->poll();
    if (!exit) continue;
    runs_[i].exit = exit;
    if (!exit->ok()) runs_[i].detail = explain(plan_.commands[i], *exit);
    processes_[i].reset();
    report_end(i);
  }
}

void RoundDriver::report_end(std::size_t index) {
  runs_[index].ended = elapsed();
  say(MemberResult{runs_[index].ok(), runs_[index].detail}, plan_.open.members[index].id);
}

void RoundDriver::terminate(const std::string& why) {
  if (terminated_) return;
  terminated_ = Clock::now();
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    if (!processes_[i]) continue;
    display_.note(why + ": ending criu of member \"" + plan_.open.members[i].id.value + "\"");
    processes_[i]->signal_group(SIGTERM);
  }
}

/// Nothing is lost with them: should the request get through to a runtime yet, its hook is turned away. Those of
/// members that have come are left alone, since a CRIU that is ended from outside may spoil what it dumps.
void RoundDriver::end_unheard() {
  if (unheard_ended_) return;
  unheard_ended_ = true;
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    const bool heard = status_.members[i].phases[0].arrived_us >= 0;
    if (processes_[i] && plan_.commands[i].remote && !heard) processes_[i]->signal_group(SIGTERM);
  }
}

// --- the broker -----------------------------------------------------------------------------------------------------

Message RoundDriver::message(Body body, const MemberId& member) const {
  return Message{plan_.round, plan_.group, member, 0, std::move(body)};
}

/// Sends what has to be answered, however often it takes.
void RoundDriver::say(Body body, const MemberId& member) {
  unanswered_.push_back(message(std::move(body), member));
  broker_.send(unanswered_.back());
  next_repeat_ = std::min(next_repeat_, Clock::now() + kFirstRepeat);
  repeat_after_ = kFirstRepeat;
}

void RoundDriver::repeat_questions() {
  for (auto& question : unanswered_) broker_.send(question);
  auto get = message(GetRound{}, {});
  broker_.send(get);
  if (held_ && status_.hold_end_us < 0) {
    for (const std::size_t member : commands_.running()) {
      auto alive =
          message(CommandReport{CommandMoment::frozen, CommandState::running, {}}, plan_.open.members[member].id);
      broker_.send(alive);
    }
  }
  repeat_after_ = std::min(2 * repeat_after_, kLastRepeat);
  next_repeat_ = Clock::now() + repeat_after_;
}

void RoundDriver::take_messages() {
  while (const auto incoming = broker_.receive()) {
    const Message& message = incoming->message;
    if (const auto* refused = std::get_if<Refused>(&message.body)) {
      take_refusal(message, *refused);
    } else if (message.round == plan_.round) {
      if (!incoming->published) last_heard_ = Clock::now();
      take_status(message);
    }
  }
}

void RoundDriver::take_status(const Message& message) {
  const auto* status = std::get_if<RoundStatus>(&message.body);
  if (status == nullptr || status->members.size() != plan_.open.members.size()) return;
  std::erase_if(unanswered_, [&](const Message& each) { return each.sequence == message.sequence; });
  if (progress(*status) > progress(status_)) repeat_after_ = kFirstRepeat;
  if (progress(*status) < progress(status_)) return;
  if (status->serial && !std::exchange(serial_told_, true)) {
    display_.note("the members of a pod are dumped one after another: its lock stays until the last one is done");
  }
  keep_times(std::exchange(status_, *status), status_);
}

void RoundDriver::take_refusal(const Message& answer, const Refused& refused) {
  if (refused.say_hello) {
    broker_.hello_again();
    next_repeat_ = Clock::now();
    return;
  }
  // It has taken this round once. That it does not any more means that it was restarted, or has been up too long.
  if (answer.round != plan_.round || forgotten_) return;
  forgotten_ = true;
  lost_ = "the broker does not know the round any more (" + refused.reason + "); was it restarted?";
  display_.note(lost_ + " Waiting for criu to end.");
}

// --- signals and time -----------------------------------------------------------------------------------------------

void RoundDriver::take_signals() {
  for (int count = lockstep::take_signals(signals_); count > 0; --count) {
    ++signals_taken_;
    if (finishing_) {
      // Every criu has ended: there is nothing left to abort.
      display_.note("interrupted: ending the members' commands");
    } else if (signals_taken_ == 1) {
      say(AbortRound{"interrupted by the operator"}, {});
      display_.note("interrupted: aborting the round. Once more ends criu by force.");
    } else {
      terminate("interrupted again");
    }
  }
}

void RoundDriver::on_time() {
  const TimePoint now = Clock::now();
  if (now >= next_repeat_) repeat_questions();
  const bool silent = now - last_heard_ > patience_.answer;
  if (silent && lost_.empty()) {
    lost_ = "the broker at " + broker_.address() + " has said nothing for " + std::to_string(patience_.answer.count()) +
            " ms";
    display_.note(lost_ + ". Hooks that get no answer fail, and their trees run on. Waiting for criu to end.");
  } else if (!silent && !forgotten_ && !lost_.empty()) {
    display_.note("the broker is back");
    lost_.clear();
  }
  const bool only_criu = round_over() || !lost_.empty();
  if (!only_criu) waiting_since_.reset();
  if (only_criu && !waiting_since_) waiting_since_ = now;
  // A round that is over has been decided everywhere. Without a broker a member that has voted waits for its verdict as
  // long as its hook does: to end its CRIU would be to decide for the broker.
  const milliseconds more = round_over() ? milliseconds(0) : kLongestDoubt;
  const milliseconds packing = status_.state == RoundState::aborted ? milliseconds(0) : patience_.archive;
  const milliseconds patience = patience_.criu_after_round + packing + more;
  const bool waited = waiting_since_ && now - *waiting_since_ > patience;
  if (waited && now > dumps_until()) terminate("the round is over and criu is not");
  if (waiting_since_ && round_over() && now - *waiting_since_ > patience_.remote_unheard) end_unheard();
  if (terminated_ && now - *terminated_ > patience_.criu_after_term) {
    for (const auto& process : processes_) {
      if (process) process->signal_group(SIGKILL);
    }
  }
}

/// A CRIU that dumps hears of its round's end from its next hook. Ended before, it leaves its tree's connections dead,
/// so that it gets the time that it would have had.
TimePoint RoundDriver::dumps_until() const {
  TimePoint until{};
  if (status_.state != RoundState::aborted || plan_.open.operation != Operation::dump) return until;
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    const auto& phases = status_.members[i].phases;
    const bool dumps = processes_[i] && phases[kLock].arrived_us >= 0 && phases[kCommit].arrived_us < 0;
    const microseconds begun(phases[kLock].arrived_us);
    if (dumps) until = std::max(until, opened_ + begun + milliseconds(plan_.open.deadlines.commit_ms));
  }
  return until;
}

void RoundDriver::wait_for_event() {
  std::vector<zmq::pollitem_t> items;
  broker_.add_to(items);
  items.push_back({nullptr, signals_.get(), ZMQ_POLLIN, 0});
  for (const auto& process : processes_) {
    if (process) items.push_back({nullptr, process->pidfd(), ZMQ_POLLIN, 0});
  }
  commands_.add_to(items);
  const TimePoint due = std::min(next_repeat_, commands_.next_deadline().value_or(next_repeat_));
  auto wait = std::chrono::ceil<milliseconds>(due - Clock::now());
  if (display_.is_live()) wait = std::min(wait, kRedraw);
  try {
    zmq::poll(items, std::clamp(wait, milliseconds(0), kLastRepeat));
  } catch (const zmq::error_t&) {
    // A signal that nobody blocks; whatever has happened is looked at next.
  }
}

milliseconds RoundDriver::elapsed() const { return std::chrono::duration_cast<milliseconds>(Clock::now() - opened_); }

milliseconds RoundDriver::longest_round() const {
  const Deadlines& limits = plan_.open.deadlines;
  return milliseconds(std::int64_t{limits.prepare_ms} + limits.lock_ms + limits.commit_ms + limits.finish_ms);
}

bool RoundDriver::all_ended() const {
  return std::none_of(processes_.begin(), processes_.end(), [](const auto& process) { return process.has_value(); });
}

bool RoundDriver::round_over() const {
  return status_.state == RoundState::complete || status_.state == RoundState::aborted;
}

bool RoundDriver::finished() const {
  if (!all_ended()) return false;
  if (!lost_.empty()) return true;
  if (round_over() && unanswered_.empty()) return true;
  return elapsed() > longest_round() + 2 * (patience_.criu_after_round + patience_.archive);
}

}  // namespace lockstep::cli
