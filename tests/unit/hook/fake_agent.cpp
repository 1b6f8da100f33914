#include "tests/unit/hook/fake_agent.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <iterator>
#include <stdexcept>

namespace lockstep::hook::test {
namespace {

constexpr int kPatienceMs = 10'000;

Fd bind_socket(const std::string& path) {
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    throw std::runtime_error("bind " + path);
  }
  return listener;
}

}  // namespace

std::optional<Message> HookPeer::next() {
  while (frames_.empty()) {
    pollfd entry{socket_.get(), POLLIN, 0};
    if (::poll(&entry, 1, kPatienceMs) <= 0) return std::nullopt;
    auto batch = reader_.read_available(socket_.get());
    if (!batch) return std::nullopt;
    frames_.insert(frames_.end(), std::make_move_iterator(batch->frames.begin()),
                   std::make_move_iterator(batch->frames.end()));
    if (batch->closed && frames_.empty()) return std::nullopt;
  }
  auto message = decode(frames_.front());
  frames_.erase(frames_.begin());
  if (!message) return std::nullopt;
  return std::move(*message);
}

void HookPeer::say(Body body) {
  const Message message{RoundId("r1"), GroupId("shop"), MemberId("db"), ++sequence_, std::move(body)};
  // A hook that has gone is what some scenes are about.
  static_cast<void>(write_frame(socket_.get(), encode(message), Clock::now() + seconds(10)).has_value());
}

void HookPeer::say_raw(std::string_view bytes) {
  static_cast<void>(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

FakeAgent::FakeAgent(const std::string& path, Scene scene)
    : listener_(bind_socket(path)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (::listen(listener_.get(), 8) < 0) throw std::runtime_error("listen " + path);
  thread_ = std::thread([this, scene = std::move(scene)] {
    std::array<pollfd, 2> entries{pollfd{listener_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), -1);
    // Looked at first: a hook that came and has gone already still gets its scene.
    if ((entries[0].revents & POLLIN) == 0) return;
    HookPeer peer(Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    scene(peer);
  });
}

FakeAgent::~FakeAgent() {
  const std::uint64_t one = 1;
  static_cast<void>(::write(stop_.get(), &one, sizeof one) < 0);
  thread_.join();
}

void leave_stale_socket(const std::string& path) { static_cast<void>(bind_socket(path)); }

}  // namespace lockstep::hook::test
