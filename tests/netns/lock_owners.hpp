/// Owners of locks that live no more.
#pragma once

#include <string>

#include "agent/kernel/lock_note.hpp"

namespace lockstep::testing {

/// A process of this pid namespace that has been there and is gone, as an agent of that name.
[[nodiscard]] LockOwner dead_owner(const std::string& agent);

}  // namespace lockstep::testing
