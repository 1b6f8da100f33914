#include "tests/bench/zmtp_connection.hpp"

#include <stdexcept>

namespace lockstep::bench {

ZmtpConnection::ZmtpConnection(std::uint16_t port, std::string_view socket_type, const PeerKey* key)
    : socket_(connect_to(port)) {
  const std::string_view mechanism = key != nullptr ? zmtp::kCurve : zmtp::kPlain;
  send_all(socket_, zmtp::greeting(mechanism));
  minor_ = zmtp::negotiated_minor(receive_exactly(socket_, zmtp::kGreetingSize), mechanism);
  if (key == nullptr) {
    send_all(socket_, zmtp::ready_command(socket_type));
    (void)next_command();
    return;
  }
  curve_.emplace(*key);
  send_all(socket_, zmtp::command(curve_->hello()));
  const std::string welcome = next_command();
  send_all(socket_, zmtp::command(curve_->initiate(welcome, zmtp::metadata(socket_type))));
  curve_->ready(next_command());
}

std::string ZmtpConnection::next_command() {
  std::optional<zmtp::Frame> frame;
  while (!frame) {
    parser_.append(receive_exactly(socket_, 1));
    frame = parser_.next();
  }
  if (!frame->command) throw std::runtime_error("the broker does not shake hands");
  return std::string(frame->body);
}

}  // namespace lockstep::bench
