#include "agent/kernel/nft_lock.hpp"

#include <linux/netlink.h>

#include <array>

#include "agent/kernel/nft_answer.hpp"
#include "agent/kernel/pod_lock_checks.hpp"

namespace lockstep {
namespace {

/// A batch has at most a few dozen messages more than the exempt end points; one answer takes less than 1 KiB.
constexpr std::size_t kAnswerSize = 8192;

Failure without_table(const Error& error) {
  Error explained = error;
  if (error.sys_errno == ENOENT) {
    explained.code = ErrorCode::not_found;
    explained.detail = "table inet lockstep is not there: never prepared, or removed by somebody else";
  }
  return Failure(std::move(explained));
}

}  // namespace

Result<std::unique_ptr<PodLock>> NftLock::create(const Fd& netns, std::vector<Endpoint> exempt) {
  if (auto valid = check_exempt(exempt); !valid) return Failure(valid.error());
  auto socket = NetlinkSocket::open(netns, NETLINK_NETFILTER);
  if (!socket) return fail_from(socket.error(), "nftables");
  return std::unique_ptr<PodLock>(new NftLock(std::move(*socket), std::move(exempt)));
}

Result<void> NftLock::prepare() {
  if (auto done = run(encode_prepare(sequence_, exempt_), "nftables: prepare"); !done) return done;
  armed_ = false;
  return {};
}

Result<void> NftLock::arm(milliseconds lease) {
  if (auto valid = check_lease(lease); !valid) return valid;
  const ArmedSet spare = other(current_);
  if (auto filled = run(encode_fill(sequence_, spare, lease), "nftables: arm"); !filled)
    return without_table(filled.error());
  const bool was_armed = armed_;
  current_ = spare;
  armed_ = true;
  if (!was_armed) return {};
  // Not in the batch above, see the class comment. Not left to its timeout either: this lease may be the shorter one.
  return run(encode_flush(sequence_, other(spare)), "nftables: drop the old lease");
}

Result<void> NftLock::renew(milliseconds lease) { return arm(lease); }

Result<void> NftLock::disarm() {
  auto flushed = run(encode_flush_both(sequence_), "nftables: disarm");
  if (!flushed && flushed.error().sys_errno != ENOENT) return flushed;
  armed_ = false;  // also where the table is gone: nothing closes the pod then
  return {};
}

Result<void> NftLock::remove() {
  if (auto done = run(encode_remove(sequence_), "nftables: remove"); !done) return done;
  armed_ = false;
  return {};
}

Result<void> NftLock::run(Result<NftBatch> batch, std::string_view operation) {
  if (!batch) return fail_from(batch.error(), operation);
  sequence_ = batch->last_sequence + 2;  // its end message has a number too
  socket_.drain();
  if (auto sent = socket_.send(batch->bytes); !sent) return fail_from(sent.error(), operation);
  std::optional<Error> first_error;
  std::array<char, kAnswerSize> buffer;
  for (bool complete = false; !complete;) {
    auto datagram = socket_.receive(buffer);
    if (!datagram) return fail_from(datagram.error(), operation);
    NftAnswer answer = parse_nft_answer(*datagram, batch->first_sequence, batch->last_sequence);
    if (answer.error && !first_error) first_error = std::move(answer.error);
    complete = answer.complete;
  }
  if (first_error) return fail_from(*first_error, operation);
  return {};
}

}  // namespace lockstep
