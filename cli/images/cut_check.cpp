#include "cli/images/cut_check.hpp"

#include <algorithm>

namespace lockstep::images {
namespace {

/// What an end's state says of a FIN. The kernel makes each of these changes of state together with that of the number:
/// tcp_send_fin() counts it into write_seq, tcp_fin() follows rcv_nxt, and tcp_rcv_state_process() leaves FIN_WAIT1,
/// CLOSING and LAST_ACK as soon as all of write_seq is acknowledged. A closed socket has been through any of them.
enum class Fin { none, queued, acknowledged, unknown };

Fin sent_fin(TcpState state) {
  switch (state) {
    case TcpState::fin_wait1:
    case TcpState::closing:
    case TcpState::last_ack: return Fin::queued;
    case TcpState::fin_wait2:
    case TcpState::time_wait: return Fin::acknowledged;
    case TcpState::close: return Fin::unknown;
    default: return Fin::none;
  }
}

Fin received_fin(TcpState state) {
  switch (state) {
    case TcpState::close_wait:
    case TcpState::closing:
    case TcpState::last_ack:
    case TcpState::time_wait: return Fin::acknowledged;
    case TcpState::close: return Fin::unknown;
    default: return Fin::none;
  }
}

/// The distance from one sequence number to another, -2^31 to 2^31 - 1.
std::int32_t distance(std::uint32_t from, std::uint32_t to) { return static_cast<std::int32_t>(to - from); }

std::uint32_t one_for_fin(Fin fin) { return fin == Fin::queued || fin == Fin::acknowledged ? 1 : 0; }

std::string bytes_text(std::int32_t count) {
  const std::int64_t bytes = count < 0 ? -std::int64_t{count} : count;
  return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
}

std::string misfit_of(const Flow& flow, Fin sent, Fin received, std::uint32_t sender_end) {
  if (flow.gap > 0) return bytes_text(flow.gap) + " received that the sender, as saved, has not sent";
  if (flow.gap < 0) {
    return bytes_text(flow.gap) + " lost: the sender takes them for delivered, the receiver does not have them";
  }
  if (sent == Fin::unknown || received == Fin::unknown) return {};
  if (received == Fin::acknowledged && sent == Fin::none) {
    return "the receiver has seen the end of a stream that the sender, as saved, has not ended";
  }
  if (received == Fin::acknowledged && flow.received != sender_end) {
    return "the receiver has seen the end of the stream before its last bytes were sent";
  }
  if (received == Fin::none && sent == Fin::acknowledged) {
    return "the end of the stream is lost: the sender takes it for delivered, the receiver has not seen it";
  }
  return {};
}

}  // namespace

Flow check_flow(const TcpEnd& sender, const TcpEnd& receiver) {
  const Fin sent = sent_fin(sender.state);
  const Fin received = received_fin(receiver.state);
  // outq_seq and inq_seq are write_seq and rcv_nxt and count a FIN (soccr/soccr.c: get_queue(); on restore
  // libsoccr_set_sk_data_noq() takes it off again); outq_len and unsq_len never do (refresh_sk()).
  const std::uint32_t end = sender.written - one_for_fin(sent);
  Flow flow;
  flow.acknowledged = end - sender.unacknowledged;
  flow.sent = end - sender.unsent;
  flow.received = receiver.received - one_for_fin(received);
  flow.unsent = sender.unsent;
  flow.unread = receiver.unread;
  // Of a closed sender CRIU saves no queue, so what was acknowledged is not known. Of a closed receiver it is not
  // known whether its last number is a FIN's.
  const std::uint32_t slack = received == Fin::unknown && sent != Fin::none ? 1 : 0;
  const std::int32_t beyond = distance(flow.sent, flow.received);
  const std::int32_t behind = distance(flow.received, flow.acknowledged);
  if (beyond > static_cast<std::int32_t>(slack)) {
    flow.gap = beyond;
  } else if (behind > 0 && sent != Fin::unknown) {
    flow.gap = -behind;
  }
  flow.in_flight = flow.gap == 0 && beyond < 0 && sent != Fin::unknown ? flow.sent - flow.received : 0;
  flow.misfit = misfit_of(flow, sent, received, end);
  return flow;
}

ConnectionCheck check_connection(const TcpEnd& a, const TcpEnd& b) {
  const bool a_opens = a.state == TcpState::syn_sent;
  const bool b_opens = b.state == TcpState::syn_sent;
  ConnectionCheck check;
  if (a_opens || b_opens) {
    // No number of the other end is known yet, so there is nothing to compare.
    if (a_opens != b_opens) check.misfit = "one end is still being opened, the other one is not";
    return check;
  }
  check.forth = check_flow(a, b);
  check.back = check_flow(b, a);
  return check;
}

bool can_be_one_connection(const TcpEnd& a, const TcpEnd& b) {
  constexpr std::int64_t kNear = std::int64_t{256} << 20U;
  const auto near = [](std::uint32_t written, std::uint32_t received) {
    return std::abs(std::int64_t{distance(written, received)}) <= kNear;
  };
  return near(a.written, b.received) && near(b.written, a.received);
}

}  // namespace lockstep::images
