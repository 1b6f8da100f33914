#include "tests/e2e/apps/client/protocol.hpp"

namespace lockstep::apps {

std::unique_ptr<Protocol> make_protocol(std::string_view name, std::uint32_t connection) {
  if (name == "redis") return make_redis(connection);
  if (name == "memcached") return make_memcached(connection);
  if (name == "nats-publish") return make_nats_publisher(connection);
  if (name == "nats-subscribe") return make_nats_subscriber();
  if (name == "postgres") return make_postgres(connection);
  return nullptr;
}

std::optional<std::string> take_line(std::string& input) {
  const std::size_t end = input.find("\r\n");
  if (end == std::string::npos) return std::nullopt;
  std::string line = input.substr(0, end);
  input.erase(0, end + 2);
  return line;
}

}  // namespace lockstep::apps
