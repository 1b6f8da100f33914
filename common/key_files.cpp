#include "common/key_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <ctime>
#include <filesystem>

#include "common/config.hpp"
#include "common/fd.hpp"
#include "common/ids.hpp"
#include "common/trusted_path.hpp"

namespace lockstep {
namespace {

constexpr std::size_t kKeyLength = 40;
constexpr std::size_t kMaxFile = std::size_t{64} << 10;
constexpr std::size_t kMaxKeys = 65'536;
constexpr std::string_view kEntrySuffix = ".yaml";
constexpr mode_t kSecret = 0600;
constexpr mode_t kReadable = 0644;

std::string broker_key_path(const std::string& folder) { return folder + "/broker.key"; }
std::string allowed_folder(const std::string& folder) { return folder + "/allowed"; }
std::string revoked_folder(const std::string& folder) { return folder + "/revoked"; }

Result<std::string> read_checked(const std::string& path, bool secret) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::system;
    return Failure(Error{code, errno, "open " + path, {}});
  }
  if (auto trusted = check_file(file.get(), path, secret); !trusted) return Failure(trusted.error());
  std::string text(kMaxFile + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read " + path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kMaxFile) return fail(ErrorCode::invalid, "read " + path, "larger than a key file is");
  text.resize(size);
  return text;
}

/// A new file, whole or not at all: under its name it is never seen half written.
Result<void> write_new(const std::string& path, const std::string& text, mode_t mode) {
  const std::string part = path + ".part";
  ::unlink(part.c_str());
  const Fd file(::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file) return fail_errno("create " + part);
  Result<void> done;
  if (::fchmod(file.get(), mode) != 0 ||
      ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(file.get()) != 0) {
    done = fail_errno("write " + part);
  } else if (::link(part.c_str(), path.c_str()) != 0) {
    done = errno == EEXIST ? fail(ErrorCode::conflict, "create " + path, "it is there already, and is left as it is")
                           : fail_errno("create " + path);
  }
  ::unlink(part.c_str());
  return done;
}

Result<void> make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return fail_errno("create the folder " + path);
  return check_folder(path);
}

void read_key(Config& config, std::string_view field, std::string& out) {
  config.require(field);
  config.text(field, out);
  if (!out.empty() && !is_key(out)) config.complain(field, "is no key: 40 characters of Z85, in quotes");
}

void read_name(Config& config, std::string_view field, std::string& out) {
  config.text(field, out);
  if (!out.empty() && !is_valid_name(out)) {
    config.complain(field, "must be 1 to 64 letters, digits, '.', '_' or '-', not beginning with '.'");
  }
}

/// What an entry of the allow-list and a peer's key file have in common.
void read_entry(Config& config, KeyEntry& entry) {
  config.require("name");
  read_name(config, "name", entry.name);
  config.require("role");
  config.choice("role", entry.role,
                {{"agent", KeyRole::agent}, {"operator", KeyRole::operator_}, {"observer", KeyRole::observer}});
  if (entry.role == KeyRole::agent) config.require("node");
  read_name(config, "node", entry.node);
  config.text("boot_id", entry.boot_id);
  if (entry.role != KeyRole::agent && (config.has("node") || config.has("boot_id"))) {
    config.complain(config.has("node") ? "node" : "boot_id", "is for agents");
  }
  read_key(config, "public", entry.public_key);
}

std::string entry_text(const KeyEntry& entry) {
  std::string text = "name: " + entry.name + "\nrole: " + std::string(to_string(entry.role)) + "\n";
  if (!entry.node.empty()) text += "node: " + entry.node + "\n";
  if (!entry.boot_id.empty()) text += "boot_id: " + entry.boot_id + "\n";
  return text + "public: \"" + entry.public_key + "\"\n";
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%S", &parts);
  return text.data();
}

