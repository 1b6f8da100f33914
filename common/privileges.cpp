#include "common/privileges.hpp"

#include <cap-ng.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cctype>

namespace lockstep {

Result<std::vector<std::string>> keep_capabilities(const std::vector<int>& needed) {
  if (capng_get_caps_process() != 0) return fail(ErrorCode::system, "read the process's capabilities");
  std::vector<std::string> missing;
  std::vector<unsigned> kept;
  for (const int number : needed) {
    const auto capability = static_cast<unsigned>(number);
    if (capng_have_capability(CAPNG_PERMITTED, capability) != 0) {
      kept.push_back(capability);
    } else {
      std::string name = "cap_" + std::string(capng_capability_to_name(capability));
      std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      missing.push_back(std::move(name));
    }
  }
  // Nothing that is executed from here on gets more than we have, set-user-id programs included.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl PR_SET_NO_NEW_PRIVS");
  const bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
  capng_clear(CAPNG_SELECT_ALL);
  constexpr auto kSets = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET);
  for (const unsigned capability : kept) {
    if (capng_update(CAPNG_ADD, kSets, capability) != 0) return fail(ErrorCode::system, "choose capabilities");
  }
  // Whoever may not shrink the bounding set is not root, or was given a small one by whoever started it.
  if (may_bound && capng_apply(CAPNG_SELECT_BOUNDS) != 0) return fail_errno("shrink the capability bounding set");
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) return fail_errno("drop capabilities");
  return missing;
}

}  // namespace lockstep
