#include "broker/gate.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <utility>

#include "common/zmq_socket.hpp"

namespace lockstep::broker {
namespace {

constexpr const char* kHandlerEndpoint = "inproc://zeromq.zap.01";
constexpr std::size_t kMaxQuestion = 4'096;
constexpr seconds kReadAgain{10};
constexpr seconds kReadSoonAgain{1};
// The frames of a question (RFC 27).
enum Part : std::size_t { kVersion, kRequest, kDomain, kAddress, kRoutingId, kMechanism, kCredentials };

// User-Ids that are no keys. A key is 40 characters long: none of them is one.
constexpr std::string_view kOwner = "user:owner";
constexpr std::string_view kAnybody = "user:anybody";
constexpr std::string_view kMemberOfGroup = "user:group";

/// The UID of "localhost:UID:GID:PID", which libzmq has from SO_PEERCRED.
std::optional<uid_t> user_in(std::string_view address) {
  const std::size_t colon = address.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view rest = address.substr(colon + 1);
  uid_t user = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), user);
  const bool whole = error == std::errc{} && end != rest.data() + rest.size() && *end == ':';
  return whole ? std::optional(user) : std::nullopt;
}

std::string key_text(const zmq::message_t& bytes) {
  constexpr std::size_t kKeyBytes = 32;
  std::array<char, 41> text{};
  if (bytes.size() != kKeyBytes) return {};
  return ::zmq_z85_encode(text.data(), static_cast<const std::uint8_t*>(bytes.data()), kKeyBytes) == nullptr
             ? ""
             : text.data();
}

}  // namespace

AllowList::AllowList(KeyList list) {
  for (const KeyEntry& entry : list.allowed) allowed_.emplace(entry.public_key, identity_of(entry));
  for (KeyEntry& entry : list.revoked) revoked_.emplace(std::move(entry.public_key), entry.name + " (revoked)");
}

Identity AllowList::find(const std::string& public_key) const {
  if (const auto known = allowed_.find(public_key); known != allowed_.end()) return known->second;
  const auto former = revoked_.find(public_key);
  return stranger(public_key, former == revoked_.end() ? std::string() : former->second);
}

std::vector<Identity> AllowList::gone_in(const AllowList& newer) const {
  std::vector<Identity> gone;
  for (const auto& [key, identity] : allowed_) {
    const auto now = newer.allowed_.find(key);
    if (now == newer.allowed_.end() || now->second != identity) gone.push_back(identity);
  }
  return gone;
}

std::set<std::string> AllowList::nodes() const {
  std::set<std::string> nodes;
  for (const auto& [key, identity] : allowed_) {
    if (identity.access == Access::agent) nodes.insert(identity.node);
  }
  return nodes;
}

Admission admit(const ZapQuestion& question, const AllowList& list, uid_t own_user, bool has_group) {
  if (question.domain == kNetworkDomain) {
    if (question.mechanism != "CURVE") return {false, {}, "a peer at " + question.address + " has no key"};
    const Identity who = list.find(question.public_key);
    if (who.access == Access::nothing) {
      return {false, {}, who.name + ", at " + question.address + ", is not in the allow-list"};
    }
    return {true, question.public_key, {}};
  }
  if (question.domain == kLoopbackDomain) return {true, std::string(kAnybody), {}};
  const auto user = user_in(question.address);
  if (!user) return {false, {}, "a peer of whom the kernel tells no user (" + question.address + ")"};
  if (*user == 0 || *user == own_user) return {true, std::string(kOwner), {}};
  // The kernel lets nobody connect to the file but its owner and its group. (Further groups than a peer's first one are
  // not told by SO_PEERCRED, so that they can't be looked at here.)
  if (question.domain == kFileDomain && has_group) return {true, std::string(kMemberOfGroup), {}};
  return {false, {}, "user " + std::to_string(*user) + " of this machine is neither root nor the broker's"};
}

