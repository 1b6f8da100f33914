#include "broker/broker_shell.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <random>
#include <utility>

#include "broker/core/memory_journal.hpp"
#include "broker/ipc_folder.hpp"
#include "broker/journal_db.hpp"
#include "common/endpoints.hpp"
#include "common/log.hpp"
#include "common/round_id.hpp"
#include "common/signals.hpp"
#include "common/zmq_socket.hpp"
#include "schemas/codec.hpp"

namespace lockstep::broker {
namespace {

/// Messages taken in one turn, so that a flood cannot keep deadlines waiting.
constexpr int kMessagesPerTurn = 256;
/// Nor should large ones: no new message is begun after so long.
constexpr milliseconds kTurn{5};

/// How often those that come too many are looked at.
constexpr milliseconds kNewsOfTheCrowd{50};

/// Messages of one peer that wait to be read; what it says beyond that waits in its own connection. An agent says few
/// things at once, and each may be as large as a frame.
constexpr int kWaitingPerPeer = 16;

/// ZMQ_ZERO_COPY_RECV: zmq.h shows it among its drafts only, libzmq 4.3 has it in every build.
constexpr int kZeroCopyReceive = 10;

std::int64_t unix_ms() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Different at each start, also after a restart within the same second.
std::string life_name() {
  std::string host(256, '\0');
  if (::gethostname(host.data(), host.size() - 1) != 0) host = "broker";
  std::random_device random;
  return std::string(host.c_str()) + "-" + std::to_string(::getpid()) + "-" + std::to_string(random());
}

CoreSettings core_settings(const BrokerConfig& config) {
  CoreSettings settings;
  settings.name = life_name();
  settings.heartbeat = config.heartbeat;
  settings.silence = config.silence;
  if (const auto id = new_round_id()) settings.own_rounds += "-" + id->value;
  return settings;
}

Result<std::unique_ptr<Journal>> open_journal(const std::string& path) {
  if (path == kNoJournal) return std::make_unique<MemoryJournal>();
  auto journal = JournalDb::create(path);
  if (!journal) return Failure(journal.error());
  return std::move(*journal);
}

}  // namespace

BrokerShell::BrokerShell(const BrokerConfig& config, std::unique_ptr<Journal> journal, Fd stop)
    : stop_(std::move(stop)),
      journal_(std::move(journal)),
      core_(core_settings(config), *journal_, Clock::now(), unix_ms()) {}

Result<BrokerShell> BrokerShell::create(const BrokerConfig& config, Fd stop, Fd hangup) {
  auto journal = open_journal(config.journal);
  if (!journal) return Failure(journal.error());
  BrokerShell shell(config, std::move(*journal), std::move(stop));
  shell.hangup_ = std::move(hangup);
  if (!config.groups.empty()) {
    auto groups = GroupsFile::open(config.groups, config.silence);
    if (!groups) return Failure(groups.error());
    shell.groups_.emplace(std::move(*groups));
  }
  // Zero copy is for large messages. It doubles the receive buffer of each connection, and every message that waits
  // keeps a whole buffer: of a thousand agents, 10 MiB. No more than a saving, so a libzmq that refuses is as good.
  (void)::zmq_ctx_set(shell.context_->handle(), kZeroCopyReceive, 0);
  for (const auto& endpoints : {config.listen, config.publish}) {
    if (auto made = prepare_ipc_folders(endpoints, {}); !made) return Failure(made.error());
  }
  // Before anything is bound: a connection that nobody can be asked about is turned away.
  auto gate = Gate::create(*shell.context_, config.keys, !config.ipc_group.empty());
  if (!gate) return Failure(gate.error());
  shell.gate_.emplace(std::move(*gate));
  shell.publisher_.emplace(*shell.context_, shell.gate_->secret_key());
  auto router = open_zmq_socket(*shell.context_, zmq::socket_type::router, kMaxFrame);
  if (!router) return Failure(router.error());
  shell.router_ = std::move(*router);
  if (auto bound = shell.bind(config); !bound) return Failure(bound.error());
  return shell;
}

Result<void> BrokerShell::bind(const BrokerConfig& config) {
  // Mandatory: what can't be delivered is told, not swallowed. Handover: an agent that reconnects keeps its name.
  router_.set(zmq::sockopt::router_mandatory, true);
  router_.set(zmq::sockopt::router_handover, true);
  auto watch = HandshakeWatch::create(*context_, router_);
  if (!watch) return Failure(watch.error());
  handshakes_ = std::move(*watch);
  router_.set(zmq::sockopt::rcvhwm, kWaitingPerPeer);
  socket_mask_ = config.ipc_group.empty() ? 0177 : 0117;
  for (const std::string& endpoint : config.listen) {
    if (auto bound = bind_one(&router_, endpoint); !bound) return bound;
  }
  for (const std::string& endpoint : config.publish) {
    if (auto bound = bind_one(nullptr, endpoint); !bound) return bound;
  }
  return {};
}

/// Binds the router, or without one the publisher.
Result<void> BrokerShell::bind_one(zmq::socket_t* router, const std::string& text) {
  const auto endpoint = parse_endpoint(text);
  if (!endpoint) return Failure(endpoint.error());
  const std::string address = endpoint->text();
  if (endpoint->transport == Transport::tcp && !gate_->secret_key().empty()) {
    if (router == nullptr) return publisher_->bind_network(address);
    if (auto guarded = guard_zmq(*router, std::string(kNetworkDomain), gate_->secret_key()); !guarded) return guarded;
    return bind_zmq(*router, address);
  }
  const bool is_file = endpoint->transport == Transport::ipc;
  const std::string domain(is_file ? kFileDomain : kLoopbackDomain);
  // Sockets are files, and from the first moment only for those who may use them.
  const mode_t before = ::umask(socket_mask_);
  Result<void> bound;
  if (router == nullptr) {
    bound = publisher_->bind_local(address, domain);
  } else {
    bound = guard_zmq(*router, domain, {});
    if (bound) bound = bind_zmq(*router, address);
  }
  ::umask(before);
  if (bound && is_file) socket_files_.push_back(endpoint->path);
  return bound;
}

void BrokerShell::unlink_sockets() {
  for (const std::string& file : socket_files_) ::unlink(file.c_str());
  socket_files_.clear();
}

void BrokerShell::run() {
  core_.recover(Clock::now(), out_);
  perform();
  if (gate_->changes() >= 0) spdlog::info("{} keys are allowed", gate_->keys());
  for (const std::string& complaint : gate_->take_complaints()) spdlog::warn("{}", complaint);
  read_groups_again();
  while (!stopping_) poll_once();
  spdlog::info("stopping");
  unlink_sockets();
}

void BrokerShell::poll_once() {
  const auto on_socket = [](void* handle) { return zmq::pollitem_t{handle, 0, ZMQ_POLLIN, 0}; };
  const auto on_file = [](int fd) { return zmq::pollitem_t{nullptr, fd, ZMQ_POLLIN, 0}; };
  std::vector<zmq::pollitem_t> items{on_socket(router_.handle()), on_file(stop_.get()), on_socket(gate_->handle())};
  const bool has_keys = gate_->changes() >= 0;
  if (has_keys) items.push_back(on_file(gate_->changes()));
  if (hangup_) items.push_back(on_file(hangup_.get()));
  if (groups_) items.push_back(on_file(groups_->changes()));
  const std::size_t watched = items.size();
  // With or without keys: what a watch has to tell must be taken.
  const std::array watches{&handshakes_, &publisher_->handshakes(), &publisher_->local_watch()};
  TimePoint until =
      std::min({core_.next_deadline(), publisher_->resume_at().value_or(TimePoint::max()), gate_->next_reload(),
                groups_ ? groups_->next_look() : TimePoint::max()});
  // While connections are turned away there is news of each of them: some at a time will do.
  if (connections_->busy()) {
    until = std::min(until, Clock::now() + kNewsOfTheCrowd);
  } else {
    for (HandshakeWatch* watch : watches) {
      if (watch->handle() != nullptr) items.push_back(on_socket(watch->handle()));
    }
  }
  poll_until(items, until);
  stopping_ = items[1].revents != 0;
  // First of all: what a revoked key has sent is no longer to be taken.
  if (has_keys && (gate_->has_changed() || Clock::now() >= gate_->next_reload())) read_keys_again();
  const bool hung_up = hangup_ && take_signals(hangup_) > 0;
  if (has_keys && hung_up) read_keys_again();
  const bool groups_changed = groups_ && items[watched - 1].revents != 0;
  if (groups_ && (hung_up || groups_changed || Clock::now() >= groups_->next_look())) read_groups_again();
  if (items[2].revents != 0) {
    for (const std::string& why : gate_->answer_questions()) core_.on_turned_away(why, Clock::now(), out_);
    perform();
  }
  for (HandshakeWatch* watch : watches) hear(*watch);
  if (items[0].revents != 0) receive();
  const TimePoint now = Clock::now();
  if (const auto problem = publisher_->resume(now)) spdlog::warn("{}", *problem);
  if (now >= core_.next_deadline()) {
    core_.on_time(now, out_);
    perform();
  }
}

void BrokerShell::read_keys_again() {
  const std::size_t before = gate_->keys();
  const std::vector<Identity> gone = gate_->reload();
  for (const std::string& complaint : gate_->take_complaints()) spdlog::warn("{}", complaint);
  // Editors and `lockstep keys` write files that are no keys yet: no news.
  if (!gone.empty() || gate_->keys() != before)
    spdlog::info("the allow-list has changed: {} keys are allowed", gate_->keys());
  if (gone.empty()) return;
  core_.on_revoked(gone, gate_->nodes(), Clock::now(), out_);
  perform();
  publisher_->cut_off();
}

void BrokerShell::read_groups_again() {
  if (!groups_) return;
  auto news = groups_->look();
  if (!news) return;
  if (!*news) return spdlog::warn("{}; the groups stay as they were", news->error().message());
  StandingGroups groups(std::move(**news));
  spdlog::info("rounds of {} groups may be started from outside", groups.size());
  core_.set_standing_groups(std::move(groups));
}

void BrokerShell::hear(HandshakeWatch& watch) {
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const auto failure = watch.next();
    if (!failure) break;
    if (gate_->changes() < 0) continue;  // without keys nobody is turned away
    // Keys that are not allowed the gate has counted; what only ended in the middle was nobody who wanted in.
    if (*failure == HandshakeFailure::other_terms) core_.on_turned_away("a peer without a key", Clock::now(), out_);
    if (*failure == HandshakeFailure::other_key) {
      core_.on_turned_away("a peer whose key was made for another broker", Clock::now(), out_);
    }
  }
  if (watch.take_no_room()) connections_->turn_away(watch.listeners());
  perform();
}

