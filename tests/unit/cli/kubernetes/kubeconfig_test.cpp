#include "cli/kubernetes/kubeconfig.hpp"

#include <gtest/gtest.h>

#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

constexpr const char* kSecret = "s3cr3t.t0ken-of_somebody";
/// "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
constexpr const char* kPem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCngKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";

/// A file of one context, with the given cluster and user.
std::string file(const std::string& cluster, const std::string& user) {
  return "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, cluster: {" +
         cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n";
}

Result<ApiAccess> parse(const std::string& yaml, const std::string& context = {}) {
  return parse_kubeconfig(yaml, "config", "/home/me/.kube", context);
}

std::string error_of(const std::string& yaml, const std::string& context = {}) {
  const auto access = parse(yaml, context);
  return access ? "(no error)" : access.error().message();
}

TEST(Kubeconfig, ReadsOneOfItsContexts) {
  const std::string yaml = R"(
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: "one"
clusters:
- cluster:
    certificate-authority-data: )" +
                           std::string(kPem) + R"(
    server: https://10.0.0.1:6443/
    extensions: [{name: x, extension: {provider: y}}]
  name: first
- cluster: {server: 'https://k8s.example/clusters/c-1', insecure-skip-tls-verify: true, proxy-url: 'http://proxy:3128'}
  name: second
contexts:
- context: {cluster: first, user: me, namespace: ""}
  name: one
- context: {cluster: second, user: robot, namespace: shop}
  name: two
- context: {cluster: first}
  name: three
users:
- name: me
  user: {client-certificate: me.crt, client-key: /etc/me.key}
- name: robot
  user: {token: )" + std::string(kSecret) +
                           R"(, tokenFile: ../token}
)";
  const auto one = parse(yaml);
  ASSERT_TRUE(one) << one.error().message();
  EXPECT_EQ(one->source, "config, context \"one\"");
  EXPECT_EQ(one->server, "https://10.0.0.1:6443");
  EXPECT_EQ(one->authority.text, "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
  EXPECT_EQ(one->certificate.file, "/home/me/.kube/me.crt");
  EXPECT_EQ(one->key.file, "/etc/me.key");
  EXPECT_EQ(one->token + one->token_file, "");
  EXPECT_EQ(one->ns, "default");
  EXPECT_FALSE(one->insecure);

  const auto two = parse(yaml, "two");
  ASSERT_TRUE(two) << two.error().message();
  EXPECT_EQ(two->server, "https://k8s.example/clusters/c-1");
  EXPECT_EQ(two->proxy, "http://proxy:3128");
  EXPECT_EQ(two->token_file, "/home/me/token");
  EXPECT_EQ(two->ns, "shop");
  EXPECT_TRUE(two->insecure);
  EXPECT_FALSE(two->certificate.given());

  const auto three = parse(yaml, "three");
  ASSERT_TRUE(three) << three.error().message();
  EXPECT_EQ(three->token, "");
}

