#include "agent/agent_shell.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <utility>

#include "agent/agent_privileges.hpp"
#include "agent/exemption.hpp"
#include "agent/hook/proc_files.hpp"
#include "agent/stale_locks.hpp"
#include "common/log.hpp"
#include "common/netns.hpp"
#include "common/zmq_socket.hpp"
#include "schemas/codec.hpp"

namespace lockstep::agent {
namespace {

constexpr int kMessagesPerTurn = 256;
constexpr std::size_t kMaxWatches = 4'096;
/// A node agent lets go of a pod's namespace when nothing has happened there for so long.
constexpr seconds kIdlePod{10};
/// Why the broker does not let us in is told so often: libzmq tries again each second.
constexpr seconds kTellHandshakes{30};

std::string host_name() {
  std::string host(256, '\0');
  if (::gethostname(host.data(), host.size() - 1) != 0) return "unknown";
  return host.c_str();
}

Result<Hello> make_hello(const AgentConfig& config) {
  auto boot = boot_id();
  if (!boot) return Failure(boot.error());
  Hello hello;
  hello.role = config.scope == Scope::relay ? Role::relay : Role::agent;
  hello.boot_id = std::move(*boot);
  hello.whole_node = config.scope == Scope::node;
  if (config.scope == Scope::self) {
    const auto netns = open_netns("/proc/self/ns/net");
    if (!netns) return Failure(netns.error());
    const auto inode = netns_inode(*netns);
    if (!inode) return Failure(inode.error());
    hello.pods.push_back(*inode);
  }
  const std::string suffix = hello.whole_node ? "node" : hello.pods.empty() ? "relay" : std::to_string(hello.pods[0]);
  hello.name = config.name.empty() ? host_name() + "/" + suffix : config.name;
  return hello;
}

Result<HookServer> open_hooks(const AgentConfig& config, const Hello& hello, Fd hook) {
  if (config.scope == Scope::relay) return HookServer::adopt(std::move(hook));
  const std::string file = hello.whole_node ? "node.sock" : "pod-" + std::to_string(hello.pods[0]) + ".sock";
  return HookServer::listen(config.socket_dir + "/" + file, config.hook_group);
}

/// What a former life has left locked. A node's agent takes away what else its dead have left.
std::vector<LeftLock> find_left_locks(const AgentConfig& config, const Hello& hello) {
  if (config.scope == Scope::node) return sweep_stale_locks(config.socket_dir).left;
  std::vector<LeftLock> left;
  for (const std::uint64_t inode : hello.pods) {
    auto found = find_left_lock({inode, "its own", "/proc/self/ns/net"});
    if (!found)
      spdlog::warn("whether the pod is locked can't be told: {}", found.error().message());
    else if (*found)
      left.push_back(std::move(**found));
  }
  return left;
}

Result<std::unique_ptr<Pods>> open_pods(const AgentConfig& config, const Hello& hello,
                                        const std::vector<LeftLock>& left) {
  std::vector<Endpoint> exempt;
  if (config.scope == Scope::self) {
    auto resolved = resolve_exemptions({config.broker, config.releases});
    if (!resolved) return Failure(resolved.error());
    exempt = std::move(*resolved);
  }
  auto pods = std::make_unique<Pods>(hello.boot_id, config.lock, std::move(exempt), this_process(hello.name));
  if (config.scope == Scope::node) {
    auto own = open_netns("/proc/self/ns/net");
    if (!own) return Failure(own.error());
    if (auto added = pods->add_node(std::move(*own)); !added) return Failure(added.error());
  }
  for (const LeftLock& lock : left) {
    const Closing closing{CoreSettings().found_lease, lock.lock.note.round};
    const auto taken = pods->take_over({PodId{hello.boot_id, lock.pod.inode}, 0, lock.pod.path}, closing);
    // A sidecar would open the pod when it prepares its own lock: rather be started again. The lease goes on meanwhile.
    if (!taken && config.scope == Scope::self) return fail_from(taken.error(), "keep the pod locked as it was found");
    if (!taken)
      spdlog::warn("pod net:[{}] was left locked, and that can't be kept: {}", lock.pod.inode, taken.error().message());
    else
      remove_replaced(lock);
  }
  for (const std::uint64_t inode : hello.pods) {
    // Now rather than in a round: it takes away what an earlier agent left, and tells what this kernel can't do.
    const PodPlace own{PodId{hello.boot_id, inode}, 0, "/proc/self/ns/net"};
    if (auto prepared = pods->prepare(own); !prepared) return Failure(prepared.error());
  }
  return pods;
}

}  // namespace

Result<std::unique_ptr<AgentShell>> AgentShell::create(const AgentConfig& config, Fd stop, Fd hook) {
  auto key = key_for({config.broker, config.releases}, config.key, {kAgentKey});
  if (!key) return Failure(key.error());
  if (*key && (*key)->entry.role != KeyRole::agent) {
    return fail(ErrorCode::refused, "key " + (*key)->path,
                "is an " + std::string(to_string((*key)->entry.role)) + "'s; an agent needs one with role: agent");
  }
  auto hello = make_hello(config);
  if (!hello) return Failure(hello.error());
  const std::vector<LeftLock> left = find_left_locks(config, *hello);
  auto hooks = open_hooks(config, *hello, std::move(hook));
  if (!hooks) return Failure(hooks.error());
  auto pods = open_pods(config, *hello, left);
  if (!pods) return Failure(pods.error());
  // Sockets and tables are there, and libzmq's threads, which would keep what they are born with, are not.
  if (auto dropped = drop_privileges(config.scope, (*pods)->may_use_iptables()); !dropped)
    return Failure(dropped.error());
  CoreSettings settings;
  settings.hello = std::move(*hello);
  settings.broker = config.broker;
  settings.claim_group = GroupId(config.group);
  settings.claim_member = MemberId(config.member);
  settings.in_doubt = config.in_doubt;
  std::unique_ptr<AgentShell> shell(
      new AgentShell(config, std::move(stop), std::move(*pods), std::move(*hooks), std::move(settings)));
  shell->take_over(left);
  shell->key_ = std::move(*key);
  if (auto connected = shell->connect(config); !connected) return Failure(connected.error());
  return shell;
}

void AgentShell::take_over(const std::vector<LeftLock>& left) {
  for (const LeftLock& lock : left) {
    const PodId pod = pods_->id_of(lock.pod.inode);
    if (pods_->armed(pod)) core_.take_over(pod, RoundId(lock.lock.note.round), Clock::now(), out_);
  }
  perform();
}

AgentShell::AgentShell(const AgentConfig& config, Fd stop, std::unique_ptr<Pods> pods, HookServer hooks,
                       CoreSettings settings)
    : scope_(config.scope),
      stop_(std::move(stop)),
      pods_(std::move(pods)),
      hooks_(std::move(hooks)),
      core_(std::move(settings), *pods_, Clock::now()) {}

Result<void> AgentShell::connect(const AgentConfig& config) {
  auto dealer = open_zmq_socket(context_, zmq::socket_type::dealer, kMaxFrame);
  if (!dealer) return Failure(dealer.error());
  dealer_ = std::move(*dealer);
  // One routing id for this process's life: a reconnection is no newcomer to the broker. A leading zero byte is
  // libzmq's.
  std::random_device random;
  dealer_.set(zmq::sockopt::routing_id,
              "agent-" + std::to_string(::getpid()) + "-" + std::to_string(random()) + "-" + std::to_string(random()));
  // Without a connection a message is refused, not kept: the core repeats what still matters, and stale news hurt.
  dealer_.set(zmq::sockopt::immediate, true);
  auto watch = HandshakeWatch::create(context_, dealer_);
  if (!watch) return Failure(watch.error());
  handshakes_ = std::move(*watch);
  broker_ = config.broker;
  if (auto connected = connect_one(dealer_, config.broker); !connected) return connected;
  auto subscriber = open_zmq_socket(context_, zmq::socket_type::sub, kMaxFrame);
  if (!subscriber) return Failure(subscriber.error());
  subscriber_ = std::move(*subscriber);
  subscriber_.set(zmq::sockopt::subscribe, kReleaseTopic);
  return connect_one(subscriber_, config.releases);
}

Result<void> AgentShell::connect_one(zmq::socket_t& socket, const std::string& endpoint) {
  if (auto trusted = check_broker_socket(endpoint); !trusted) return trusted;
  if (key_ && endpoint.starts_with("tcp:")) {
    if (auto secured = secure_zmq(socket, *key_); !secured) return secured;
  }
  if (scope_ != Scope::self) return connect_zmq(socket, endpoint);
  const auto address = with_address(endpoint);
  if (!address) return Failure(address.error());
  return connect_zmq(socket, *address);
}

void AgentShell::tell_failed_handshakes() {
  std::optional<HandshakeFailure> last;
  while (const auto failure = handshakes_.next()) last = failure;
  if (!last || Clock::now() < tell_handshakes_) return;
  spdlog::warn("{}", explain(*last, broker_, key_));
  tell_handshakes_ = Clock::now() + kTellHandshakes;
}

void AgentShell::run() {
  core_.start(Clock::now(), out_);
  perform();
  while (!stopping_) poll_once();
  core_.shut_down("its agent was stopped", out_);
  perform();
}

void AgentShell::poll_once() {
  const std::vector<HookServer::Interest> interests = hooks_.interests();
  std::vector<zmq::pollitem_t> items{{dealer_.handle(), 0, ZMQ_POLLIN, 0},
                                     {subscriber_.handle(), 0, ZMQ_POLLIN, 0},
                                     {nullptr, stop_.get(), ZMQ_POLLIN, 0}};
  for (const HookServer::Interest& interest : interests) {
    items.push_back(
        {nullptr, interest.fd, static_cast<short>(ZMQ_POLLIN | (interest.wants_write ? ZMQ_POLLOUT : 0)), 0});
  }
  const std::size_t first_watch = items.size();
  for (const CriuWatch& watch : criu_watches_) items.push_back({nullptr, watch.pidfd.get(), ZMQ_POLLIN, 0});
  poll_until(items, core_.next_deadline());
  if (items[2].revents != 0) stopping_ = true;
  if (items[1].revents != 0) receive_releases();
  if (items[0].revents != 0) receive_from_broker();
  for (std::size_t i = 0; i < interests.size(); ++i) serve_hook(interests[i], items[i + 3].revents);
  // After the hooks: what one has said before its CRIU ended comes first.
  if (std::any_of(items.begin() + static_cast<std::ptrdiff_t>(first_watch), items.end(),
                  [](const zmq::pollitem_t& item) { return item.revents != 0; })) {
    take_criu_ends();
  }
  if (const TimePoint now = Clock::now(); now >= core_.next_deadline()) {
    core_.on_time(now, out_);
    perform();
    tell_failed_handshakes();
    hooks_.break_off_slow(now);
    if (scope_ == Scope::node) pods_->forget_idle(now, kIdlePod);
  }
  if (scope_ == Scope::relay && hooks_.connections() == 0) stopping_ = true;
}

void AgentShell::serve_hook(const HookServer::Interest& interest, short revents) {
  if (revents == 0) return;
  if (interest.hook == 0) {
    for (const std::string& why : hooks_.accept_all()) spdlog::warn("turned a hook away: {}", why);
    return;
  }
  if ((revents & ZMQ_POLLOUT) != 0) hooks_.flush(interest.hook);
  if ((revents & (ZMQ_POLLIN | ZMQ_POLLERR)) == 0) return;
  const HookInput input = hooks_.read(interest.hook);
  const TimePoint now = Clock::now();
  for (const Message& message : input.messages) core_.on_hook_message(input.hook, message, now, out_);
  if (input.closed) {
    if (!input.problem.empty()) spdlog::warn("hook {}: {}", input.hook, input.problem);
    core_.on_hook_closed(input.hook, now, out_);
    hooks_.drop(input.hook);
  }
  perform();
}

void AgentShell::receive_from_broker() {
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const auto frames = receive_frames(dealer_);
    if (frames.empty()) return;
    const auto message = decode(frames.back().to_string_view());
    if (message) {
      core_.on_broker_message(*message, Clock::now(), out_);
    } else {
      spdlog::warn("broker: {}", message.error().message());
    }
    perform();
  }
}