void BrokerShell::receive() {
  const TimePoint end = Clock::now() + kTurn;
  for (int i = 0; i < kMessagesPerTurn && Clock::now() < end; ++i) {
    const std::vector<zmq::message_t> frames = receive_frames(router_);
    if (frames.empty()) return;
    // A key may have been revoked while this turn was under way, and what comes after that is not to be taken.
    if (gate_->changes() >= 0 && gate_->has_changed()) read_keys_again();
    const PeerId from(frames.front().to_string());
    if (frames.size() != 2) {
      core_.on_malformed(from, "a message is one frame", out_);
    } else if (const auto message = decode(frames[1].to_string_view()); message) {
      core_.on_message(from, *message, Clock::now(), out_, gate_->identity(frames[1]));
    } else {
      core_.on_malformed(from, message.error().message(), out_);
    }
    perform();
  }
}

void BrokerShell::perform() {
  // Performing may give rise to more: an unroutable peer ends its rounds.
  for (std::vector<Action> actions = out_.take(); !actions.empty(); actions = out_.take()) {
    for (const Action& action : actions) std::visit([this](const auto& what) { perform(what); }, action);
  }
}

void BrokerShell::perform(const SendTo& action) {
  const std::string bytes = encode(action.message);
  if (send_frames(router_, {action.peer.value, bytes}) == Sent::yes) return;
  core_.on_unroutable(action.peer, Clock::now(), out_);
}

void BrokerShell::perform(const Publish& action) {
  Message message = action.message;
  const bool release = action.topic == kReleaseTopic;
  message.sequence = release ? ++releases_published_ : ++statuses_published_;
  const std::string bytes = encode(message);
  publisher_->publish(action.topic, bytes);
  if (release) core_.set_published(releases_published_);
}

void BrokerShell::perform(const Archive& action) {
  const auto kept = journal_->end(action.status);
  // Not lost: the next broker finds the round unfinished, and ends it again.
  if (!kept)
    return spdlog::warn("the end of round {} is not in the journal: {}", action.status.round.value,
                        kept.error().message());
  if (const auto tidied = journal_->tidy(); !tidied)
    spdlog::warn(
        "the journal has the end of round {}, but can't be tidied up; it is tried again after the next round: {}",
        action.status.round.value, tidied.error().message());
}

void BrokerShell::perform(const LogLine& action) {
  switch (action.level) {
    case LogLevel::debug: return spdlog::debug(action.text);
    case LogLevel::info: return spdlog::info(action.text);
    case LogLevel::warning: return spdlog::warn(action.text);
  }
}

}  // namespace lockstep::broker
