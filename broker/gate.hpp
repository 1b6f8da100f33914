/// Who gets in: the broker's allow-list, what connections have proved, and libzmq's questions about both (ZAP, RFC 27).
///
///   a connection's handshake -> libzmq's I/O thread -> answer_questions() -> admit() -> in, or turned away
///   a message -> its connection's User-Id -> identity() -> BrokerCore, which decides what that one may say
///
/// The caller's thread; questions wait until its loop comes round.
#pragma once

#include <sys/types.h>

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "broker/core/permissions.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/key_files.hpp"
#include "common/result.hpp"

namespace lockstep::broker {

/// ZAP domains: what an endpoint is (common/zmq_socket.hpp, guard_zmq()).
inline constexpr std::string_view kNetworkDomain = "network";    ///< CURVE
inline constexpr std::string_view kFileDomain = "socket-file";   ///< ipc at a path: its mode says who can connect
inline constexpr std::string_view kLoopbackDomain = "loopback";  ///< tcp without keys: everybody on this machine

/// What libzmq asks about one connection.
struct ZapQuestion {
  std::string domain;
  std::string address;     ///< "10.0.0.1"; of unix sockets "localhost:UID:GID:PID"
  std::string mechanism;   ///< "CURVE", "NULL"
  std::string public_key;  ///< CURVE: 40 characters of Z85
};

/// The allow-list and how it is read.
class AllowList {
 public:
  AllowList() = default;
  explicit AllowList(KeyList list);
  /// The identity of a key; Access::nothing where it is not in the list.
  [[nodiscard]] Identity find(const std::string& public_key) const;
  /// Those of this list that are not the same in `newer`.
  [[nodiscard]] std::vector<Identity> gone_in(const AllowList& newer) const;
  /// Of its agents' keys.
  [[nodiscard]] std::set<std::string> nodes() const;
  [[nodiscard]] std::size_t size() const { return allowed_.size(); }

 private:
  std::map<std::string, Identity> allowed_;     ///< by public key
  std::map<std::string, std::string> revoked_;  ///< their names
};

/// What is decided about a question.
struct Admission {
  bool admitted = false;
  std::string user_id;  ///< admitted: for identity()
  std::string why;      ///< turned away: for the log
};
/// Pure. `own_user`: the broker's; with `has_group`, whoever can reach a socket file may be of ipc_group.
[[nodiscard]] Admission admit(const ZapQuestion& question, const AllowList& list, uid_t own_user, bool has_group);

class Gate {
 public:
  /// To be made before any socket of the context is bound. `folder`: of the keys; empty: there are none.
  [[nodiscard]] static Result<Gate> create(zmq::context_t& context, const std::string& folder, bool has_group);

  /// The broker's secret key; empty where there are no keys.
  [[nodiscard]] const std::string& secret_key() const { return secret_key_; }
  [[nodiscard]] std::size_t keys() const { return list_.size(); }
  [[nodiscard]] std::set<std::string> nodes() const { return list_.nodes(); }
  /// What has been wrong with the list's files since the last call.
  [[nodiscard]] std::vector<std::string> take_complaints() { return std::exchange(complaints_, {}); }

  /// libzmq's questions, for a poll list.
  [[nodiscard]] void* handle() { return questions_.handle(); }
  /// Answers all that have come. Returns why some were turned away.
  [[nodiscard]] std::vector<std::string> answer_questions();

  /// Readable when the allow-list's folders have changed; -1 where there are no keys.
  [[nodiscard]] int changes() const { return watch_.get(); }
  /// Has it, by now? To be asked after questions were seen: poll() may have looked at the folders before those came.
  [[nodiscard]] bool has_changed() const;
  /// Reads the list again. Returns the identities that count no more, or no longer for the same.
  [[nodiscard]] std::vector<Identity> reload();
  /// When to do so though nothing has been readable: a link that was set elsewhere is no event, and what could not be
  /// read may have been mended. TimePoint::max() where there are no keys.
  [[nodiscard]] TimePoint next_reload() const { return next_reload_; }

  /// Who has sent a message: what its connection's User-Id stands for now.
  [[nodiscard]] Identity identity(const zmq::message_t& frame) const;

 private:
  [[nodiscard]] Result<void> watch(const std::string& folder);
  void answer(const std::vector<zmq::message_t>& frames, std::vector<std::string>& turned_away);

  void keep_room();

  zmq::socket_t questions_;
  Fd watch_;
  std::array<Fd, 2> room_;  ///< for the list's files: strangers may hold every other descriptor
  TimePoint next_reload_ = TimePoint::max();
  std::string folder_;
  std::string secret_key_;
  AllowList list_;
  std::vector<std::string> complaints_;
  std::vector<std::string> last_complaints_;  ///< of the reading before: said once
  bool has_group_ = false;
};

}  // namespace lockstep::broker
