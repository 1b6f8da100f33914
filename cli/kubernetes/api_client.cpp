#include "cli/kubernetes/api_client.hpp"

#include <curl/curl.h>

#include <array>
#include <memory>

#include "cli/text_table.hpp"

namespace lockstep::cli {
namespace {

struct Closer {
  void operator()(CURL* handle) const { ::curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
};
using Handle = std::unique_ptr<CURL, Closer>;
using Headers = std::unique_ptr<curl_slist, Closer>;

/// libcurl's own state, made once and left to the process's end.
bool start_curl() {
  static const bool good = ::curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return good;
}

struct Body {
  std::string text;
  bool too_large = false;
};

std::size_t take_bytes(char* data, std::size_t size, std::size_t count, void* owner) {
  auto& body = *static_cast<Body*>(owner);
  if (body.text.size() + size * count > kMaxApiAnswer) {
    body.too_large = true;
    return 0;  // libcurl ends the transfer
  }
  body.text.append(data, size * count);
  return size * count;
}

int on_progress(void* give_up, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<bool (**)()>(give_up))() ? 1 : 0;
}

/// Copied by libcurl.
void set_blob(CURL* handle, CURLoption option, std::string& text) {
  curl_blob blob{text.data(), text.size(), CURL_BLOB_COPY};
  ::curl_easy_setopt(handle, option, &blob);
}

Result<void> set_certificates(CURL* handle, const ApiAccess& access) {
  ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, access.insecure ? 0L : 1L);
  ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, access.insecure ? 0L : 2L);
  ::curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (access.authority.given()) {
    auto authority = read_pem(access.authority, "certificate-authority");
    if (!authority) return Failure(authority.error());
    set_blob(handle, CURLOPT_CAINFO_BLOB, *authority);
    ::curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);  // that one, and none of the machine's besides
  }
  if (!access.certificate.given()) return {};
  auto certificate = read_pem(access.certificate, "client-certificate");
  if (!certificate) return Failure(certificate.error());
  auto key = read_pem(access.key, "client-key");
  if (!key) return Failure(key.error());
  ::curl_easy_setopt(handle, CURLOPT_SSLCERTTYPE, "PEM");
  ::curl_easy_setopt(handle, CURLOPT_SSLKEYTYPE, "PEM");
  set_blob(handle, CURLOPT_SSLCERT_BLOB, *certificate);
  set_blob(handle, CURLOPT_SSLKEY_BLOB, *key);
  return {};
}

Result<Headers> headers_of(const ApiAccess& access) {
  const auto token = read_token(access);
  if (!token) return Failure(token.error());
  Headers headers(::curl_slist_append(nullptr, "Accept: application/json"));
  if (token->empty()) return headers;
  curl_slist* const longer = ::curl_slist_append(headers.get(), ("Authorization: Bearer " + *token).c_str());
  if (longer == nullptr) return fail(ErrorCode::system, "libcurl", "no memory");
  return headers;  // the new one hangs behind the first
}

/// libcurl's word for what went wrong, and what can be done.
Failure failed(const ApiAccess& access, CURLcode code, const char* words, const Body& body) {
  const std::string server = "API server " + access.server;
  const std::string why = printable(*words != '\0' ? words : ::curl_easy_strerror(code), 300);
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
      return fail(
          ErrorCode::invalid, server,
          why + "; is this the cluster that " + access.source + " is for, and its certificate-authority up to date?");
    case CURLE_SSL_CACERT_BADFILE:
      return fail(ErrorCode::invalid, server, why + "; the certificate-authority of " + access.source + " is damaged");
    case CURLE_SSL_CERTPROBLEM:
      return fail(ErrorCode::invalid, server,
                  why + "; the client certificate of " + access.source + " or its key is damaged");
    case CURLE_OPERATION_TIMEDOUT: return fail(ErrorCode::timeout, server, why);
    case CURLE_ABORTED_BY_CALLBACK:
      return fail(ErrorCode::refused, server, "has not answered, and nobody waits for it any more");
    case CURLE_WRITE_ERROR:
      if (body.too_large) return fail(ErrorCode::invalid, server, "answers with more than 4 MiB; is this one?");
      break;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY: return fail(ErrorCode::unavailable, server, why + "; is this one?");
    default: break;
  }
  return fail(ErrorCode::unavailable, server, why);
}

}  // namespace

Result<ApiAnswer> call_api(const ApiAccess& access, const ApiRequest& request, bool (*give_up)()) {
  const Handle handle(start_curl() ? ::curl_easy_init() : nullptr);
  if (!handle) return fail(ErrorCode::system, "libcurl", "can't be used");
  CURL* const curl = handle.get();
  if (auto set = set_certificates(curl, access); !set) return Failure(set.error());
  const auto headers = headers_of(access);
  if (!headers) return Failure(headers.error());

  Body body;
  std::array<char, CURL_ERROR_SIZE> words{};
  const std::string url = access.server + request.path;
  ::curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  ::curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  ::curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  ::curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers->get());
  ::curl_easy_setopt(curl, CURLOPT_USERAGENT, "lockstep");
  ::curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words.data());
  ::curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_bytes);
  ::curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  ::curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kApiConnectLimit.count()));
  ::curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.limit.count()));
  // A member's dump may take minutes, in which nothing is sent: NAT on the way is not to forget the connection.
  ::curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  if (!access.proxy.empty()) ::curl_easy_setopt(curl, CURLOPT_PROXY, access.proxy.c_str());
  if (request.method == ApiRequest::Method::post) {
    ::curl_easy_setopt(curl, CURLOPT_POST, 1L);
    ::curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
  }
  if (give_up != nullptr) {
    ::curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &on_progress);
    ::curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &give_up);
    ::curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  }
  if (const CURLcode code = ::curl_easy_perform(curl); code != CURLE_OK) {
    return failed(access, code, words.data(), body);
  }
  ApiAnswer answer;
  ::curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  answer.body = std::move(body.text);
  return answer;
}

}  // namespace lockstep::cli
