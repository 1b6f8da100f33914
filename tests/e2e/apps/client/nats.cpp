/// NATS: publishers number their messages on a subject of their own, and wait for the server's +OK; a subscriber, at
/// another server of the cluster, notes what arrives.
#include <charconv>
#include <cstdio>

#include "tests/e2e/apps/client/protocol.hpp"

namespace lockstep::apps {
namespace {

/// What both sides have in common: the greeting, and what servers say by themselves.
class Nats : public Protocol {
 public:
  std::optional<Reply> take(std::string& input, std::uint32_t pending) override {
    const std::size_t end = input.find("\r\n");
    if (end == std::string::npos) return std::nullopt;
    if (input.starts_with("MSG ")) return take_message(input, end);
    const std::string line = *take_line(input);
    if (line == "PING") return Reply{.answer = "PONG\r\n"};
    if (line == "PONG") return Reply{Reply::Kind::ready};
    if (line == "+OK") return Reply{pending != 0 ? Reply::Kind::acknowledged : Reply::Kind::nothing};
    if (line.starts_with("INFO ")) return Reply{};
    return Reply{.kind = Reply::Kind::error, .text = line};
  }

 private:
  /// "MSG subject sid bytes", and a payload "connection sequence".
  static std::optional<Reply> take_message(std::string& input, std::size_t end) {
    std::size_t bytes = 0;
    const std::size_t at = input.rfind(' ', end) + 1;
    std::from_chars(input.data() + at, input.data() + end, bytes);
    if (input.size() < end + 2 + bytes + 2) return std::nullopt;
    const std::string payload = input.substr(end + 2, bytes);
    input.erase(0, end + 2 + bytes + 2);
    Reply reply{Reply::Kind::received};
    if (std::sscanf(payload.c_str(), "%u %u", &reply.connection, &reply.sequence) == 2) return reply;
    return Reply{.kind = Reply::Kind::error, .text = "a message says \"" + payload + "\""};
  }
};

class Publisher : public Nats {
 public:
  explicit Publisher(std::uint32_t connection) : connection_(std::to_string(connection)) {}
  std::string greeting() const override { return "CONNECT {\"verbose\":true,\"pedantic\":false}\r\nPING\r\n"; }
  std::string request(std::uint32_t sequence) const override {
    const std::string payload = connection_ + " " + std::to_string(sequence);
    return "PUB numbers." + connection_ + " " + std::to_string(payload.size()) + "\r\n" + payload + "\r\n";
  }

 private:
  std::string connection_;
};

class Subscriber : public Nats {
 public:
  std::string greeting() const override {
    return "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB numbers.* 1\r\nPING\r\n";
  }
  std::string request(std::uint32_t) const override { return {}; }
};

}  // namespace

std::unique_ptr<Protocol> make_nats_publisher(std::uint32_t connection) {
  return std::make_unique<Publisher>(connection);
}
std::unique_ptr<Protocol> make_nats_subscriber() { return std::make_unique<Subscriber>(); }

}  // namespace lockstep::apps
