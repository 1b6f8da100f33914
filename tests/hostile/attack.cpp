#include "tests/hostile/attack.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <random>
#include <system_error>
#include <unordered_map>

#include "common/fd.hpp"
#include "schemas/codec.hpp"
#include "tests/bench/zmtp.hpp"

namespace lockstep::hostile {
namespace {

namespace zmtp = bench::zmtp;

/// One connection of an attacker's.
struct Connection {
  Fd fd;
  std::string out;        ///< not yet taken by the peer
  std::size_t heard = 0;  ///< bytes
  bool greeted = false;   ///< heard enough
  std::size_t dripped = 0;
  std::size_t next_flood = 0;
};

class Attacker {
 public:
  Attacker(const Target& target, const Plan& plan, Tally& tally)
      : target_(target), plan_(plan), tally_(tally), epoll_(::epoll_create1(EPOLL_CLOEXEC)), began_(Clock::now()) {}

  [[noreturn]] void run() {
    TimePoint next_drip = Clock::now();
    while (true) {
      open_missing();
      wait();
      if (plan_.drip.empty() || Clock::now() < next_drip) continue;
      next_drip = Clock::now() + plan_.pause;
      for (auto& [number, connection] : connections_) drip(connection);
    }
  }

 private:
  void open_missing() {
    const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
    const auto allowed = static_cast<std::uint64_t>(seconds * static_cast<double>(plan_.opens_per_second)) + 1;
    for (int i = 0; i < 100 && connections_.size() < plan_.connections && attempts_ < allowed; ++i) open();
  }

  void open() {
    ++attempts_;
    Connection connection;
    if (const auto* port = std::get_if<std::uint16_t>(&target_)) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(*port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      connection.fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const int made = ::connect(connection.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
      if (!connection.fd || (made != 0 && errno != EINPROGRESS)) return;
    } else {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      const auto& path = std::get<std::string>(target_);
      std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
      connection.fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const int made = ::connect(connection.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
      if (!connection.fd || made != 0) return;
    }
    if (!plan_.openings.empty()) connection.out = plan_.openings[attempts_ % plan_.openings.size()];
    const int number = connection.fd.get();
    connections_[number] = std::move(connection);
    greet(connections_[number]);
    watch(number, EPOLL_CTL_ADD, true);
    ++tally_.opened;
    tally_.held = connections_.size();
  }

  /// Once the peer has said its part.
  void greet(Connection& connection) const {
    if (connection.greeted || connection.heard < plan_.hears) return;
    connection.greeted = true;
    connection.out += plan_.then;
  }

  void watch(int number, int operation, bool wants_write) const {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | (wants_write ? EPOLLOUT : 0U);
    // What nobody reads must not wake us up again and again.
    if (!plan_.reads) event.events |= EPOLLET;
    event.data.fd = number;
    ::epoll_ctl(epoll_.get(), operation, number, &event);
  }

  void wait() {
    std::array<epoll_event, 256> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), 10);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      const auto found = connections_.find(event.data.fd);
      if (found == connections_.end()) continue;
      Connection& connection = found->second;
      const bool gone = (event.events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0 || !drain(connection);
      if (gone || !send(connection)) {
        ++tally_.dropped;
        connections_.erase(found);
        tally_.held = connections_.size();
        continue;
      }
      if (connection.out.empty() && plan_.flood.empty()) watch(event.data.fd, EPOLL_CTL_MOD, false);
    }
  }

  /// False when the peer has closed. Who does not read still listens to the greeting.
  bool drain(Connection& connection) const {
    std::array<char, 65'536> buffer;
    ssize_t got = 1;
    while (got > 0 && (plan_.reads || !connection.greeted)) {
      got = ::recv(connection.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got > 0) connection.heard += static_cast<std::size_t>(got);
      greet(connection);
    }
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN));
  }

  /// False when the peer has closed. A turn's worth of a flood, so that others get their turn.
  bool send(Connection& connection) {
    constexpr std::size_t kTurn = 1'000'000;
    for (std::size_t sent_now = 0; sent_now < kTurn;) {
      while (connection.greeted && !plan_.flood.empty() && connection.out.size() < 65'536) {
        connection.out += plan_.flood[connection.next_flood++ % plan_.flood.size()];
      }
      if (connection.out.empty()) return true;
      const ssize_t sent =
          ::send(connection.fd.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
      connection.out.erase(0, static_cast<std::size_t>(sent));
      sent_now += static_cast<std::size_t>(sent);
      tally_.bytes += static_cast<std::uint64_t>(sent);
    }
    if (!plan_.reads) watch(connection.fd.get(), EPOLL_CTL_MOD, true);  // edge-triggered: ask to be called again
    return true;
  }

  void drip(Connection& connection) {
    if (connection.dripped >= plan_.drip.size() || !connection.out.empty()) return;
    connection.out = plan_.drip.substr(connection.dripped++, 1);
    send(connection);
  }

  const Target& target_;
  const Plan& plan_;
  Tally& tally_;
  Fd epoll_;
  TimePoint began_;
  std::uint64_t attempts_ = 0;
  std::unordered_map<int, Connection> connections_;
};

Tally* shared_tally() {
  void* memory = ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return new (memory) Tally;
}

bench::Child begin(const Target& target, const Plan& plan, Tally& tally) {
  return bench::Child::fork([&] {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
      limit.rlim_cur = limit.rlim_max;
      (void)::setrlimit(RLIMIT_NOFILE, &limit);
    }
    // Behind everybody else where the processor is short: an attacker from elsewhere would not take it at all.
    if (!plan.flood.empty()) (void)::setpriority(PRIO_PROCESS, 0, 10);
    Attacker(target, plan, tally).run();
  });
}

