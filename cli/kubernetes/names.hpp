/// Names in Kubernetes, and how they are put into the paths of its API. Pure.
#pragma once

#include <string>
#include <string_view>

namespace lockstep::cli {

/// Namespaces and containers (RFC 1123 label): 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end.
[[nodiscard]] bool is_dns_label(std::string_view name);
/// Pods and nodes (RFC 1123 subdomain): labels with dots between them, 253 characters at most.
[[nodiscard]] bool is_dns_subdomain(std::string_view name);

/// Whatever is not unreserved (RFC 3986, 2.3) becomes %XX: what comes out is one segment of a path, whatever goes in.
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace lockstep::cli
