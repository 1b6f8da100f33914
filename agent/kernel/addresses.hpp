/// A pod's addresses, read through rtnetlink (libnl-route).
#pragma once

#include <vector>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// Every IPv4 and IPv6 address of every interface of the namespace, loopback and link-local included, sorted.
[[nodiscard]] Result<std::vector<InterfaceAddress>> read_addresses(const Fd& netns);

}  // namespace lockstep