Result<Gate> Gate::create(zmq::context_t& context, const std::string& folder, bool has_group) {
  Gate gate;
  gate.has_group_ = has_group;
  gate.folder_ = folder;
  auto questions = open_zmq_socket(context, zmq::socket_type::rep, kMaxQuestion);
  if (!questions) return Failure(questions.error());
  gate.questions_ = std::move(*questions);
  if (auto bound = bind_zmq(gate.questions_, kHandlerEndpoint); !bound) return Failure(bound.error());
  if (folder.empty()) return gate;
  auto pair = load_broker_key(folder);
  if (!pair) return Failure(pair.error());
  gate.secret_key_ = std::move(pair->secret_key);
  if (auto watched = gate.watch(folder); !watched) return Failure(watched.error());
  (void)gate.reload();
  return gate;
}

Result<void> Gate::watch(const std::string& folder) {
  watch_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch_) return fail_errno("inotify_init1", "without it a revoked key would go on counting");
  constexpr std::uint32_t kEvents =
      IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;
  for (const std::string& path : {folder, folder + "/allowed", folder + "/revoked"}) {
    // A folder that comes later is seen in the one above it, and is watched from then on.
    if (::inotify_add_watch(watch_.get(), path.c_str(), kEvents) < 0 && errno != ENOENT)
      return fail_errno("watch " + path);
  }
  return {};
}

/// A folder and a file in it are open at a time.
void Gate::keep_room() {
  for (Fd& fd : room_) {
    if (!fd) fd.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
}

bool Gate::has_changed() const {
  int waiting = 0;
  return ::ioctl(watch_.get(), FIONREAD, &waiting) == 0 && waiting > 0;
}

std::vector<Identity> Gate::reload() {
  std::array<char, 16'384> events;
  while (::read(watch_.get(), events.data(), events.size()) > 0) {
  }
  std::vector<std::string> complaints;
  // Before the list is read: what changes after that is an event again.
  if (auto watched = watch(folder_); !watched) complaints.push_back(watched.error().message());
  for (Fd& fd : room_) fd.reset();
  auto list = load_key_list(folder_);
  keep_room();
  if (!list) {
    // Fail closed: who may still come in can't be said.
    complaints.push_back(list.error().message() + "; until that is mended no key counts");
    list = KeyList{};
  }
  complaints.insert(complaints.end(), list->complaints.begin(), list->complaints.end());
  next_reload_ = Clock::now() + (complaints.empty() ? kReadAgain : kReadSoonAgain);
  if (complaints != last_complaints_) complaints_ = complaints;
  last_complaints_ = std::move(complaints);
  AllowList newer(std::move(*list));
  std::vector<Identity> gone = list_.gone_in(newer);
  list_ = std::move(newer);
  return gone;
}

std::vector<std::string> Gate::answer_questions() {
  std::vector<std::string> turned_away;
  for (auto frames = receive_frames(questions_); !frames.empty(); frames = receive_frames(questions_)) {
    answer(frames, turned_away);
  }
  return turned_away;
}

void Gate::answer(const std::vector<zmq::message_t>& frames, std::vector<std::string>& turned_away) {
  Admission admission;
  const std::string request = frames.size() > kRequest ? frames[kRequest].to_string() : std::string();
  if (frames.size() > kMechanism && frames[kVersion].to_string_view() == "1.0") {
    ZapQuestion question{frames[kDomain].to_string(), frames[kAddress].to_string(), frames[kMechanism].to_string(), {}};
    if (question.mechanism == "CURVE" && frames.size() > kCredentials)
      question.public_key = key_text(frames[kCredentials]);
    admission = admit(question, list_, ::geteuid(), has_group_);
  } else {
    admission.why = "libzmq asks in a way that is not understood";
  }
  if (!admission.admitted) turned_away.push_back(admission.why);
  // Version, request, status, text, User-Id, metadata.
  (void)send_frames(questions_, {"1.0", request, admission.admitted ? "200" : "400",
                                 admission.admitted ? "" : "not allowed", admission.user_id, ""});
}

Identity Gate::identity(const zmq::message_t& frame) const {
  const char* property = ::zmq_msg_gets(frame.handle(), "User-Id");
  if (property == nullptr) return stranger("?", {});  // every endpoint is guarded: this can't be
  const std::string user = property;
  if (user == kOwner) return {Access::everything, user, "root of this machine", {}, {}};
  if (user == kAnybody) return {Access::everything, user, "somebody on this machine's loopback", {}, {}};
  if (user == kMemberOfGroup) return {Access::operator_, user, "a member of ipc_group", {}, {}};
  return list_.find(user);
}

}  // namespace lockstep::broker
