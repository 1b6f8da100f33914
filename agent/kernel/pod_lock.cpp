#include "agent/kernel/pod_lock.hpp"

#include "agent/kernel/iptables_lock.hpp"
#include "agent/kernel/nft_lock.hpp"

namespace lockstep {
namespace {

using MadeLock = Result<std::unique_ptr<PodLock>>;

/// Prepares a lock that was just made: only that tells whether kernel and permissions allow it.
MadeLock prepared(MadeLock lock, const std::optional<Closing>& closing) {
  if (!lock) return lock;
  auto done = closing ? (*lock)->take_over(closing->lease, closing->round) : (*lock)->prepare();
  if (!done) {
    // What was put in place before the step that failed; never what was closed before.
    if (!closing) (void)(*lock)->remove();
    return Failure(done.error());
  }
  return lock;
}

/// A person reads this: both reasons, and what would help against either.
Failure neither(const Error& nft, const Error& iptables) {
  const bool forbidden = nft.sys_errno == EPERM || nft.sys_errno == EACCES;
  const std::string advice = forbidden
                                 ? "give the agent CAP_NET_ADMIN (on a node also CAP_SYS_ADMIN) over the pod's user namespace"
                                 : "load nf_tables on the node (modprobe nf_tables) or install iptables with xt_time";
  return Failure(
      Error{nft.code, 0, "lock the pod's network", nft.message() + "; " + iptables.message() + "; " + advice});
}

}  // namespace

Result<std::unique_ptr<PodLock>> create_pod_lock(const Fd& netns, LockBackend backend, std::vector<Endpoint> exempt,
                                                 const LockOwner& owner, const std::optional<Closing>& closing) {
  if (backend == LockBackend::iptables) {
    return prepared(IptablesLock::create(netns, std::move(exempt), "", owner), closing);
  }
  MadeLock nft = prepared(NftLock::create(netns, exempt, owner), closing);
  // What is wrong with the arguments is as wrong for iptables.
  if (nft || backend == LockBackend::nftables || nft.error().code == ErrorCode::invalid) return nft;
  MadeLock iptables = prepared(IptablesLock::create(netns, std::move(exempt), "", owner), closing);
  if (!iptables) return neither(nft.error(), iptables.error());
  return iptables;
}

}  // namespace lockstep
