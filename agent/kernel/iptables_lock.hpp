/// The lock by iptables, for kernels and pods where nf_tables can't be used: slow (a child process for each address
/// family and step, 30 ms and more), the same meaning.
#pragma once

#include <string>

#include "agent/kernel/pod_lock.hpp"

namespace lockstep {

/// The programs for one address family.
struct IptablesPrograms {
  std::string restore;
  std::string save;
};

/// Two chains in the filter table, LOCKSTEP-IN and LOCKSTEP-OUT, to which INPUT and OUTPUT jump first. Disarmed they
/// are empty. Every step is one iptables-restore for each address family, which the kernel takes as a whole.
///
/// The lease is xt_time's `--datestop`, so it follows the wall clock, and in whole seconds, rounded up: an armed lock
/// stays closed for the lease and up to 2 s more. IPv4 and IPv6 don't change in one step; when the second one fails,
/// the first stays as it is until its lease ends or disarm().
class IptablesLock final : public PodLock {
 public:
  /// `flavour`: "" for the machine's default, "-nft" or "-legacy". not_found when the programs are not installed.
  [[nodiscard]] static Result<std::unique_ptr<PodLock>> create(const Fd& netns, std::vector<Endpoint> exempt,
                                                               std::string_view flavour = "");

  Result<void> prepare() override;
  Result<void> arm(milliseconds lease) override;
  Result<void> renew(milliseconds lease) override { return arm(lease); }
  Result<void> disarm() override;
  Result<void> remove() override;
  [[nodiscard]] std::string_view backend() const override { return "iptables"; }

 private:
  struct Family {
    IpFamily ip = IpFamily::v4;
    IptablesPrograms programs;
  };
  IptablesLock(Fd netns, std::vector<Family> families, std::vector<Endpoint> exempt)
      : netns_(std::move(netns)), families_(std::move(families)), exempt_(std::move(exempt)) {}
  Result<std::string> saved_rules(const Family& family) const;
  Result<void> restore(const Family& family, const std::string& script) const;

  Fd netns_;
  std::vector<Family> families_;
  std::vector<Endpoint> exempt_;
  bool prepared_ = false;
};

}  // namespace lockstep
