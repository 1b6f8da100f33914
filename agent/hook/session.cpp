#include "agent/hook/session.hpp"

#include <unistd.h>

#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/hook/agent_connection.hpp"
#include "agent/hook/conversation.hpp"
#include "agent/hook/coordinator_file.hpp"
#include "agent/hook/proc_files.hpp"
#include "agent/hook/process_tree.hpp"
#include "agent/hook/record_file.hpp"
#include "common/cgroup_path.hpp"
#include "schemas/codec.hpp"

namespace lockstep::hook {
namespace {

constexpr std::size_t kConfigLimit = std::size_t{64} << 10;
constexpr std::size_t kCgroupLimit = std::size_t{64} << 10;

Result<Settings> read_settings(const Environment& environment) {
  const auto file = read_small_file(kConfigFile, kConfigLimit);
  if (!file && file.error().code != ErrorCode::not_found) return Failure(file.error());
  return settings_from(environment, file ? std::string_view(*file) : std::string_view());
}

/// The pod that the member lives in, or on restore will live in; inode 0 where nobody can tell yet.
Result<PodId> find_pod(const Job& job) {
  auto boot_id = read_boot_id();
  if (!boot_id) return Failure(boot_id.error());
  if (job.root_pid == 0) return PodId{std::move(*boot_id), job.told_pod};
  const auto inode = netns_inode_of(job.root_pid);
  if (inode) return PodId{std::move(*boot_id), *inode};
  // After a failed dump or restore the root task may be gone. The agent still has to hear that it failed.
  if (job.action == HookAction::network_unlock) return PodId{std::move(*boot_id), job.told_pod};
  return Failure(inode.error());
}

/// Of a restore that a container runtime has started, or of the end of either operation: there is a record, if ever.
bool may_ask_record(HookAction action) {
  return action != HookAction::pre_dump && action != HookAction::network_lock && action != HookAction::post_dump;
}

/// Where nobody has said whose images these are, their record tells. Which round this is it can't tell: its own is that
/// of the dump. One that can't be read names nobody; the broker refuses it at pre-restore.
Result<void> ask_record(const ImagesFolder& images, MemberNames& names, std::vector<MemberId>& members) {
  auto bytes = images.read_record(kMaxFrame);
  if (!bytes) return Failure(bytes.error());
  const auto record = decode_record(*bytes);
  if (!record) return {};
  names.group = record->group;
  names.member = record->member;
  members = record->members;
  return {};
}

std::string cgroup_of(const Job& job) {
  if (job.root_pid == 0) return {};
  return read_small_file("/proc/" + std::to_string(job.root_pid) + "/cgroup", kCgroupLimit).value_or(std::string());
}

/// As criu-coordinator names a member: by its container, or else by its process.
std::string coordinator_name_of(const Job& job, const std::string& cgroup) {
  std::string who = container_id_in(cgroup);
  if (!who.empty() || job.root_pid == 0) return who;
  who = read_small_file("/proc/" + std::to_string(job.root_pid) + "/comm", kCgroupLimit).value_or(std::string());
  while (who.ends_with('\n')) who.pop_back();
  return who;
}

/// Where nobody has named the member in lockstep's own words: what criu-coordinator's files say of it, of those that it
/// belongs with, and of the broker. `recorded`: the members of the round that the images are of; those belong together,
/// whatever the files say by now. Nothing where there are no such files.
Result<CoordinatorEntry> ask_coordinator(const Environment& environment, const Job& job, const ImagesFolder& images,
                                         const std::string& cgroup, const std::vector<MemberId>& recorded) {
  CoordinatorEntry entry;
  const auto own = images.read_text(kCoordinatorFile);
  if (!own) return Failure(own.error());
  if (!own->empty()) {
    auto parsed = parse_coordinator_file(*own, kCoordinatorFile);
    if (!parsed) return parsed;
    entry = std::move(*parsed);
    // Who has made the images that are to be restored does not choose whom a hook of ours listens to.
    if (operation_of(job.action) == Operation::restore) entry.broker.clear();
  }
  const std::string path(environment.get("LOCKSTEP_COORDINATOR_CONFIG").value_or(kCoordinatorConfig));
  const auto common = path.empty() ? Result<std::string>(std::string()) : read_small_file(path, kConfigLimit);
  if (!common && common.error().code != ErrorCode::not_found) return Failure(common.error());
  const bool have_common = common && !common->empty();
  if (have_common) {
    auto parsed = parse_coordinator_config(*common, path, coordinator_name_of(job, cgroup));
    if (!parsed) return parsed;
    if (entry.broker.empty()) entry.broker = parsed->broker;
    if (own->empty()) entry = std::move(*parsed);
  }
  if (!recorded.empty() && (have_common || !own->empty())) entry.dependencies = recorded;
  return entry;
}

/// What the agent can't see from where it is.
Result<HookEvent> look_around(const Job& job, const ImagesFolder& images, const std::string& cgroup) {
  HookEvent event;
  event.action = job.action;
  event.root_pid = job.root_pid;
  event.criu_pid = ::getppid();
  const auto start = start_time_of(event.criu_pid);
  if (!start) return fail_from(start.error(), "look at CRIU");
  event.criu_start = *start;
  auto pod = find_pod(job);
  if (!pod) return Failure(pod.error());
  event.pod = std::move(*pod);
  event.container = container_id_in(cgroup);  // only hints: members have names as well
  event.pod_uid = pod_uid_in(cgroup);
  const bool sockets_count = job.action == HookAction::network_lock || job.action == HookAction::post_restore;
  if (sockets_count && job.root_pid != 0) {
    auto inodes = socket_inodes_of_tree(job.root_pid, kMaxSockets);
    if (!inodes) return Failure(inodes.error());
    event.socket_inodes = std::move(*inodes);
  }
  if (job.action == HookAction::pre_restore) {
    auto record = images.read_record(kMaxFrame);
    if (!record) return Failure(record.error());
    event.record.bytes = std::move(*record);
  }
  return event;
}

/// Nobody took the event. Where the agent said why before it hung up, that is the better reason.
Failure explain_refusal(AgentConnection& agent, Conversation& talk, const Error& error) {
  auto message = agent.receive(Clock::now());
  if (!message) return Failure(error);
  const Step step = talk.on(std::move(*message), Clock::now());
  // Never a go: it would answer something that the agent has not read.
  return step.kind == Step::Kind::abort ? fail(ErrorCode::refused, step.reason) : Failure(error);
}

/// What a go means to the images folder.
Result<void> finish(HookAction action, ImagesFolder& images) {
  if (action == HookAction::post_dump) return images.commit();
  // CRIU writes its first image after this. Until here an earlier checkpoint in the folder is whole, and stays so
  // when the round is aborted; from here on its record would pass for that of the images to come.
  if (action == HookAction::pre_dump) return images.remove_old();
  return {};
}

/// The other end of a talk, which may be replaced by another one in its course.
class Session {
 public:
  Session(const Settings& settings, ImagesFolder& images, Stopwatch& watch, AgentConnection agent, Message event)
      : settings_(settings),
        images_(images),
        watch_(watch),
        agent_(std::move(agent)),
        talk_(std::move(event), {settings.silence, settings.limit}, Clock::now()) {}

