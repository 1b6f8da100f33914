/// The lock by nf_tables: one prepared table in the pod, armed and disarmed by one netlink batch each
/// (nft_encoding.hpp).
#pragma once

#include "agent/kernel/nft_encoding.hpp"
#include "agent/kernel/pod_lock.hpp"
#include "common/netlink.hpp"

namespace lockstep {

/// Keeps one netlink socket, opened inside the namespace; forks nothing, switches no namespace after create().
///
/// The addresses families that are dropped stand in a set whose elements time out: that is the lease. Two sets take
/// turns. A renewal fills the spare one before it empties the other, so that at every moment a whole set closes the
/// pod. (One set, flushed and filled in one batch, is not enough: before Linux 6.17 a look-up on another core that runs
/// into the commit can miss the old element and the new one.)
///
/// A packet that was past the hook when arm() began may still arrive just after it returned.
class NftLock final : public PodLock {
 public:
  [[nodiscard]] static Result<std::unique_ptr<PodLock>> create(const Fd& netns, std::vector<Endpoint> exempt,
                                                               const LockOwner& owner = {});

  Result<void> prepare() override;
  Result<void> take_over(milliseconds lease, std::string_view round) override;
  using PodLock::arm;
  Result<void> arm(milliseconds lease, std::string_view round) override;
  Result<void> renew(milliseconds lease) override;
  Result<void> disarm() override;
  Result<void> remove() override;
  Result<void> pass_resets(milliseconds limit, std::span<const Socket> answered) override;
  Result<void> stop_resets() override;
  [[nodiscard]] std::string_view backend() const override { return "nftables"; }

 private:
  NftLock(NetlinkSocket socket, std::vector<Endpoint> exempt, std::string owner)
      : socket_(std::move(socket)), exempt_(std::move(exempt)), owner_comment_(std::move(owner)) {}
  Result<void> fill(milliseconds lease);
  Result<void> run(Result<NftBatch> batch, std::string_view operation);

  NetlinkSocket socket_;
  std::vector<Endpoint> exempt_;
  std::string owner_comment_;
  std::string armed_comment_;           ///< round and time of the arming that renewals prolong
  std::uint32_t sequence_ = 1;
  ArmedSet current_ = ArmedSet::armed;  ///< the set filled last
  bool armed_ = false;                  ///< `current_` may hold elements
};

}  // namespace lockstep
