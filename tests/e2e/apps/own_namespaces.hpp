/// A pid namespace and a mount namespace for a whole test program.
#pragma once

#include <functional>

namespace lockstep::apps {

/// Runs `body` in a child that is the first process of a pid namespace, with a /proc and a /run/netns of its own, and
/// returns what it returns.
///
/// CRIU brings processes back with the pids that they had. On a busy machine one of an application's many pids would
/// now and then have been taken meanwhile; here nobody but the tests takes any. And nothing outlives the test program,
/// however it ends: the kernel kills what is left in the pid namespace, and network namespaces go with their names.
[[nodiscard]] int in_own_namespaces(const std::function<int()>& body);

}  // namespace lockstep::apps
