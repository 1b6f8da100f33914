#include "tests/unit/images/tcp_model.hpp"

#include <algorithm>

#include "tests/unit/images/sample_images.hpp"

namespace lockstep::images::test {

TcpModel::TcpModel(std::uint32_t seed) : random_(seed) {
  for (End& end : ends_) {
    // Close to where 32 bits wrap, as often as not.
    end.first = (std::uint64_t{1} << 32U) + random_() % 2000 - (random_() % 2 == 0 ? 1000 : 0);
    end.acknowledged = end.sent = end.written = end.first;
  }
  for (std::size_t i = 0; i < 2; ++i) ends_[i].received = ends_[i].read = ends_[1 - i].first;
}

void TcpModel::step() {
  const std::size_t who = random_() % 2;
  End& end = ends_[who];
  End& other = ends_[1 - who];
  const auto part = [this](std::uint64_t from, std::uint64_t to) { return from + random_() % (to - from + 1); };
  switch (random_() % 12) {
    case 0:
    case 1:
    case 2:
      if (!end.fin) end.written += random_() % 500;
      break;
    case 3:
    case 4:
    case 5: end.sent = part(end.sent, end.written); break;
    case 6:
    case 7:
    case 8: {  // what the other has sent comes; a retransmission may bring all of it
      end.received = part(end.received, other.sent);
      if (other.fin && end.received == other.written && !end.fin_received) {
        end.fin_received = true;
        end.fin_was_first = end.fin;
      }
      break;
    }
    case 9: end.acknowledged = part(end.acknowledged, other.received); break;
    case 10: end.read = part(end.read, end.received - (end.fin_received ? 1 : 0)); break;
    default:
      if (!end.fin && random_() % 20 == 0) {
        end.fin = true;
        ++end.written;
      }
  }
}

TcpState TcpModel::state(const End& end) const {
  const bool over = end.fin && end.acknowledged == end.written;
  if (!end.fin) return end.fin_received ? TcpState::close_wait : TcpState::established;
  if (!end.fin_received) return over ? TcpState::fin_wait2 : TcpState::fin_wait1;
  if (over) return TcpState::close;
  return end.fin_was_first ? TcpState::closing : TcpState::last_ack;
}

TcpEnd TcpModel::save(std::size_t who) const {
  const End& end = ends_[who];
  TcpEnd saved;
  saved.local = endpoint(who == 0 ? "10.0.0.1" : "10.0.0.2", 1000);
  saved.remote = endpoint(who == 0 ? "10.0.0.2" : "10.0.0.1", 1000);
  saved.state = state(end);
  saved.written = static_cast<std::uint32_t>(end.written);
  saved.received = static_cast<std::uint32_t>(end.received);
  saved.unread = static_cast<std::uint32_t>(end.received - (end.fin_received ? 1 : 0) - end.read);
  std::uint64_t queued = end.written - end.acknowledged;  // SIOCOUTQ
  std::uint64_t unsent = end.written - end.sent;          // SIOCOUTQNSD
  if (saved.state == TcpState::close) queued = unsent = 0;
  if (end.fin) {
    queued -= std::min<std::uint64_t>(queued, 1);
    unsent -= std::min<std::uint64_t>(unsent, 1);
  }
  saved.unacknowledged = static_cast<std::uint32_t>(queued);
  saved.unsent = static_cast<std::uint32_t>(unsent);
  return saved;
}

TcpModel::Numbers TcpModel::numbers(std::size_t who) const {
  const End& end = ends_[who];
  const bool all_bytes_sent = end.fin && end.sent + 1 >= end.written;
  return {end.acknowledged, all_bytes_sent ? end.written : end.sent, end.received};
}

}  // namespace lockstep::images::test
