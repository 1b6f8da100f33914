/// The files of keys, and whom they let in.
#include "broker/gate.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::broker {
namespace {

namespace fs = std::filesystem;

void write(const std::string& path, const std::string& text, mode_t mode = 0600) {
  std::ofstream(path) << text;
  ASSERT_EQ(::chmod(path.c_str(), mode), 0);
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

class Keys : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(init_key_folder(folder_)); }

  KeyEntry allow(const std::string& name, KeyRole role = KeyRole::operator_) {
    const KeyEntry entry{name, role, role == KeyRole::agent ? "node-1" : "", {}, make_key_pair()->public_key};
    const auto done = allow_key(folder_, entry);
    EXPECT_TRUE(done) << done.error().message();
    return entry;
  }
  KeyList list() {
    const auto list = load_key_list(folder_);
    EXPECT_TRUE(list) << list.error().message();
    return list ? *list : KeyList{};
  }

  test::TempDir dir_;
  std::string folder_ = dir_ / "etc/keys";
};

TEST_F(Keys, AreMadeForTheirOwnerOnly) {
  EXPECT_EQ(mode_of(folder_), 0700U);
  EXPECT_EQ(mode_of(folder_ + "/broker.key"), 0600U);
  EXPECT_EQ(mode_of(folder_ + "/broker.pub"), 0644U);
  const auto pair = load_broker_key(folder_);
  ASSERT_TRUE(pair) << pair.error().message();
  EXPECT_TRUE(is_key(pair->public_key) && is_key(pair->secret_key));
  const auto again = init_key_folder(folder_);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
  EXPECT_EQ(load_broker_key(folder_)->secret_key, pair->secret_key) << "a key that is there is never replaced";
}

TEST_F(Keys, AreAllowedAndRevoked) {
  const KeyEntry agent = allow("web-1", KeyRole::agent);
  const KeyEntry op = allow("op");
  EXPECT_EQ(list().allowed, (std::vector{op, agent}));
  const auto revoked = revoke_key(folder_, "web-1");
  ASSERT_TRUE(revoked);
  EXPECT_EQ(*revoked, agent);
  EXPECT_EQ(list().allowed, std::vector{op});
  EXPECT_EQ(list().revoked, std::vector{agent});
  EXPECT_EQ(revoke_key(folder_, "web-1").error().code, ErrorCode::not_found);
  EXPECT_EQ(allow_key(folder_, agent).error().code, ErrorCode::conflict) << "it was revoked";
  EXPECT_EQ(allow_key(folder_, {"other", KeyRole::observer, {}, {}, op.public_key}).error().code, ErrorCode::conflict);
  EXPECT_EQ(allow_key(folder_, {"op", KeyRole::observer, {}, {}, agent.public_key}).error().code, ErrorCode::conflict);
  (void)allow("web-1", KeyRole::agent);  // the machine has got a new one
  EXPECT_TRUE(revoke_key(folder_, "web-1"));
  EXPECT_EQ(list().revoked.size(), 2U);
}

TEST_F(Keys, ThatWereRevokedDoNotComeBackByACopiedFile) {
  const KeyEntry entry = allow("web-1");
  fs::copy_file(folder_ + "/allowed/web-1.yaml", dir_ / "backup");
  ASSERT_TRUE(revoke_key(folder_, "web-1"));
  fs::copy_file(dir_ / "backup", folder_ + "/allowed/web-1.yaml");
  EXPECT_TRUE(list().allowed.empty());
  EXPECT_EQ(list().complaints.size(), 1U);
}

TEST_F(Keys, OneWrongFileDoesNotCountAndTheOthersDo) {
  const KeyEntry good = allow("good");
  const std::string key = make_key_pair()->public_key;
  struct Row {
    std::string name;
    std::string yaml;
    mode_t mode;
    std::string says;
  };
  for (const Row& row :
       {Row{"a", "name: a\nrole: king\npublic: \"" + key + "\"\n", 0600, "one of agent, operator, observer"},
        Row{"b", "name: b\nrole: operator\npublic: \"too short\"\n", 0600, "is no key"},
        Row{"c", "name: d\nrole: operator\npublic: \"" + key + "\"\n", 0600, "file's name says otherwise"},
        Row{"e", "name: e\nrole: agent\npublic: \"" + key + "\"\n", 0600, "\"node\" is missing"},
        Row{"f", "name: f\nrole: observer\nnode: n\npublic: \"" + key + "\"\n", 0600, "is for agents"},
        Row{"g", "name: g\nrole: operator\npublic: \"" + key + "\"\n", 0666, "written by others"},
        Row{"h", "name: h\nrole: operator\npublic: \"" + key + "\"\nadmin: yes\n", 0600, "unknown key"},
        Row{"i", "][", 0600, "not YAML"}}) {
    const std::string path = folder_ + "/allowed/" + row.name + ".yaml";
    write(path, row.yaml, row.mode);
    const KeyList read = list();
    EXPECT_EQ(read.allowed, std::vector{good}) << row.yaml;
    ASSERT_EQ(read.complaints.size(), 1U) << row.yaml;
    EXPECT_NE(read.complaints[0].find(row.says), std::string::npos) << read.complaints[0];
    fs::remove(path);
  }
  write(folder_ + "/allowed/.hidden.yaml", "][");
  write(folder_ + "/allowed/README", "no key");
  EXPECT_TRUE(list().complaints.empty());
}

