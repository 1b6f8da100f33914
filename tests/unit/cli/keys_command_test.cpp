/// `lockstep keys`: what it says, and where it puts things. What the files mean is tests/unit/broker/gate_test.cpp's.
#include "cli/keys_command.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/broker_address.hpp"
#include "cli/exit_code.hpp"
#include "common/broker_connection.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

using nlohmann::json;

struct Said {
  int code = -1;
  std::string out;
  std::string err;
};

class KeysCommand : public ::testing::Test {
 protected:
  KeysCommand() { options_.folder = dir_ / "keys"; }

  template <class Command>
  static Said run(Command command, const KeysOptions& options) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Said said;
    said.code = command(options);
    said.out = ::testing::internal::GetCapturedStdout();
    said.err = ::testing::internal::GetCapturedStderr();
    return said;
  }
  Said add(KeyEntry entry, const std::string& file = {}) {
    KeysOptions options = options_;
    options.entry = std::move(entry);
    options.secret_file = file;
    return run(run_keys_add, options);
  }
  json listed() {
    KeysOptions options = options_;
    options.json = true;
    return json::parse(run(run_keys_list, options).out).at("keys");
  }

  test::TempDir dir_;
  KeysOptions options_;
};

TEST_F(KeysCommand, SaysWhereItPutsWhat) {
  const Said init = run(run_keys_init, options_);
  EXPECT_EQ(init.code, kDone) << init.err;
  EXPECT_NE(init.out.find(dir_ / "keys/broker.key (secret"), std::string::npos) << init.out;
  EXPECT_NE(init.out.find(load_broker_key(options_.folder)->public_key), std::string::npos);
  EXPECT_EQ(init.out.find(load_broker_key(options_.folder)->secret_key), std::string::npos)
      << "a secret is never printed";

  const Said added = add({"web-1", KeyRole::agent, "web-1", {}, {}});
  EXPECT_EQ(added.code, kDone) << added.err;
  EXPECT_NE(added.out.find(dir_ / "keys/web-1.key (secret; move it"), std::string::npos) << added.out;
  EXPECT_NE(added.out.find(dir_ / "keys/allowed/web-1.yaml"), std::string::npos) << added.out;
  const auto key = load_peer_key(dir_ / "keys/web-1.key");
  ASSERT_TRUE(key) << key.error().message();
  EXPECT_EQ(added.out.find(key->secret_key), std::string::npos);
  EXPECT_EQ(key->broker_key, load_broker_key(options_.folder)->public_key);

  EXPECT_EQ(add({"op", KeyRole::operator_, {}, {}, {}}, dir_ / "op.key").code, kDone);
  EXPECT_TRUE(load_peer_key(dir_ / "op.key"));
}

TEST_F(KeysCommand, TakesAFolderByItsBareName) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(std::string(dir_ / "."));
  options_.folder = "bare";
  const Said init = run(run_keys_init, options_);
  std::filesystem::current_path(before);
  EXPECT_EQ(init.code, kDone) << init.err;
  EXPECT_TRUE(std::filesystem::exists(dir_ / "bare/broker.key"));
}

TEST_F(KeysCommand, ListsWhatIsAllowedAndWhatWas) {
  (void)run(run_keys_init, options_);
  EXPECT_EQ(run(run_keys_list, options_).out, "no keys\n");
  (void)add({"web-1", KeyRole::agent, "node-7", {}, {}});
  (void)add({"op", KeyRole::operator_, {}, {}, {}});
  KeysOptions revoke = options_;
  revoke.entry.name = "web-1";
  const Said revoked = run(run_keys_revoke, revoke);
  EXPECT_EQ(revoked.code, kDone) << revoked.err;
  const json keys = listed();
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].at("name"), "op");
  EXPECT_EQ(keys[0].at("state"), "allowed");
  EXPECT_EQ(keys[1].at("node"), "node-7");
  EXPECT_EQ(keys[1].at("state"), "revoked");
  const std::string text = run(run_keys_list, options_).out;
  EXPECT_NE(text.find("revoked"), std::string::npos) << text;
  EXPECT_EQ(run(run_keys_revoke, revoke).code, kUsage) << "it is not there any more";
}

