/// redis: each connection pushes its numbers onto a list of its own, and is told the list's length: a write that was
/// lost or done twice shows at once.
#include "tests/e2e/apps/client/protocol.hpp"

namespace lockstep::apps {
namespace {

std::string bulk(const std::string& text) { return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }

class Redis : public Protocol {
 public:
  explicit Redis(std::uint32_t connection) : list_("list:" + std::to_string(connection)) {}

  std::string greeting() const override { return "*1\r\n" + bulk("PING"); }

  std::string request(std::uint32_t sequence) const override {
    return "*3\r\n" + bulk("RPUSH") + bulk(list_) + bulk(std::to_string(sequence));
  }

  std::optional<Reply> take(std::string& input, std::uint32_t pending) override {
    const auto line = take_line(input);
    if (!line) return std::nullopt;
    if (*line == "+PONG" && pending == 0) return Reply{Reply::Kind::ready};
    if (*line == ":" + std::to_string(pending)) return Reply{Reply::Kind::acknowledged};
    return Reply{.kind = Reply::Kind::error, .text = "element " + std::to_string(pending) + " answered by " + *line};
  }

 private:
  std::string list_;
};

}  // namespace

std::unique_ptr<Protocol> make_redis(std::uint32_t connection) { return std::make_unique<Redis>(connection); }

}  // namespace lockstep::apps
