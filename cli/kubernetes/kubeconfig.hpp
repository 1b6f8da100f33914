/// Where a cluster's API server is, and who we are to it: out of a kubeconfig, or of what the kubelet puts into each
/// pod.
///
/// Secrets (tokens, keys) are in these structs and in the connection's headers; no message and no command line has
/// them.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace lockstep::cli {

/// What the group's file says of it (`kubernetes:`).
struct KubernetesSettings {
  std::string kubeconfig;  ///< empty: $KUBECONFIG, else the pod's own service account
  std::string context;     ///< empty: the file's current one
};

/// PEM text, or the file that it is in. Neither: there is none.
struct PemSource {
  std::string text;
  std::string file;
  [[nodiscard]] bool given() const { return !text.empty() || !file.empty(); }
};

struct ApiAccess {
  std::string source;     ///< where this was read, for messages
  std::string server;     ///< https://HOST[:PORT][/PREFIX], without a slash at its end
  std::string proxy;      ///< of the kubeconfig; empty: the environment's, as libcurl reads it
  PemSource authority;    ///< none: the machine's own list of authorities
  PemSource certificate;  ///< of the client, with its key
  PemSource key;
  std::string token;           ///< or
  std::string token_file;      ///< this, which is read whenever it is used: tokens are replaced while we run
  std::string ns = "default";  ///< of members that name no namespace
  bool insecure = false;       ///< the server's certificate is not looked at
};

/// In every pod that has a service account.
inline constexpr std::string_view kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/// One context of a kubeconfig: the named one, or where `context` is empty the file's current one. Relative paths are
/// taken from `folder`. invalid for what this program does not do (exec plugins, basic authentication, impersonation
/// …).
[[nodiscard]] Result<ApiAccess> parse_kubeconfig(const std::string& yaml, const std::string& name,
                                                 const std::string& folder, const std::string& context);

/// The pod's own: `host` and `port` as KUBERNETES_SERVICE_HOST and _PORT say, the rest from files of the folder.
[[nodiscard]] Result<ApiAccess> service_account_access(const std::string& host, const std::string& port,
                                                       const std::string& folder);

/// The first that there is of: the settings' kubeconfig, $KUBECONFIG, the pod's service account.
[[nodiscard]] Result<ApiAccess> find_access(const KubernetesSettings& settings);

/// The text of a PEM source; errors name the file and never what is in it.
[[nodiscard]] Result<std::string> read_pem(const PemSource& source, std::string_view what);
/// The bearer token as it is now; empty where there is none.
[[nodiscard]] Result<std::string> read_token(const ApiAccess& access);

// --- parts that tests look at by themselves -------------------------------------------------------------------------

/// Standard base64, with or without white space between; invalid for anything else.
[[nodiscard]] Result<std::string> decode_base64(std::string_view text);

}  // namespace lockstep::cli
