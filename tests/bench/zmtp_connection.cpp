#include "tests/bench/zmtp_connection.hpp"

#include <stdexcept>

namespace lockstep::bench {

ZmtpConnection::ZmtpConnection(std::uint16_t port, std::string_view socket_type) : socket_(connect_to(port)) {
  send_all(socket_, zmtp::greeting());
  minor_ = zmtp::negotiated_minor(receive_exactly(socket_, zmtp::kGreetingSize));
  send_all(socket_, zmtp::ready_command(socket_type));
  // The peer's READY. Nothing else can come yet: nobody has said or subscribed to anything.
  std::optional<zmtp::Frame> ready;
  while (!ready) {
    parser_.append(receive_exactly(socket_, 1));
    ready = parser_.next();
  }
  if (!ready->command) throw std::runtime_error("the broker does not shake hands");
}

}  // namespace lockstep::bench