  /// Says the event, then does what each step says, until there is a verdict.
  [[nodiscard]] Result<void> run() {
    if (auto sent = say(); !sent) return explain_refusal(*agent_, talk_, sent.error());
    watch_.said();
    while (true) {
      Step step = next();
      switch (step.kind) {
        case Step::Kind::wait: break;
        case Step::Kind::go: return finish(std::get<HookEvent>(talk_.event().body).action, images_);
        case Step::Kind::abort: return fail(ErrorCode::refused, step.reason);
        case Step::Kind::connect: connect_again(); break;
        case Step::Kind::store: store(step.record); break;
      }
    }
  }

 private:
  [[nodiscard]] Result<void> say() { return agent_->send(talk_.event(), Clock::now() + settings_.silence); }

  /// Waits for the next thing that happens.
  [[nodiscard]] Step next() {
    if (!agent_) {
      std::this_thread::sleep_until(talk_.deadline());
      return talk_.on_time(Clock::now());
    }
    auto message = agent_->receive(talk_.deadline());
    const TimePoint now = Clock::now();
    watch_.heard();
    if (message) {
      envelope_ = Message{message->round, message->group, message->member, message->sequence, Alive{}};
      return talk_.on(std::move(*message), now);
    }
    if (message.error().code != ErrorCode::timeout) return lost(message.error());
    Step step = talk_.on_time(now);
    if (step.kind == Step::Kind::abort) step.reason = message.error().operation + ": " + step.reason;
    return step;
  }