/// The entries of one folder; a file that is wrong becomes a complaint.
Result<std::vector<KeyEntry>> read_folder(const std::string& folder, bool names_match,
                                          std::vector<std::string>& complaints) {
  std::vector<KeyEntry> entries;
  if (auto trusted = check_folder(folder); !trusted) {
    if (trusted.error().code == ErrorCode::not_found) return entries;
    return Failure(trusted.error());
  }
  std::error_code error;
  for (std::filesystem::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    const std::string path = file->path().string();
    // Kubernetes puts "..data" beside the names of a mounted Secret; editors leave files of their own.
    if (!path.ends_with(kEntrySuffix) || file->path().filename().string().starts_with('.')) continue;
    if (entries.size() == kMaxKeys) {
      complaints.push_back(folder + ": more than " + std::to_string(kMaxKeys) + " keys; the rest does not count");
      break;
    }
    const auto text = read_checked(path, false);
    auto entry =
        text ? parse_key_entry(*text, names_match ? path : std::string()) : Result<KeyEntry>(Failure(text.error()));
    if (!entry) {
      complaints.push_back(entry.error().message());
      continue;
    }
    entries.push_back(std::move(*entry));
  }
  if (error) return fail(ErrorCode::system, "read the folder " + folder, error.message());
  std::ranges::sort(entries, {}, &KeyEntry::name);
  return entries;
}

}  // namespace

bool is_key(std::string_view text) {
  constexpr std::string_view kMarks = ".-:+=^!/*?&<>()[]{}@%$#";
  return text.size() == kKeyLength && std::ranges::all_of(text, [&](unsigned char c) {
           return std::isalnum(c) != 0 || kMarks.find(static_cast<char>(c)) != std::string_view::npos;
         });
}

Result<KeyPair> make_key_pair() {
  std::array<char, kKeyLength + 1> public_key{};
  std::array<char, kKeyLength + 1> secret_key{};
  if (::zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    return fail(ErrorCode::unavailable, "make a key", "this libzmq was built without CURVE");
  }
  return KeyPair{public_key.data(), secret_key.data()};
}

Result<PeerKey> load_peer_key(const std::string& path) {
  const auto text = read_checked(path, true);
  if (!text) return Failure(text.error());
  auto config = Config::parse(*text, path);
  if (!config) return Failure(config.error());
  PeerKey key;
  key.path = path;
  read_entry(*config, key.entry);
  read_key(*config, "secret", key.secret_key);
  read_key(*config, "broker", key.broker_key);
  if (auto done = config->finish(); !done) return Failure(done.error());
  return key;
}

Result<KeyPair> load_broker_key(const std::string& folder) {
  const std::string path = broker_key_path(folder);
  const auto text = read_checked(path, true);
  if (!text) {
    if (text.error().code != ErrorCode::not_found) return Failure(text.error());
    return fail(ErrorCode::not_found, "open " + path, "no such file; make one: lockstep keys init --keys " + folder);
  }
  auto config = Config::parse(*text, path);
  if (!config) return Failure(config.error());
  KeyPair pair;
  read_key(*config, "public", pair.public_key);
  read_key(*config, "secret", pair.secret_key);
  if (auto done = config->finish(); !done) return Failure(done.error());
  std::array<char, kKeyLength + 1> derived{};
  if (::zmq_curve_public(derived.data(), pair.secret_key.c_str()) != 0 || pair.public_key != derived.data()) {
    return fail(ErrorCode::invalid, path, "public and secret do not belong together");
  }
  return pair;
}

Result<void> init_key_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::absolute(folder).parent_path(), error);
  if (error) return fail(ErrorCode::system, "create the folder of " + folder, error.message());
  for (const std::string& path : {folder, allowed_folder(folder), revoked_folder(folder)}) {
    if (auto made = make_folder(path, 0700); !made) return made;
  }
  const auto pair = make_key_pair();
  if (!pair) return Failure(pair.error());
  const std::string secret = "# The broker's key. Secret: whoever has it may pass for the broker.\npublic: \"" +
                             pair->public_key + "\"\nsecret: \"" + pair->secret_key + "\"\n";
  if (auto written = write_new(broker_key_path(folder), secret, kSecret); !written) return written;
  const std::string public_path = folder + "/broker.pub";
  ::unlink(public_path.c_str());  // of a key that is there no more
  return write_new(public_path, pair->public_key + "\n", kReadable);
}

