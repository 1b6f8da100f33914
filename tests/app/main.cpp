/// lockstep-traffic: an application to checkpoint. A server and a client send each other numbered, checksummed messages
/// over several connections as fast as they can, and verify that none is lost, doubled, out of order or corrupt.
///
/// It is made to be dumped by CRIU: one thread, plain sockets and one epoll, no file but the status file, and it
/// never reconnects, so a connection that did not survive is seen.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/app/endpoint.hpp"
#include "tests/app/status_file.hpp"

namespace lockstep::traffic {
namespace {

using namespace std::chrono_literals;

constexpr auto kReportEvery = 50ms;
constexpr auto kGoodbyeLimit = 3s;

volatile std::sig_atomic_t g_terminate = 0;
volatile std::sig_atomic_t g_reset_pause = 0;

struct Options {
  Side side = Side::client;
  std::uint16_t port = 0;
  bool dual_stack = false;
  std::vector<std::string> to;
  std::uint32_t connections = 1;
  std::uint64_t rate = 0;
  std::size_t ballast_mib = 0;
  std::string status, pidfile;
};

/// The event loop.
class Program {
 public:
  explicit Program(const Options& options) : options_(options), ballast_(options.ballast_mib * 1024 * 1024, 'b') {}

  /// Returns the exit code: 0 healthy, 1 not.
  Result<int> run();

 private:
  Result<void> open();
  void turn();
  void accept_from(int listener);
  void add(Fd socket, std::uint32_t number);
  void serve(std::size_t index, std::uint32_t events);
  void update_interest();
  void report_when_due();
  [[nodiscard]] bool all_over() const;

  Options options_;
  std::vector<char> ballast_;
  Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Fd> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::uint32_t> interest_;  ///< what epoll has been told, by the connection's index
  std::unique_ptr<StatusFile> status_;
  Clock::time_point next_report_ = Clock::now();
  bool leaving_ = false;
};

Result<void> write_pidfile(const std::string& path) {
  const std::string part = path + ".part";
  std::ofstream(part) << ::getpid() << '\n';
  if (std::rename(part.c_str(), path.c_str()) != 0) return fail_errno("write " + path);
  return {};
}

Result<void> Program::open() {
  auto status = StatusFile::create(options_.status);
  if (!status) return tl::unexpected(status.error());
  status_ = std::make_unique<StatusFile>(std::move(*status));
  if (options_.side == Side::server) {
    auto listeners = listen_on(options_.port, options_.dual_stack);
    if (!listeners) return tl::unexpected(listeners.error());
    listeners_ = std::move(*listeners);
    for (const Fd& listener : listeners_) {
      // Listeners have numbers above every connection's index.
      epoll_event event{.events = EPOLLIN, .data = {.u64 = (std::uint64_t{1} << 32) + std::uint64_t(listener.get())}};
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener.get(), &event);
    }
  }
  for (std::uint32_t round = 0; round < options_.connections && options_.side == Side::client; ++round) {
    for (const std::string& to : options_.to) {
      auto socket = connect_to(to);
      if (!socket) return tl::unexpected(socket.error());
      add(std::move(*socket), static_cast<std::uint32_t>(connections_.size()) + 1);
    }
  }
  status_->write(options_.side, connections_);
  if (!options_.pidfile.empty()) return write_pidfile(options_.pidfile);
  return {};
}

Result<int> Program::run() {
  if (auto opened = open(); !opened) return tl::unexpected(opened.error());
  while (g_terminate == 0) turn();
  leaving_ = true;
  for (auto& connection : connections_) connection->say_goodbye();
  const auto limit = Clock::now() + kGoodbyeLimit;
  while (!all_over() && Clock::now() < limit) turn();
  status_->write(options_.side, connections_);
  return all_over() && healthy(connections_) ? 0 : 1;
}

void Program::turn() {
  update_interest();
  const auto now = Clock::now();
  auto wait = std::chrono::ceil<std::chrono::milliseconds>(next_report_ - now);
  // With a rate, something is due again before epoll would tell.
  if (options_.rate != 0) wait = std::min(wait, std::chrono::milliseconds(2));
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), std::max<int>(0, int(wait.count())));
  for (int at = 0; at < count; ++at) {
    const std::uint64_t key = events[std::size_t(at)].data.u64;
    if (key >> 32 != 0) {
      accept_from(static_cast<int>(key & 0xffffffffU));
    } else {
      serve(key, events[std::size_t(at)].events);
    }
  }
  report_when_due();
}

