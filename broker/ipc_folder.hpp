/// The folders of the broker's unix sockets: who may reach in there may speak to the broker.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"

namespace lockstep::broker {

/// Makes the folders of the endpoints' socket files where there are none: closed (0700), or open to `group` (2750, so
/// that the sockets belong to it as well). A folder that is there has to be root's or ours, and closed to the writing
/// of others; with a group it is made the group's. To be called while the process may still do so
/// (common/privileges.hpp).
[[nodiscard]] Result<void> prepare_ipc_folders(const std::vector<std::string>& endpoints, const std::string& group);

}  // namespace lockstep::broker