Result<KeyEntry> parse_key_entry(const std::string& yaml, const std::string& path) {
  auto config = Config::parse(yaml, path);
  if (!config) return Failure(config.error());
  KeyEntry entry;
  read_entry(*config, entry);
  if (!path.empty() && !entry.name.empty() &&
      std::filesystem::path(path).filename() != entry.name + std::string(kEntrySuffix)) {
    config->complain("name", "is \"" + entry.name + "\", and the file's name says otherwise");
  }
  if (auto done = config->finish(); !done) return Failure(done.error());
  return entry;
}

Result<KeyList> load_key_list(const std::string& folder) {
  KeyList list;
  auto allowed = read_folder(allowed_folder(folder), true, list.complaints);
  if (!allowed) return Failure(allowed.error());
  auto revoked = read_folder(revoked_folder(folder), false, list.complaints);
  if (!revoked) return Failure(revoked.error());
  list.allowed = std::move(*allowed);
  list.revoked = std::move(*revoked);
  // A file that has come back into `allowed` is not what revoked means.
  std::erase_if(list.allowed, [&](const KeyEntry& entry) {
    const bool taken_back =
        std::ranges::find(list.revoked, entry.public_key, &KeyEntry::public_key) != list.revoked.end();
    if (taken_back) list.complaints.push_back("key " + entry.name + " was revoked: it does not count");
    return taken_back;
  });
  return list;
}

Result<void> allow_key(const std::string& folder, const KeyEntry& entry) {
  const auto list = load_key_list(folder);
  if (!list) return Failure(list.error());
  for (const KeyEntry& known : list->allowed) {
    if (known.public_key == entry.public_key) {
      return fail(ErrorCode::conflict, "add key " + entry.name, "this key is in the list already, as " + known.name);
    }
  }
  for (const KeyEntry& known : list->revoked) {
    if (known.public_key == entry.public_key) {
      return fail(ErrorCode::conflict, "add key " + entry.name,
                  "this key was revoked, as " + known.name + "; make a new one");
    }
  }
  for (const std::string& path : {allowed_folder(folder), revoked_folder(folder)}) {
    if (auto made = make_folder(path, 0700); !made) return made;
  }
  return write_new(allowed_folder(folder) + "/" + entry.name + std::string(kEntrySuffix), entry_text(entry), kSecret);
}

Result<KeyEntry> revoke_key(const std::string& folder, const std::string& name) {
  const std::string path = allowed_folder(folder) + "/" + name + std::string(kEntrySuffix);
  const auto text = read_checked(path, false);
  if (!text) {
    if (text.error().code != ErrorCode::not_found) return Failure(text.error());
    return fail(ErrorCode::not_found, "revoke " + name,
                "no key of this name is in " + allowed_folder(folder) + "; see: lockstep keys list");
  }
  auto entry = parse_key_entry(*text, path);
  if (!entry) return entry;
  if (auto made = make_folder(revoked_folder(folder), 0700); !made) return Failure(made.error());
  std::string kept = revoked_folder(folder) + "/" + name + "." + now_text();
  for (int i = 1; ::access((kept + std::string(kEntrySuffix)).c_str(), F_OK) == 0; ++i) kept += "-" + std::to_string(i);
  if (::rename(path.c_str(), (kept + std::string(kEntrySuffix)).c_str()) != 0)
    return fail_errno("move " + path + " to " + kept);
  return entry;
}

Result<void> write_peer_key(const std::string& path, const PeerKey& key) {
  const std::string text = "# A lockstep key. Secret: whoever has it may speak as " + key.entry.name + ".\n" +
                           entry_text(key.entry) + "secret: \"" + key.secret_key + "\"\nbroker: \"" + key.broker_key +
                           "\"\n";
  return write_new(path, text, kSecret);
}

}  // namespace lockstep
