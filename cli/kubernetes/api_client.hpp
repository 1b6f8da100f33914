/// One request to the API server, through libcurl: encrypted, authenticated, bounded in time and size.
///
/// Nothing is kept between two requests: the token's file is read for each one, since the kubelet replaces it.
#pragma once

#include <chrono>
#include <string>

#include "cli/kubernetes/api_answers.hpp"
#include "cli/kubernetes/kubeconfig.hpp"

namespace lockstep::cli {

struct ApiRequest {
  enum class Method { get, post } method = Method::get;
  std::string path;                 ///< with its query; percent-encoded
  std::chrono::milliseconds limit;  ///< for the whole request
};

/// How long it may take until the connection stands and is encrypted.
inline constexpr std::chrono::milliseconds kApiConnectLimit{10'000};

/// Sends it and waits for the answer, whatever its status. invalid: the access or the certificates are not good;
/// unavailable: the server can't be reached, or answers no HTTP; timeout; refused: `give_up` has said so. It is asked
/// at least once a second, and may be null. Messages name the server, and never what authenticates us.
[[nodiscard]] Result<ApiAnswer> call_api(const ApiAccess& access, const ApiRequest& request,
                                         bool (*give_up)() = nullptr);

}  // namespace lockstep::cli