std::string big_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xff);
  return text;
}

/// Always the same, so that a failure comes again.
std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

/// The peer's greeting (64 bytes) and the begin of its READY: libzmq takes nothing for a message before it has said
/// that.
constexpr std::size_t kHandshake = 65;

std::string as_dealer() { return zmtp::greeting(zmtp::kPlain) + zmtp::ready_command("DEALER"); }

std::string a_hello(Role role) {
  Hello hello;
  hello.role = role;
  hello.name = "attacker";
  return encode({{}, {}, {}, 1, hello});
}

/// No messages, each in its own way.
std::vector<std::string> no_messages() {
  std::vector<std::string> bad{noise(100, 1),
                               noise(5'000, 2),
                               std::string(1'000, '\x91'),
                               std::string("\xdd\xff\xff\xff\xff", 5),
                               std::string("\xdb\xff\xff\xff\xff", 5),
                               std::string("\xdf\x7f\xff\xff\xff", 5),
                               std::string(1, '\xc1')};
  bad.push_back("\x97" + std::string(200'000, '\x90'));
  Hello names;
  names.name.assign(4'000, 'x');
  std::string cut = encode({{}, {}, {}, 1, names});
  cut.resize(cut.size() / 2);
  bad.push_back(cut);
  return bad;
}

std::string unix_frame(const std::string& body) { return big_endian(body.size(), 4) + body; }

}  // namespace

Attack::Attack(const Target& target, const Plan& plan) : tally_(shared_tally()), child_(begin(target, plan, *tally_)) {}

Attack::~Attack() { ::munmap(tally_, sizeof(Tally)); }

Plan slow_loris() { return {.connections = 500, .drip = zmtp::greeting(zmtp::kPlain)}; }

Plan silent(std::size_t connections) { return {.connections = connections, .opens_per_second = 20'000}; }

Plan greeted(std::size_t connections) {
  return {.connections = connections, .opens_per_second = 20'000, .openings = {as_dealer()}};
}

Plan garbage() {
  Plan plan{.connections = 100, .opens_per_second = 500};
  for (unsigned i = 0; i < 20; ++i) plan.openings.push_back(noise(4'096, 100 + i));
  plan.openings.push_back("GET / HTTP/1.1\r\nHost: broker\r\n\r\n" + std::string(100, 'x'));
  plan.openings.push_back(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + noise(500, 11));  // TLS
  std::string login = zmtp::greeting(zmtp::kPlain);
  login.replace(12, 5, "PLAIN");
  plan.openings.push_back(login);
  plan.openings.push_back(zmtp::greeting(zmtp::kPlain) + noise(500, 12));
  return plan;
}

Plan announced_gigabyte() {
  const std::string header = std::string(1, '\2') + big_endian(std::uint64_t{1} << 30, 8);
  return {.connections = 50,
          .opens_per_second = 500,
          .openings = {as_dealer()},
          .hears = kHandshake,
          .then = header + noise(1'000, 4),
          .drip = {},
          .flood = {}};
}

Plan nonsense() {
  Plan plan{.connections = 20, .openings = {as_dealer()}, .hears = kHandshake};
  for (const std::string& bad : no_messages()) plan.flood.push_back(zmtp::message(bad));
  return plan;
}

Plan questions() {
  Plan plan{.openings = {as_dealer()}, .hears = kHandshake, .then = zmtp::message(a_hello(Role::client))};
  plan.flood.push_back(zmtp::message(encode({{}, {}, {}, 2, GetStatus{}})));
  return plan;
}

Plan large_messages() {
  Plan plan{.openings = {as_dealer()}, .hears = kHandshake, .then = zmtp::message(a_hello(Role::relay))};
  HookEvent event;
  event.socket_inodes.assign(kMaxSockets, 1'000'000'007);
  event.record.bytes = noise(20U << 20U, 5);
  plan.flood.push_back(zmtp::message(encode({RoundId("none"), {}, MemberId("m"), 2, event})));
  return plan;
}

Plan subscriptions() {
  Plan plan{.connections = 5, .openings = {zmtp::greeting(zmtp::kPlain) + zmtp::ready_command("SUB")}, .hears = kHandshake};
  for (unsigned i = 0; i < 1'000; ++i) plan.flood.push_back(zmtp::subscription(noise(40, i), 1));
  plan.flood.push_back(zmtp::subscription(noise(1U << 20U, 7), 1));
  return plan;
}

Plan half_frames() {
  return {.connections = 500,
          .openings = {big_endian(1'000'000, 4) + noise(10'000, 8)},
          .drip = noise(1'000, 9),
          .flood = {}};
}

Plan announced_frame() {
  return {.connections = 50,
          .opens_per_second = 500,
          .openings = {big_endian(1U << 30U, 4) + noise(1'000, 10)},
          .drip = {},
          .flood = {}};
}

Plan nonsense_frames() {
  Plan plan{.connections = 20, .opens_per_second = 500};
  for (const std::string& bad : no_messages()) plan.flood.push_back(unix_frame(bad));
  return plan;
}

}  // namespace lockstep::hostile
