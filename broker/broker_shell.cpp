#include "broker/broker_shell.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <random>
#include <utility>

#include "broker/core/memory_journal.hpp"
#include "broker/journal_db.hpp"
#include "common/endpoints.hpp"
#include "common/log.hpp"
#include "common/zmq_socket.hpp"
#include "schemas/codec.hpp"

namespace lockstep::broker {
namespace {

/// Messages taken in one turn, so that a flood cannot keep deadlines waiting.
constexpr int kMessagesPerTurn = 256;

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
  return settings;
}

/// ipc sockets are files: their folder has to be there, and only their owner may use them.
Result<void> bind_one(zmq::socket_t& socket, const std::string& text, std::vector<std::string>& files) {
  const auto endpoint = parse_endpoint(text);
  if (!endpoint) return Failure(endpoint.error());
  const bool is_file = endpoint->transport == Transport::ipc && endpoint->path.front() == '/';
  if (is_file) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(endpoint->path).parent_path(), error);
    if (error) return fail(ErrorCode::system, "create the folder of " + endpoint->path, error.message());
  }
  const mode_t before = ::umask(0177);
  auto bound = bind_zmq(socket, endpoint->text());
  ::umask(before);
  if (bound && is_file) files.push_back(endpoint->path);
  return bound;
}

Result<std::unique_ptr<Journal>> open_journal(const std::string& path) {
  if (path == kNoJournal) return std::make_unique<MemoryJournal>();
  auto journal = JournalDb::create(path);
  if (!journal) return Failure(journal.error());
  return std::move(*journal);
}

}  // namespace

BrokerShell::BrokerShell(const BrokerConfig& config, std::unique_ptr<Journal> journal, Fd stop)
    : stop_(std::move(stop)), journal_(std::move(journal)),
      core_(core_settings(config), *journal_, Clock::now(), unix_ms()) {}

Result<BrokerShell> BrokerShell::create(const BrokerConfig& config, Fd stop) {
  auto journal = open_journal(config.journal);
  if (!journal) return Failure(journal.error());
  BrokerShell shell(config, std::move(*journal), std::move(stop));
  // Zero copy is for large messages. It doubles the receive buffer of each connection, and every message that waits keeps
  // a whole buffer: of a thousand agents, 10 MiB. No more than a saving, so a libzmq that refuses is as good.
  (void)::zmq_ctx_set(shell.context_.handle(), kZeroCopyReceive, 0);
  auto router = open_zmq_socket(shell.context_, zmq::socket_type::router, kMaxFrame);
  if (!router) return Failure(router.error());
  shell.router_ = std::move(*router);
  auto publisher = open_zmq_socket(shell.context_, zmq::socket_type::pub, kMaxFrame);
  if (!publisher) return Failure(publisher.error());
  shell.publisher_ = std::move(*publisher);
  if (auto bound = shell.bind(config); !bound) return Failure(bound.error());
  return shell;
}

Result<void> BrokerShell::bind(const BrokerConfig& config) {
  // Mandatory: what can't be delivered is told, not swallowed. Handover: an agent that reconnects keeps its name.
  router_.set(zmq::sockopt::router_mandatory, true);
  router_.set(zmq::sockopt::router_handover, true);
  for (const std::string& endpoint : config.listen) {
    if (auto bound = bind_one(router_, endpoint, socket_files_); !bound) return bound;
  }
  for (const std::string& endpoint : config.publish) {
    if (auto bound = bind_one(publisher_, endpoint, socket_files_); !bound) return bound;
  }
  return {};
}

void BrokerShell::unlink_sockets() {
  for (const std::string& file : socket_files_) ::unlink(file.c_str());
  socket_files_.clear();
}

void BrokerShell::run() {
  core_.recover(Clock::now(), out_);
  perform();
  std::vector<zmq::pollitem_t> items{{router_.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, stop_.get(), ZMQ_POLLIN, 0}};
  while (true) {
    poll_until(items, core_.next_deadline());
    if (items[1].revents != 0) break;
    if (items[0].revents != 0) receive();
    if (const TimePoint now = Clock::now(); now >= core_.next_deadline()) {
      core_.on_time(now, out_);
      perform();
    }
  }
  spdlog::info("stopping");
  unlink_sockets();
}

void BrokerShell::receive() {
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const std::vector<zmq::message_t> frames = receive_frames(router_);
    if (frames.empty()) return;
    const PeerId from(frames.front().to_string());
    if (frames.size() != 2) {
      core_.on_malformed(from, "a message is one frame", out_);
    } else if (const auto message = decode(frames[1].to_string_view()); message) {
      core_.on_message(from, *message, Clock::now(), out_);
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
  // PUB never refuses: what a slow subscriber misses, it asks for.
  (void)send_frames(publisher_, {action.topic, bytes});
  if (release) core_.set_published(releases_published_);
}

void BrokerShell::perform(const Archive& action) {
  const auto kept = journal_->end(action.status);
  // Not lost: the next broker finds the round unfinished, and ends it again.
  if (!kept) spdlog::warn("the end of round {} is not in the journal: {}", action.status.round.value, kept.error().message());
}

void BrokerShell::perform(const LogLine& action) {
  switch (action.level) {
    case LogLevel::debug: return spdlog::debug(action.text);
    case LogLevel::info: return spdlog::info(action.text);
    case LogLevel::warning: return spdlog::warn(action.text);
  }
}

}  // namespace lockstep::broker
