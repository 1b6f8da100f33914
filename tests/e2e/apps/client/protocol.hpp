/// What a client says to a server, and how it understands the answers: one object for each connection. Pure: text in,
/// text out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep::apps {

/// The first thing that stands in a connection's input.
struct Reply {
  enum class Kind {
    ready,         ///< the server has answered the greeting
    acknowledged,  ///< the request under way has been done
    received,      ///< somebody else's message: `connection` and `sequence` tell which
    nothing,       ///< of no meaning to us
    error,
  };
  Kind kind = Kind::nothing;
  std::uint32_t connection = 0;
  std::uint32_t sequence = 0;
  std::string text = {};    ///< of an error
  std::string answer = {};  ///< has to be sent at once
};

class Protocol {
 public:
  virtual ~Protocol() = default;
  /// What to say first, and what the server answers: a connection counts once the server itself has accepted it.
  [[nodiscard]] virtual std::string greeting() const = 0;
  /// A write that leaves its number in the server's data. Empty: this client only listens.
  [[nodiscard]] virtual std::string request(std::uint32_t sequence) const = 0;
  /// Takes one reply from the input's front; nothing while it is not there as a whole. `pending`: the number of the
  /// request under way, 0 when there is none.
  [[nodiscard]] virtual std::optional<Reply> take(std::string& input, std::uint32_t pending) = 0;
};

/// `name`: redis, memcached, nats-publish, nats-subscribe, postgres. Null for any other.
[[nodiscard]] std::unique_ptr<Protocol> make_protocol(std::string_view name, std::uint32_t connection);

[[nodiscard]] std::unique_ptr<Protocol> make_redis(std::uint32_t connection);
[[nodiscard]] std::unique_ptr<Protocol> make_memcached(std::uint32_t connection);
[[nodiscard]] std::unique_ptr<Protocol> make_nats_publisher(std::uint32_t connection);
[[nodiscard]] std::unique_ptr<Protocol> make_nats_subscriber();
[[nodiscard]] std::unique_ptr<Protocol> make_postgres(std::uint32_t connection);

/// Takes a line that ends with CR LF from the front, without its end.
[[nodiscard]] std::optional<std::string> take_line(std::string& input);

}  // namespace lockstep::apps