TEST_F(Keys, OfAPeerAreSecret) {
  const KeyPair pair = *make_key_pair();
  const PeerKey key{{"web-1", KeyRole::agent, "node-1", "boot", pair.public_key},
                    pair.secret_key,
                    load_broker_key(folder_)->public_key,
                    {}};
  const std::string path = dir_ / "web-1.key";
  ASSERT_TRUE(write_peer_key(path, key));
  EXPECT_EQ(mode_of(path), 0600U);
  const auto read = load_peer_key(path);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->entry, key.entry);
  EXPECT_EQ(read->secret_key, key.secret_key);
  EXPECT_EQ(read->broker_key, key.broker_key);
  EXPECT_EQ(write_peer_key(path, key).error().code, ErrorCode::conflict);
  for (const mode_t mode : {0640, 0604, 0660}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    const auto open = load_peer_key(path);
    ASSERT_FALSE(open) << mode;
    EXPECT_EQ(open.error().code, ErrorCode::refused);
    EXPECT_NE(open.error().message().find("chmod 600 " + path), std::string::npos) << open.error().message();
  }
  if (::geteuid() == 0) {
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
    ASSERT_EQ(::chown(path.c_str(), 12345, static_cast<gid_t>(-1)), 0);
    EXPECT_NE(load_peer_key(path).error().message().find("belongs to user 12345"), std::string::npos);
  }
}

TEST_F(Keys, NobodyIsAllowedByAFolderThatOthersCanWriteTo) {
  (void)allow("op");
  ASSERT_EQ(::chmod((folder_ + "/allowed").c_str(), 0777), 0);
  const auto list = load_key_list(folder_);
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().code, ErrorCode::refused);
}

TEST_F(Keys, AreReadAgainWhenTheListHasChanged) {
  zmq::context_t context;
  auto gate = Gate::create(context, folder_, false);
  ASSERT_TRUE(gate) << gate.error().message();
  EXPECT_EQ(gate->keys(), 0U);
  const auto changed = [&] {
    pollfd entry{gate->changes(), POLLIN, 0};
    return ::poll(&entry, 1, 5'000) == 1;
  };
  const KeyEntry web = allow("web-1", KeyRole::agent);
  ASSERT_TRUE(changed());
  EXPECT_TRUE(gate->reload().empty()) << "a new key takes nothing from anybody";
  EXPECT_EQ(gate->keys(), 1U);
  ASSERT_TRUE(revoke_key(folder_, "web-1"));
  ASSERT_TRUE(changed());
  EXPECT_EQ(gate->reload(), std::vector{identity_of(web)});
  // The same key for another node: what it was good for is lost as well.
  const KeyEntry op = allow("op");
  (void)gate->reload();
  write(folder_ + "/allowed/op.yaml", "name: op\nrole: observer\npublic: \"" + op.public_key + "\"\n");
  ASSERT_TRUE(changed());
  EXPECT_EQ(gate->reload(), std::vector{identity_of(op)});
  fs::remove_all(folder_ + "/allowed");
  ASSERT_TRUE(changed());
  EXPECT_EQ(gate->reload().size(), 1U) << "without a list nobody is in it";
  EXPECT_EQ(gate->keys(), 0U);
}

TEST(Admission, IsByKeyOnTheNetworkAndByUserOnTheMachine) {
  const std::string good = make_key_pair()->public_key;
  const std::string bad = make_key_pair()->public_key;
  const std::string former = make_key_pair()->public_key;
  KeyList keys;
  keys.allowed = {{"op", KeyRole::operator_, {}, {}, good}};
  keys.revoked = {{"web-1", KeyRole::agent, "n", {}, former}};
  const AllowList list(keys);
  const std::string network(kNetworkDomain);
  const std::string file(kFileDomain);
  struct Row {
    ZapQuestion question;
    bool group;
    std::string says;  ///< empty: admitted
  };
  for (const Row& row :
       {Row{{network, "10.0.0.9", "CURVE", good}, false, ""}, Row{{network, "10.0.0.9", "CURVE", bad}, false, bad},
        Row{{network, "10.0.0.9", "CURVE", former}, false, "web-1 (revoked)"},
        Row{{network, "10.0.0.9", "CURVE", ""}, false, "allow-list"},
        Row{{network, "10.0.0.9", "NULL", ""}, false, "no key"},
        Row{{network, "10.0.0.9", "PLAIN", ""}, false, "no key"}, Row{{file, "localhost:0:0:1", "NULL", ""}, false, ""},
        Row{{file, "localhost:77:0:1", "NULL", ""}, false, ""},
        Row{{file, "localhost:1000:1000:1", "NULL", ""}, false, "user 1000"},
        Row{{file, "localhost:1000:1000:1", "NULL", ""}, true, ""},
        Row{{file, "", "NULL", ""}, true, "no user"}, Row{{file, "localhost", "NULL", ""}, true, "no user"},
        Row{{file, "localhost:0", "NULL", ""}, true, "no user"},
        Row{{file, "localhost:x:0:1", "NULL", ""}, true, "no user"}, Row{{"", "", "", ""}, true, "no user"}}) {
    const Admission admission = admit(row.question, list, 77, row.group);
    EXPECT_EQ(admission.admitted, row.says.empty()) << row.question.address << admission.why;
    EXPECT_NE(admission.why.find(row.says), std::string::npos) << admission.why;
  }
}

}  // namespace
}  // namespace lockstep::broker