void Program::accept_from(int listener) {
  while (true) {
    Fd socket(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    add(std::move(socket), 0);
  }
}

void Program::add(Fd socket, std::uint32_t number) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = connections_.size()}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event);
  connections_.push_back(std::make_unique<Connection>(std::move(socket), options_.side, number, options_.rate));
  interest_.push_back(EPOLLIN);
  if (leaving_) connections_.back()->say_goodbye();
}

void Program::serve(std::size_t index, std::uint32_t events) {
  Connection& connection = *connections_[index];
  const auto now = Clock::now();
  // A hang-up or an error shows as the result of the next recv().
  if (connection.fd() >= 0 && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) connection.on_readable(now);
  if (connection.fd() >= 0 && (events & EPOLLOUT) != 0) connection.on_writable(now);
}

void Program::update_interest() {
  const auto now = Clock::now();
  for (std::size_t index = 0; index < connections_.size(); ++index) {
    const Connection& connection = *connections_[index];
    if (connection.fd() < 0) continue;  // closing it has taken it out of the epoll set
    const std::uint32_t wanted = EPOLLIN | (connection.wants_to_write(now) ? std::uint32_t{EPOLLOUT} : 0U);
    if (wanted == interest_[index]) continue;
    epoll_event event{.events = wanted, .data = {.u64 = index}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd(), &event);
    interest_[index] = wanted;
  }
}

void Program::report_when_due() {
  if (g_reset_pause != 0) {
    g_reset_pause = 0;
    for (auto& connection : connections_) connection->reset_pause();
    next_report_ = Clock::now();
  }
  if (Clock::now() < next_report_) return;
  status_->write(options_.side, connections_);
  next_report_ = Clock::now() + kReportEvery;
}

bool Program::all_over() const {
  return std::ranges::all_of(connections_, [](const auto& each) { return each->state() != Connection::State::open; });
}

void install_signals() {
  std::signal(SIGTERM, [](int) { g_terminate = 1; });
  std::signal(SIGINT, [](int) { g_terminate = 1; });
  std::signal(SIGUSR1, [](int) { g_reset_pause = 1; });
  std::signal(SIGHUP, SIG_IGN);
}

}  // namespace
}  // namespace lockstep::traffic

int main(int argc, char** argv) {
  using namespace lockstep::traffic;
  Options options;
  CLI::App app(
      "Exchanges numbered, checksummed messages over TCP and verifies them.\n"
      "SIGUSR1 forgets the longest pause; SIGTERM says goodbye on every connection and exits with 0 when\n"
      "nothing was ever wrong, else with 1.");
  app.require_subcommand(1);
  const auto common = [&options](CLI::App* command) {
    command->add_option("--status", options.status, "file to tell the state in, as JSON, about every 50 ms")
        ->required();
    command->add_option("--pidfile", options.pidfile, "file to write the pid to, once listening or connected");
    command->add_option("--ballast", options.ballast_mib, "MiB of memory to fill, which make a dump last");
    command->add_option("--rate", options.rate, "messages a second on each connection (default: no limit)");
  };
  auto* serve = app.add_subcommand("serve", "listen, and talk with whoever connects");
  serve->add_option("--port", options.port, "TCP port, IPv4 and IPv6")->required()->check(CLI::Range(1, 65535));
  serve->add_flag("--dual-stack", options.dual_stack, "one socket for both families: IPv4 peers get mapped addresses");
  common(serve);
  auto* connect = app.add_subcommand("connect", "connect to a server, and talk");
  connect->add_option("--to", options.to, "10.0.0.1:80 or [fd00::1]:80; may be repeated")->required();
  connect->add_option("--connections", options.connections, "connections to each address")->check(CLI::Range(1, 10000));
  common(connect);
  CLI11_PARSE(app, argc, argv);
  options.side = serve->parsed() ? Side::server : Side::client;

  install_signals();
  const auto code = Program(options).run();
  if (!code) {
    std::fprintf(stderr, "lockstep-traffic: %s\n", code.error().message().c_str());
    return 2;
  }
  return *code;
}