void AgentShell::receive_releases() {
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const auto frames = receive_frames(subscriber_);
    if (frames.empty()) return;
    const auto message = decode(frames.back().to_string_view());
    if (message) {
      core_.on_publication(*message, Clock::now(), out_);
    } else {
      spdlog::warn("broker's publication: {}", message.error().message());
    }
    perform();
  }
}

void AgentShell::perform() {
  for (const Action& action : out_.take()) std::visit([this](const auto& what) { perform(what); }, action);
}

void AgentShell::perform(const ToBroker& action) {
  // Not delivered is not lost: the core repeats it, or gives the broker up.
  (void)send_frames(dealer_, {encode(action.message)});
}

void AgentShell::perform(const ToHook& action) { hooks_.send(action.hook, action.message, action.last); }

void AgentShell::perform(const WatchCriu& action) {
  const auto is_same = [&](const CriuWatch& watch) { return watch.pid == action.pid && watch.start == action.start; };
  if (std::ranges::any_of(criu_watches_, is_same) || criu_watches_.size() >= kMaxWatches) return;
  // Opened before it is looked at: then it is the process that is looked at, or one that has ended.
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, action.pid, 0)));
  if (!pidfd) return;
  // From another pid namespace, the number may be somebody else's.
  const auto start = hook::start_time_of(action.pid);
  if (!start || *start != action.start) return;
  criu_watches_.push_back({action.pid, action.start, std::move(pidfd)});
}

void AgentShell::take_criu_ends() {
  for (auto watch = criu_watches_.begin(); watch != criu_watches_.end();) {
    pollfd ended{watch->pidfd.get(), POLLIN, 0};
    if (::poll(&ended, 1, 0) != 1) {
      ++watch;
      continue;
    }
    core_.on_criu_gone(watch->pid, watch->start, out_);
    watch = criu_watches_.erase(watch);
  }
  perform();
}

void AgentShell::perform(const LogLine& action) {
  switch (action.level) {
    case LogLevel::debug: return spdlog::debug(action.text);
    case LogLevel::info: return spdlog::info(action.text);
    case LogLevel::warning: return spdlog::warn(action.text);
  }
}

}  // namespace lockstep::agent
