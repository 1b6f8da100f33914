/// End points for people.
#pragma once

#include <string>

#include "schemas/socket_table.hpp"

namespace lockstep::images {

/// "10.0.0.1:80", "[fd00::1]:80".
[[nodiscard]] std::string endpoint_text(const Endpoint& endpoint);

}  // namespace lockstep::images
