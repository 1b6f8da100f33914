#include "cli/keys_command.hpp"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/report_json.hpp"
#include "cli/text_table.hpp"

namespace lockstep::cli {
namespace {

using Json = nlohmann::ordered_json;

int report_error(const Error& error, bool json) {
  const ExitCode code = error.code == ErrorCode::system ? kFailed : kUsage;
  std::fprintf(stderr, "lockstep: %s\n", error.message().c_str());
  if (json) std::fputs(error_json(error, code).c_str(), stdout);
  return code;
}

Json entry_json(const KeyEntry& entry, bool allowed) {
  Json json = {{"name", entry.name}, {"role", to_string(entry.role)}, {"state", allowed ? "allowed" : "revoked"}};
  if (!entry.node.empty()) json["node"] = entry.node;
  if (!entry.boot_id.empty()) json["boot_id"] = entry.boot_id;
  json["public"] = entry.public_key;
  return json;
}

void print(const Json& json) { std::printf("%s\n", json.dump(2).c_str()); }

/// Where a key is at home on its peer's machine.
std::string home_of(KeyRole role) { return std::string(kDefaultKeys) + "/" + std::string(to_string(role)) + ".key"; }

Result<void> check_entry(const KeyEntry& entry) {
  const bool agent = entry.role == KeyRole::agent;
  if (agent && entry.node.empty()) {
    return fail(ErrorCode::invalid, "--node is missing",
                "an agent's key is good for one machine: name it, by any name that no other one has");
  }
  if (!agent && (!entry.node.empty() || !entry.boot_id.empty())) {
    return fail(ErrorCode::invalid, "--node and --boot-id", "are for agents' keys");
  }
  if (!entry.public_key.empty() && !is_key(entry.public_key)) {
    return fail(ErrorCode::invalid, "--public " + entry.public_key, "is no key: 40 characters of Z85");
  }
  return {};
}

/// Makes the pair, and writes the secret part first: an allowed key that nobody has would be no use, and a key that is
/// not allowed yet does no harm.
Result<PeerKey> make_peer_key(const KeysOptions& options, const KeyPair& broker) {
  PeerKey key{options.entry, {}, broker.public_key, options.secret_file};
  if (key.path.empty()) key.path = options.folder + "/" + key.entry.name + ".key";
  auto pair = make_key_pair();
  if (!pair) return Failure(pair.error());
  key.entry.public_key = pair->public_key;
  key.secret_key = pair->secret_key;
  if (auto written = write_peer_key(key.path, key); !written) return Failure(written.error());
  return key;
}

Result<PeerKey> add_key(const KeysOptions& options) {
  if (auto good = check_entry(options.entry); !good) return Failure(good.error());
  const auto broker = load_broker_key(options.folder);
  if (!broker) return Failure(broker.error());
  const bool made_elsewhere = !options.entry.public_key.empty();
  auto key = made_elsewhere ? Result<PeerKey>(PeerKey{options.entry, {}, broker->public_key, {}})
                            : make_peer_key(options, *broker);
  if (!key) return key;
  if (auto allowed = allow_key(options.folder, key->entry); !allowed) {
    if (!made_elsewhere) ::unlink(key->path.c_str());
    return Failure(allowed.error());
  }
  return key;
}

}  // namespace

int run_keys_init(const KeysOptions& options) {
  if (auto made = init_key_folder(options.folder); !made) return report_error(made.error(), options.json);
  const auto pair = load_broker_key(options.folder);
  if (!pair) return report_error(pair.error(), options.json);
  if (options.json) {
    print({{"folder", options.folder}, {"secret_file", options.folder + "/broker.key"}, {"public", pair->public_key}});
    return kDone;
  }
  std::printf("The broker's key: %s/broker.key (secret; stays here)\n", options.folder.c_str());
  std::printf("Its public part:  %s (%s/broker.pub)\n", pair->public_key.c_str(), options.folder.c_str());
  if (options.folder != kDefaultKeys) std::printf("Name the folder in broker.yaml: keys: %s\n", options.folder.c_str());
  std::printf("Nobody is allowed yet; next: lockstep keys add NAME --role agent|operator|observer\n");
  return kDone;
}

int run_keys_add(const KeysOptions& options) {
  const auto key = add_key(options);
  if (!key) return report_error(key.error(), options.json);
  const KeyEntry& entry = key->entry;
  const std::string list = options.folder + "/allowed/" + entry.name + ".yaml";
  if (options.json) {
    Json json = entry_json(entry, true);
    json["public_file"] = list;
    json["secret_file"] = key->path.empty() ? Json(nullptr) : Json(key->path);
    json["broker"] = key->broker_key;
    print(json);
    return kDone;
  }
  std::printf("Allowed: %s, %s%s%s (%s)\n", entry.name.c_str(), std::string(to_string(entry.role)).c_str(),
              entry.node.empty() ? "" : " of node ", entry.node.c_str(), list.c_str());
  if (key->path.empty()) {
    std::printf("The broker's public part, for its key file: %s\n", key->broker_key.c_str());
  } else if (key->path != home_of(entry.role)) {
    std::printf("The key: %s (secret; move it to its peer's machine, as %s)\n", key->path.c_str(),
                home_of(entry.role).c_str());
  } else {
    std::printf("The key: %s (secret; used by this machine)\n", key->path.c_str());
  }
  return kDone;
}

int run_keys_list(const KeysOptions& options) {
  if (const auto broker = load_broker_key(options.folder); !broker) return report_error(broker.error(), options.json);
  const auto list = load_key_list(options.folder);
  if (!list) return report_error(list.error(), options.json);
  for (const std::string& complaint : list->complaints)
    std::fprintf(stderr, "lockstep: warning: %s\n", complaint.c_str());
  if (options.json) {
    Json json = {{"folder", options.folder}, {"keys", Json::array()}};
    for (const KeyEntry& entry : list->allowed) json["keys"].push_back(entry_json(entry, true));
    for (const KeyEntry& entry : list->revoked) json["keys"].push_back(entry_json(entry, false));
    print(json);
    return kDone;
  }
  if (list->allowed.empty() && list->revoked.empty()) {
    std::printf("no keys\n");
    return kDone;
  }
  TextTable table({"key", "role", "node", "state", "public part"});
  for (const KeyEntry& entry : list->allowed) {
    table.add({entry.name, std::string(to_string(entry.role)), entry.node, "allowed", entry.public_key});
  }
  for (const KeyEntry& entry : list->revoked) {
    table.add({entry.name, std::string(to_string(entry.role)), entry.node, "revoked", entry.public_key});
  }
  std::fputs(table.text().c_str(), stdout);
  return kDone;
}

int run_keys_revoke(const KeysOptions& options) {
  const auto revoked = revoke_key(options.folder, options.entry.name);
  if (!revoked) return report_error(revoked.error(), options.json);
  if (options.json) {
    print(entry_json(*revoked, false));
  } else {
    std::printf("Revoked: %s. A broker that runs refuses it from now on, on connections that stand as well.\n",
                revoked->name.c_str());
  }
  return kDone;
}

}  // namespace lockstep::cli
