/// memcached: each connection appends its numbers to a value of its own, and begins a new one each kItemsPerKey, since
/// a value has at most 1 MiB.
#include "tests/e2e/apps/client/memcached_keys.hpp"
#include "tests/e2e/apps/client/protocol.hpp"

namespace lockstep::apps {
namespace {

class Memcached : public Protocol {
 public:
  explicit Memcached(std::uint32_t connection) : connection_(connection) {}

  std::string greeting() const override { return "version\r\n"; }

  std::string request(std::uint32_t sequence) const override {
    const std::string item = std::to_string(sequence) + " ";
    const bool first = (sequence - 1) % kItemsPerKey == 0;
    return (first ? "set " : "append ") + memcached_key(connection_, sequence) + " 0 0 " + std::to_string(item.size()) +
           "\r\n" + item + "\r\n";
  }

  std::optional<Reply> take(std::string& input, std::uint32_t pending) override {
    const auto line = take_line(input);
    if (!line) return std::nullopt;
    if (line->starts_with("VERSION ") && pending == 0) return Reply{Reply::Kind::ready};
    if (*line == "STORED" && pending != 0) return Reply{Reply::Kind::acknowledged};
    return Reply{.kind = Reply::Kind::error, .text = "item " + std::to_string(pending) + " answered by " + *line};
  }

 private:
  std::uint32_t connection_;
};

}  // namespace

std::unique_ptr<Protocol> make_memcached(std::uint32_t connection) { return std::make_unique<Memcached>(connection); }

}  // namespace lockstep::apps
