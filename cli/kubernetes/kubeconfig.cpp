#include "cli/kubernetes/kubeconfig.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

#include "cli/files.hpp"
#include "cli/kubernetes/names.hpp"
#include "common/config.hpp"

namespace lockstep::cli {
namespace {

constexpr std::size_t kPemLimit = 1024 * 1024;
constexpr std::size_t kTokenLimit = 64 * 1024;
constexpr std::string_view kHttps = "https://";

std::string absolute(const std::filesystem::path& folder, const std::string& path) {
  return path.empty() ? path : (folder / path).lexically_normal().string();
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kBlank) + 1 - first));
}

/// Fit to be a header: nothing in it can end the line.
bool is_token(std::string_view token) {
  return !token.empty() && std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
}

/// Nothing but a host, a port and a path: a name or a password in it would get into messages.
bool is_server(std::string_view url) {
  if (!url.starts_with(kHttps) || url.size() == kHttps.size()) return false;
  const std::string_view rest = url.substr(kHttps.size());
  return rest.front() != '/' && std::ranges::all_of(rest, [](char c) {
           return c > ' ' && c < '\x7f' && std::string_view("@?#\"\\<>").find(c) == std::string_view::npos;
         });
}

/// The section of an entry of `clusters`, `users` or `contexts`: `{name: NAME, KIND: {…}}`. Every entry is read, so
/// that each mistake is found; what is found of the others is not used.
std::optional<Config> find_entry(Config& file, std::string_view list, std::string_view kind, const std::string& name) {
  std::optional<Config> found;
  for (Config& entry : file.sections(list)) {
    std::string its_name;
    entry.text("name", its_name);
    if (its_name != name || found) continue;  // as kubectl does: the first one counts
    found = entry.section(kind);
    if (!found) entry.complain(kind, "is missing");
  }
  if (!found) file.complain(list, "there is none called \"" + name + "\"");
  return found;
}

/// `KEY-data` in base64, which goes first, or `KEY` with a path.
PemSource read_source(Config& section, const std::string& key, const std::filesystem::path& folder) {
  PemSource source;
  std::string data;
  section.text(key + "-data", data);
  section.text(key, source.file);
  if (data.empty()) {
    source.file = absolute(folder, source.file);
    return source;
  }
  source.file.clear();
  if (auto text = decode_base64(data); text && text->find("-----BEGIN") != std::string::npos) {
    source.text = std::move(*text);
  } else {
    section.complain(key + "-data", "expected PEM text in base64");
  }
  return source;
}

void refuse(Config& section, std::string_view key, const std::string& what) {
  if (section.has(key)) section.complain(key, what);
}

void read_cluster(Config& section, const std::filesystem::path& folder, ApiAccess& access) {
  section.text("server", access.server);
  section.text("proxy-url", access.proxy);
  section.flag("insecure-skip-tls-verify", access.insecure);
  access.authority = read_source(section, "certificate-authority", folder);
  while (access.server.ends_with('/')) access.server.pop_back();
  if (!is_server(access.server))
    section.complain("server", "expected https://HOST:PORT, perhaps with a path behind it");
  if (access.insecure && access.authority.given()) {
    section.complain("insecure-skip-tls-verify", "contradicts certificate-authority: remove one of the two");
  }
  refuse(section, "tls-server-name", "is not supported: let \"server\" have a name that its certificate has");
}

void read_user(Config& section, const std::filesystem::path& folder, ApiAccess& access) {
  access.certificate = read_source(section, "client-certificate", folder);
  access.key = read_source(section, "client-key", folder);
  section.text("token", access.token);
  section.text("tokenFile", access.token_file);
  access.token_file = absolute(folder, access.token_file);
  if (!access.token.empty() && !is_token(access.token)) section.complain("token", "has characters that no token has");
  if (access.certificate.given() != access.key.given()) {
    section.complain({}, "has one of client-certificate and client-key, and not the other");
  }
  constexpr const char* kNoPlugins =
      "is not supported: lockstep starts no credential plugins; use a token (kubectl create token), a tokenFile, or a "
      "client certificate";
  refuse(section, "exec", kNoPlugins);
  refuse(section, "auth-provider", kNoPlugins);
  for (const std::string_view key : {"username", "password"}) {
    refuse(section, key, "is not supported: API servers have given up basic authentication");
  }
  for (const std::string_view key : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    refuse(section, key, "is not supported: name a user who has the rights himself");
  }
}