TEST(Kubeconfig, SaysWhatIsMissingOrNotSupported) {
  const std::string server = "server: 'https://h'";
  struct Case {
    std::string yaml;
    std::string words;
  };
  const std::vector<Case> cases{
      {"", "has no current-context"},
      {"current-context: c\n", "contexts: there is none called \"c\""},
      {"current-context: c\ncontexts: [{name: c}]\n", "context: is missing"},
      {"current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n", "clusters: there is none called \"k\""},
      {"current-context: c\ncontexts: [{name: c, context: {cluster: k, user: x}}]\nclusters: [{name: k, cluster: {" +
           server + "}}]\n",
       "users: there is none called \"x\""},
      {file("", ""), "expected https://"},
      {file("server: 'http://h'", ""), "expected https://"},
      {file("server: 'https://'", ""), "expected https://"},
      {file("server: 'https://me:password@h'", ""), "expected https://"},
      {file("server: \"https://h\\nHost: x\"", ""), "expected https://"},
      {file(server + ", certificate-authority-data: '!!'", ""), "expected PEM text in base64"},
      {file(server + ", certificate-authority-data: aGVsbG8=", ""), "expected PEM text in base64"},
      {file(server + ", certificate-authority: x, insecure-skip-tls-verify: true", ""), "contradicts"},
      {file(server + ", tls-server-name: x", ""), "tls-server-name: is not supported"},
      {file(server, "exec: {command: aws, args: [x]}"),
       "exec: is not supported: lockstep starts no credential plugins"},
      {file(server, "auth-provider: {name: gcp}"), "auth-provider: is not supported"},
      {file(server, "username: me, password: x"), "username: is not supported"},
      {file(server, "as: root"), "as: is not supported"},
      {file(server, "client-certificate: x"), "and not the other"},
      {file(server, std::string("token: \"") + kSecret + "\\r\\nX: y\""), "has characters that no token has"},
      {file(server, std::string("token: [") + kSecret + "]"), "expected a text, got a list"},
      {std::string("current-context: [") + kSecret + "]\n", "expected a text, got a list"},
  };
  for (const Case& each : cases) {
    const std::string error = error_of(each.yaml);
    EXPECT_NE(error.find(each.words), std::string::npos) << each.yaml << "\n" << error;
    EXPECT_EQ(error.find(kSecret), std::string::npos) << error;
  }
  EXPECT_NE(error_of(file(server, ""), "other").find("there is none called \"other\""), std::string::npos);
}

TEST(Kubeconfig, DecodesBase64) {
  const std::vector<std::pair<std::string, std::string>> good{
      {"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9v\nYmFy ", "foobar"}, {"/+8=", "\xff\xef"}};
  for (const auto& [text, bytes] : good) EXPECT_EQ(decode_base64(text).value_or("(none)"), bytes) << text;
  for (const char* bad : {"Z", "Zg", "Zg=", "Zm9v=", "=", "Zg==Zg==", "Zm9-", "Zm9vY", "===="})
    EXPECT_FALSE(decode_base64(bad)) << bad;
}

TEST(ServiceAccount, IsReadFromItsFolder) {
  test::TempDir folder;
  auto access = service_account_access("10.96.0.1", "443", folder.path());
  ASSERT_TRUE(access);
  EXPECT_EQ(access->server, "https://10.96.0.1:443");
  EXPECT_EQ(access->ns, "default");
  EXPECT_FALSE(read_token(*access)) << "there is no file yet";

  test::write_file(folder / "namespace", "shop\n");
  test::write_file(folder / "token", std::string(kSecret) + "\n");
  access = service_account_access("fd00::1", "443", folder.path());
  ASSERT_TRUE(access);
  EXPECT_EQ(access->server, "https://[fd00::1]:443");
  EXPECT_EQ(access->ns, "shop");
  EXPECT_EQ(read_token(*access).value_or(""), kSecret);
  test::write_file(folder / "token", "replaced");
  EXPECT_EQ(read_token(*access).value_or(""), "replaced") << "each time anew";
  test::write_file(folder / "token", std::string(kSecret) + " x");
  const auto bad = read_token(*access);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message().find(kSecret), std::string::npos);

  EXPECT_FALSE(service_account_access("h/x@y", "443", folder.path()));
  test::write_file(folder / "namespace", "No Name");
  EXPECT_FALSE(service_account_access("10.96.0.1", "443", folder.path()));
}

TEST(ServiceAccount, PemHasToBePem) {
  test::TempDir folder;
  test::write_file(folder / "ca.crt", std::string(kSecret));
  const auto text = read_pem({{}, folder / "ca.crt"}, "certificate-authority");
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().message().find("ca.crt: holds no PEM text"), std::string::npos);
  EXPECT_EQ(text.error().message().find(kSecret), std::string::npos);
  EXPECT_EQ(read_pem({"-----BEGIN X", {}}, "x").value_or(""), "-----BEGIN X");
}

}  // namespace
}  // namespace lockstep::cli
