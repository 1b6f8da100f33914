/// PostgreSQL, protocol 3.0, simple queries without authentication: each connection inserts its numbers into a table
/// that has no key, so that a row can come twice.
#include <arpa/inet.h>

#include <cstring>
#include <utility>

#include "tests/e2e/apps/client/protocol.hpp"

namespace lockstep::apps {
namespace {

std::string number32(std::uint32_t value) {
  const std::uint32_t wire = htonl(value);
  return {reinterpret_cast<const char*>(&wire), sizeof wire};
}

class Postgres : public Protocol {
 public:
  explicit Postgres(std::uint32_t connection) : connection_(connection) {}

  std::string greeting() const override {
    using namespace std::string_literals;
    const std::string parameters = number32(196'608) + "user\0postgres\0database\0postgres\0\0"s;
    return number32(static_cast<std::uint32_t>(parameters.size() + 4)) + parameters;
  }

  std::string request(std::uint32_t sequence) const override {
    const std::string query =
        "INSERT INTO committed VALUES (" + std::to_string(connection_) + ", " + std::to_string(sequence) + ")";
    return "Q" + number32(static_cast<std::uint32_t>(query.size() + 5)) + query + '\0';
  }

  std::optional<Reply> take(std::string& input, std::uint32_t pending) override {
    if (input.size() < 5) return std::nullopt;
    std::uint32_t length = 0;
    std::memcpy(&length, input.data() + 1, sizeof length);
    length = ntohl(length);
    if (input.size() < 1 + std::size_t{length}) return std::nullopt;
    const char type = input.front();
    std::string text = input.substr(5, length - 4);
    input.erase(0, 1 + std::size_t{length});
    if (type == 'E') {
      for (char& byte : text) byte = byte == '\0' ? ' ' : byte;  // fields of the error end with a zero byte
      return Reply{.kind = Reply::Kind::error, .text = text};
    }
    if (type == 'R' && text != number32(0)) return Reply{.kind = Reply::Kind::error, .text = "wants a password"};
    if (type == 'C') inserted_ = text.starts_with("INSERT 0 1");
    if (type != 'Z') return Reply{};
    if (pending == 0) return Reply{Reply::Kind::ready};
    if (!std::exchange(inserted_, false)) return Reply{.kind = Reply::Kind::error, .text = "nothing was inserted"};
    return Reply{Reply::Kind::acknowledged};
  }

 private:
  std::uint32_t connection_;
  bool inserted_ = false;
};

}  // namespace

std::unique_ptr<Protocol> make_postgres(std::uint32_t connection) { return std::make_unique<Postgres>(connection); }

}  // namespace lockstep::apps
