/// The lock by iptables, for kernels and pods where nf_tables can't be used: slow (a child process for each address
/// family and step, 30 ms and more), the same meaning.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "agent/kernel/iptables_programs.hpp"
#include "agent/kernel/pod_lock.hpp"

namespace lockstep {

/// The lock's chains in the filter table; INPUT and OUTPUT jump to them first.
inline constexpr std::array<std::string_view, 2> kIptablesChains{"LOCKSTEP-IN", "LOCKSTEP-OUT"};

/// Disarmed, the two chains are empty. Every step is one iptables-restore for each address family, which the kernel
/// takes as a whole.
///
/// The lease is xt_time's `--datestop`, so it follows the wall clock, and in whole seconds, rounded up: an armed lock
/// stays closed for the lease and up to 2 s more; resets pass for up to 2 s longer than asked for. IPv4 and IPv6 don't
/// change in one step; when the second one fails, the first stays as it is until its lease ends or disarm().
///
/// Who made the lock and for which round stands as a comment at the rules that drop.
class IptablesLock final : public PodLock {
 public:
  /// `flavour`: "" for the machine's default, "-nft" or "-legacy". not_found when the programs are not installed.
  [[nodiscard]] static Result<std::unique_ptr<PodLock>> create(const Fd& netns, std::vector<Endpoint> exempt,
                                                               std::string_view flavour = "",
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
  [[nodiscard]] std::string_view backend() const override { return "iptables"; }

 private:
  struct Family {
    IpFamily ip = IpFamily::v4;
    IptablesPrograms programs;
  };
  IptablesLock(Fd netns, std::vector<Family> families, std::vector<Endpoint> exempt, std::string owner)
      : netns_(std::move(netns)), families_(std::move(families)), exempt_(std::move(exempt)),
        owner_comment_(std::move(owner)) {}
  /// Makes the chains and the jumps to them; closed when there is a lease.
  Result<void> put_in_place();
  /// Writes the chains anew, as the members below say.
  Result<void> fill();
  [[nodiscard]] std::string closing_rules(const Family& family) const;

  Fd netns_;
  std::vector<Family> families_;
  std::vector<Endpoint> exempt_;
  std::string owner_comment_;
  std::string armed_comment_;
  bool prepared_ = false;
  std::string lease_end_;   ///< empty: disarmed
  std::string resets_end_;  ///< empty: resets are kept in
  SocketTable answered_;
};

}  // namespace lockstep