Result<ApiAccess> read_kubeconfig(Config file, const std::string& name, const std::filesystem::path& folder,
                                  std::string context) {
  file.tolerate_others();
  ApiAccess access;
  std::string current;
  file.text("current-context", current);
  if (context.empty()) context = current;
  if (context.empty()) {
    file.complain({}, "has no current-context: name one by \"context:\"");
    return Failure(file.finish().error());
  }
  access.source = name + ", context \"" + context + "\"";
  std::string cluster;
  std::string user;
  if (auto section = find_entry(file, "contexts", "context", context)) {
    section->text("cluster", cluster);
    section->text("user", user);
    section->text("namespace", access.ns);
    if (!is_dns_label(access.ns)) section->complain("namespace", "is no name of a namespace");
  }
  if (auto section = find_entry(file, "clusters", "cluster", cluster)) read_cluster(*section, folder, access);
  // A context without a user is one that says nothing of who it is.
  if (!user.empty()) {
    if (auto section = find_entry(file, "users", "user", user)) read_user(*section, folder, access);
  }
  if (auto done = file.finish(); !done) return Failure(done.error());
  return access;
}

Result<ApiAccess> load_kubeconfig(const std::string& path, const std::string& context) {
  auto config = Config::load(path);
  if (!config) return fail_from(config.error(), "kubeconfig");
  std::error_code error;
  const auto folder = std::filesystem::absolute(path, error).parent_path();
  if (error) return fail(ErrorCode::system, "working folder of " + path, error.message());
  return read_kubeconfig(std::move(*config), "kubeconfig " + path, folder, context);
}

std::string environment(const char* name) {
  const char* const value = ::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

Result<std::string> decode_base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const Failure bad = fail(ErrorCode::invalid, "base64", "is none");
  std::string bytes;
  std::uint32_t bits = 0;
  std::size_t digits = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const std::size_t value = kDigits.find(c);
    if (value == std::string_view::npos || padding > 0) return bad;
    bits = bits << 6U | static_cast<std::uint32_t>(value);
    if (digits++ % 4 == 0) continue;
    const std::size_t spare = 6 - 2 * ((digits - 1) % 4);
    bytes += static_cast<char>(bits >> spare & 0xffU);
  }
  if (digits % 4 == 1 || padding > 2 || (digits + padding) % 4 != 0) return bad;
  return bytes;
}

Result<ApiAccess> parse_kubeconfig(const std::string& yaml, const std::string& name, const std::string& folder,
                                   const std::string& context) {
  auto config = Config::parse(yaml, name);
  if (!config) return Failure(config.error());
  return read_kubeconfig(std::move(*config), name, folder, context);
}

Result<ApiAccess> service_account_access(const std::string& host, const std::string& port, const std::string& folder) {
  ApiAccess access;
  access.source = "the service account in " + folder;
  const bool is_ipv6 = host.find(':') != std::string::npos;
  access.server = std::string(kHttps) + (is_ipv6 ? "[" + host + "]" : host) + ":" + port;
  if (!is_server(access.server)) {
    return fail(ErrorCode::invalid, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT", "name no server");
  }
  access.token_file = folder + "/token";
  access.authority.file = folder + "/ca.crt";
  if (const auto ns = read_file(folder + "/namespace", 256)) {
    access.ns = trimmed(*ns);
    if (!is_dns_label(access.ns)) return fail(ErrorCode::invalid, folder + "/namespace", "holds no namespace's name");
  }
  return access;
}

Result<ApiAccess> find_access(const KubernetesSettings& settings) {
  if (!settings.kubeconfig.empty()) return load_kubeconfig(settings.kubeconfig, settings.context);
  const std::string named = environment("KUBECONFIG");
  if (named.find(':') != std::string::npos) {
    return fail(ErrorCode::invalid, "KUBECONFIG",
                "names several files; name one by \"kubernetes: {kubeconfig: PATH}\"");
  }
  if (!named.empty()) return load_kubeconfig(named, settings.context);
  const std::string host = environment("KUBERNETES_SERVICE_HOST");
  if (host.empty()) {
    return fail(
        ErrorCode::invalid, "no way to the API server",
        "name a file by \"kubernetes: {kubeconfig: PATH}\" or KUBECONFIG, or run in a pod with a service account");
  }
  if (!settings.context.empty()) {
    return fail(ErrorCode::invalid, "context \"" + settings.context + "\"", "is for kubeconfigs, and there is none");
  }
  const std::string port = environment("KUBERNETES_SERVICE_PORT");
  return service_account_access(host, port.empty() ? "443" : port, std::string(kServiceAccountFolder));
}

Result<std::string> read_pem(const PemSource& source, std::string_view what) {
  if (source.file.empty()) return source.text;
  auto text = read_file(source.file, kPemLimit);
  if (!text) return fail_from(text.error(), what);
  if (text->find("-----BEGIN") == std::string::npos) {
    return fail(ErrorCode::invalid, std::string(what) + ": " + source.file, "holds no PEM text");
  }
  return text;
}

Result<std::string> read_token(const ApiAccess& access) {
  if (access.token_file.empty()) return access.token;
  const auto text = read_file(access.token_file, kTokenLimit);
  if (!text) return fail_from(text.error(), "token");
  std::string token = trimmed(*text);
  if (!is_token(token)) return fail(ErrorCode::invalid, "token: " + access.token_file, "holds no token");
  return token;
}

}  // namespace lockstep::cli
