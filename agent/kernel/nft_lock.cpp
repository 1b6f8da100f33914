#include "agent/kernel/nft_lock.hpp"

#include <linux/netlink.h>

#include "agent/kernel/lock_note.hpp"
#include "agent/kernel/nft_transaction.hpp"
#include "agent/kernel/pod_lock_checks.hpp"

namespace lockstep {
namespace {

Failure without_table(const Error& error) {
  Error explained = error;
  if (error.sys_errno == ENOENT) {
    explained.code = ErrorCode::not_found;
    explained.detail = "table inet lockstep is not there: never prepared, or removed by somebody else";
  }
  return Failure(std::move(explained));
}

}  // namespace

Result<std::unique_ptr<PodLock>> NftLock::create(const Fd& netns, std::vector<Endpoint> exempt,
                                                 const LockOwner& owner) {
  if (auto valid = check_exempt(exempt); !valid) return Failure(valid.error());
  auto socket = NetlinkSocket::open(netns, NETLINK_NETFILTER);
  if (!socket) return fail_from(socket.error(), "nftables");
  return std::unique_ptr<PodLock>(new NftLock(std::move(*socket), std::move(exempt), owner_comment(owner)));
}

Result<void> NftLock::prepare() {
  if (auto done = run(encode_prepare(sequence_, exempt_, owner_comment_), "nftables: prepare"); !done) return done;
  armed_ = false;
  return {};
}

Result<void> NftLock::take_over(milliseconds lease, std::string_view round) {
  if (auto valid = check_lease(lease); !valid) return valid;
  armed_comment_ = round_comment(round, unix_ms());
  // One transaction: the new table's chains see the packets before the old ones are gone.
  if (auto done =
          run(encode_take_over(sequence_, exempt_, owner_comment_, lease, armed_comment_), "nftables: take over");
      !done) {
    return done;
  }
  current_ = ArmedSet::armed;
  armed_ = true;
  return {};
}

Result<void> NftLock::arm(milliseconds lease, std::string_view round) {
  if (auto valid = check_lease(lease); !valid) return valid;
  armed_comment_ = round_comment(round, unix_ms());
  return fill(lease);
}

Result<void> NftLock::renew(milliseconds lease) {
  if (auto valid = check_lease(lease); !valid) return valid;
  if (armed_comment_.empty()) armed_comment_ = round_comment({}, unix_ms());
  return fill(lease);
}

Result<void> NftLock::fill(milliseconds lease) {
  const ArmedSet spare = other(current_);
  if (auto filled = run(encode_fill(sequence_, spare, lease, armed_comment_), "nftables: arm"); !filled)
    return without_table(filled.error());
  const bool was_armed = armed_;
  current_ = spare;
  armed_ = true;
  if (!was_armed) return {};
  // Not in the batch above, see the class comment. Not left to its timeout either: this lease may be the shorter one.
  return run(encode_flush(sequence_, other(spare)), "nftables: drop the old lease");
}

Result<void> NftLock::disarm() {
  auto flushed = run(encode_flush_both(sequence_), "nftables: disarm");
  if (!flushed && flushed.error().sys_errno != ENOENT) return flushed;
  armed_comment_.clear();
  armed_ = false;  // also where the table is gone: nothing closes the pod then
  return {};
}

Result<void> NftLock::remove() {
  if (auto done = run(encode_remove(sequence_), "nftables: remove"); !done) return done;
  armed_ = false;
  return {};
}

Result<void> NftLock::pass_resets(milliseconds limit, std::span<const Socket> answered) {
  if (auto valid = check_lease(limit); !valid) return valid;
  if (auto done = run(encode_pass_resets(sequence_, limit, answered), "nftables: let resets out"); !done)
    return without_table(done.error());
  return {};
}

Result<void> NftLock::stop_resets() {
  auto flushed = run(encode_stop_resets(sequence_), "nftables: keep resets in");
  if (!flushed && flushed.error().sys_errno != ENOENT) return flushed;
  return {};
}

Result<void> NftLock::run(Result<NftBatch> batch, std::string_view operation) {
  if (!batch) return fail_from(batch.error(), operation);
  sequence_ = batch->last_sequence + 2;  // its end message has a number too
  return run_transaction(socket_, *batch, operation);
}

}  // namespace lockstep
