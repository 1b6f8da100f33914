#include "tests/e2e/apps/client/load.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "tests/app/endpoint.hpp"

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

constexpr auto kReadyLimit = 20s;
constexpr auto kAnswerLimit = 20s;
constexpr auto kTurn = 200ms;

[[noreturn]] void fail_connection(std::uint32_t number, const std::string& what) {
  throw std::runtime_error("connection " + std::to_string(number) + ": " + what);
}

}  // namespace

Load::Load(const LoadOptions& options) : options_(options), ledger_(options.ledger) {
  for (std::uint32_t number = 0; number < options.connections; ++number) {
    Connection connection;
    connection.number = number;
    connection.protocol = make_protocol(options.protocol, number);
    if (!connection.protocol) throw std::runtime_error("no protocol is called " + options.protocol);
    auto socket = traffic::connect_to(options.to[number % options.to.size()]);
    if (!socket) fail_connection(number, socket.error().message());
    connection.socket = std::move(*socket);
    connection.output = connection.protocol->greeting();
    connections_.push_back(std::move(connection));
  }
  const auto end = Clock::now() + kReadyLimit;
  while (!all_ready()) {
    if (Clock::now() > end) throw std::runtime_error("not every server answers");
    turn(false);
  }
}

std::uint64_t Load::run(const volatile int& stop) {
  // Spread over the interval, not all in one moment.
  for (Connection& connection : connections_) {
    if (options_.rate > 0)
      connection.next = Clock::now() + 1'000'000us / options_.rate * connection.number / options_.connections;
  }
  while (stop == 0) turn(true);
  const auto end = Clock::now() + kAnswerLimit;
  while (!all_answered()) {
    if (Clock::now() > end) throw std::runtime_error("the last requests are not answered");
    turn(false);
  }
  return noted_;
}

bool Load::all_ready() const { return std::ranges::all_of(connections_, &Connection::ready); }

bool Load::all_answered() const { return std::ranges::none_of(connections_, &Connection::pending); }

void Load::turn(bool requests) {
  const auto now = Clock::now();
  auto wake = now + kTurn;
  std::vector<pollfd> polled;
  for (Connection& connection : connections_) {
    if (requests && connection.ready && !connection.pending) begin_request(connection, now);
    if (requests && !connection.pending) wake = std::min(wake, connection.next);
    if (!connection.output.empty()) send(connection);
    polled.push_back(
        {connection.socket.get(), static_cast<short>(POLLIN | (connection.output.empty() ? 0 : POLLOUT)), 0});
  }
  // Rounded up: to wake early means to turn in vain.
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(std::max(wake - now, Clock::duration::zero()));
  if (::poll(polled.data(), polled.size(), static_cast<int>(wait.count())) <= 0) return;
  for (std::size_t i = 0; i < polled.size(); ++i) {
    if ((polled[i].revents & ~POLLOUT) != 0) receive(connections_[i]);
  }
}

void Load::begin_request(Connection& connection, Clock::time_point now) {
  if (now < connection.next) return;
  connection.output += connection.protocol->request(connection.sequence + 1);
  if (connection.output.empty()) {  // a listener
    connection.next = now + kTurn;
    return;
  }
  ++connection.sequence;
  connection.pending = true;
  // From now on, so that no burst makes up for a pause.
  if (options_.rate > 0) connection.next = now + 1'000'000us / options_.rate;
}

void Load::send(Connection& connection) {
  const ssize_t sent =
      ::send(connection.socket.get(), connection.output.data(), connection.output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN) fail_connection(connection.number, std::string("send: ") + std::strerror(errno));
  if (sent > 0) connection.output.erase(0, static_cast<std::size_t>(sent));
}

void Load::receive(Connection& connection) {
  std::array<char, 65'536> buffer;
  const ssize_t received = ::recv(connection.socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (received == 0) fail_connection(connection.number, "closed by the server");
  if (received < 0 && errno != EAGAIN) fail_connection(connection.number, std::string("recv: ") + std::strerror(errno));
  if (received < 0) return;
  connection.input.append(buffer.data(), static_cast<std::size_t>(received));
  while (const auto reply = connection.protocol->take(connection.input, connection.pending ? connection.sequence : 0)) {
    take(connection, *reply);
  }
}

void Load::take(Connection& connection, const Reply& reply) {
  connection.output += reply.answer;
  switch (reply.kind) {
    case Reply::Kind::ready: connection.ready = true; break;
    case Reply::Kind::acknowledged:
      connection.pending = false;
      ledger_.append(connection.number, connection.sequence);
      ++noted_;
      break;
    case Reply::Kind::received:
      ledger_.append(reply.connection, reply.sequence);
      ++noted_;
      break;
    case Reply::Kind::nothing: break;
    case Reply::Kind::error: fail_connection(connection.number, reply.text);
  }
}

}  // namespace lockstep::apps