TEST_F(KeysCommand, AllowsAKeyThatWasMadeElsewhere) {
  (void)run(run_keys_init, options_);
  const std::string key = make_key_pair()->public_key;
  const Said added = add({"web-1", KeyRole::agent, "web-1", {}, key});
  EXPECT_EQ(added.code, kDone) << added.err;
  EXPECT_EQ(listed()[0].at("public"), key);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "keys/web-1.key"));
}

TEST_F(KeysCommand, NamesWhatIsWrongAndLeavesNothing) {
  EXPECT_NE(add({"op", KeyRole::operator_, {}, {}, {}}).err.find("lockstep keys init"), std::string::npos);
  (void)run(run_keys_init, options_);
  EXPECT_EQ(run(run_keys_init, options_).code, kUsage) << "there is a key already";
  EXPECT_NE(add({"web-1", KeyRole::agent, {}, {}, {}}).err.find("--node"), std::string::npos);
  EXPECT_NE(add({"op", KeyRole::operator_, "n", {}, {}}).err.find("agents' keys"), std::string::npos);
  EXPECT_NE(add({"op", KeyRole::operator_, {}, {}, "x"}).err.find("40 characters"), std::string::npos);
  EXPECT_EQ(add({"op", KeyRole::operator_, {}, {}, {}}, dir_ / "nowhere/op.key").code, kFailed);
  EXPECT_TRUE(listed().empty());
  EXPECT_EQ(add({"op", KeyRole::operator_, {}, {}, {}}).code, kDone);
  EXPECT_EQ(add({"op", KeyRole::observer, {}, {}, {}}, dir_ / "second.key").code, kUsage);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "second.key")) << "the key of a name that is taken";
}

TEST(KeyFor, IsNeededOnANetworkAlone) {
  test::TempDir dir;
  const std::string folder = dir / "keys";
  ASSERT_TRUE(init_key_folder(folder));
  const KeyPair pair = *make_key_pair();
  const std::string file = dir / "op.key";
  ASSERT_TRUE(write_peer_key(
      file,
      {{"op", KeyRole::operator_, {}, {}, pair.public_key}, pair.secret_key, load_broker_key(folder)->public_key, {}}));
  const std::vector<std::string> none{dir / "absent.key"};
  EXPECT_FALSE(*key_for({"ipc:///x"}, file, none)) << "a unix socket has other means";
  EXPECT_FALSE(*key_for({"tcp://127.0.0.1:1"}, {}, none));
  EXPECT_FALSE(*key_for({"tcp://127.0.0.1:1"}, "none", {file}));
  EXPECT_EQ((*key_for({"tcp://127.0.0.1:1"}, {}, {none[0], file}))->entry.name, "op");
  EXPECT_EQ((*key_for({"tcp://10.0.0.1:1", ""}, file, none))->path, file);
  for (const auto& key :
       {key_for({"tcp://10.0.0.1:1"}, {}, none), key_for({"tcp://10.0.0.1:1"}, "none", {file}),
        key_for({"ipc:///x", "tcp://10.0.0.1:1"}, {}, none), key_for({"tcp://10.0.0.1:1"}, none[0], {file})}) {
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, ErrorCode::invalid) << key.error().message();
  }
}

TEST(BrokerSocket, MayNotBeAnybodyElses) {
  test::TempDir dir;
  EXPECT_TRUE(check_broker_socket("tcp://10.0.0.1:1"));
  EXPECT_FALSE(check_broker_socket("ipc://@name"));
  EXPECT_TRUE(check_broker_socket("ipc://" + dir / "broker.sock")) << "to be made later, in a folder of ours";
  EXPECT_TRUE(check_broker_socket("ipc://" + dir / "absent/broker.sock"));
  test::write_file(dir / "file", "x");
  EXPECT_FALSE(check_broker_socket("ipc://" + dir / "file"));
  std::filesystem::create_directory(dir / "open");
  ASSERT_EQ(::chmod((dir / "open").c_str(), 0777), 0);
  const auto open = check_broker_socket("ipc://" + dir / "open/broker.sock");
  ASSERT_FALSE(open);
  EXPECT_NE(open.error().message().find("others can write"), std::string::npos) << open.error().message();
}

}  // namespace
}  // namespace lockstep::cli