  [[nodiscard]] Step lost(const Error& why) {
    agent_.reset();
    return talk_.on_lost(why, Clock::now());
  }

  void connect_again() {
    // Where a relay can be had it is asked: an agent that accepts connections and says nothing is a stopped one.
    auto agent = agent_ && !settings_.broker.empty()
                     ? AgentConnection::open_relay(settings_)
                     : AgentConnection::open(settings_, std::get<HookEvent>(talk_.event().body).pod.netns_inode);
    agent_.reset();
    if (agent) agent_.emplace(std::move(*agent));
    const auto said = agent ? say() : Result<void>(Failure(agent.error()));
    if (!said) (void)lost(said.error());  // in doubt: it is tried again
  }

  void store(std::string_view record) {
    const auto stored = images_.store(record);
    talk_.stored(stored.has_value());
    Message answer = envelope_;
    answer.body = Stored{stored.has_value(), stored ? std::string() : stored.error().message()};
    // What can't be said shows as a lost connection when the next message is waited for.
    (void)agent_->send(answer, Clock::now() + settings_.silence);
  }

  const Settings& settings_;
  ImagesFolder& images_;
  Stopwatch& watch_;
  std::optional<AgentConnection> agent_;
  Conversation talk_;
  Message envelope_;  ///< of the newest message: what an answer to it says it is about
};

}  // namespace

Result<void> run_session(const Environment& environment, HookAction action, Stopwatch& watch) {
  const auto job = job_from(environment, action);
  if (!job) return Failure(job.error());
  auto settings = read_settings(environment);
  if (!settings) return Failure(settings.error());
  auto images = ImagesFolder::open(job->images_dir);
  if (!images) return Failure(images.error());
  if (action == HookAction::pre_dump) {
    if (auto writable = images->check_writable(); !writable) return writable;
  }
  const auto member_file = images->read_text(kMemberFile);
  if (!member_file) return Failure(member_file.error());
  auto names = member_from(environment, *member_file);
  if (!names) return Failure(names.error());
  const std::string cgroup = cgroup_of(*job);
  const bool named = !names->round.empty() || !names->group.empty() || !names->member.empty();
  std::vector<MemberId> recorded;
  if (names->member.empty() && may_ask_record(action)) {
    if (auto asked = ask_record(*images, *names, recorded); !asked) return asked;
  }
  auto event = look_around(*job, *images, cgroup);
  if (!event) return Failure(event.error());
  if (!named) {
    auto entry = ask_coordinator(environment, *job, *images, cgroup, recorded);
    if (!entry) return Failure(entry.error());
    if (names->member.empty()) names->member = std::move(entry->id);
    if (!names->member.empty()) event->dependencies = std::move(entry->dependencies);
    if (settings->broker.empty() && !environment.get("LOCKSTEP_BROKER")) settings->broker = std::move(entry->broker);
  }
  auto agent = AgentConnection::open(*settings, event->pod.netns_inode);
  if (!agent) return Failure(agent.error());
  const Message message{std::move(names->round), std::move(names->group), std::move(names->member), 1,
                        std::move(*event)};
  return Session(*settings, *images, watch, std::move(*agent), message).run();
}

}  // namespace lockstep::hook
