/// One application from its start to its end, with checkpoints in between: what the tests, the table and the soak have
/// in common. Each step says what went wrong; nothing here fails a test by itself.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/e2e/apps/application.hpp"

namespace lockstep::apps {

/// Where the time went in which a member stood still, as lockstep tells it (cli/frozen_split.hpp).
struct Frozen {
  std::chrono::microseconds still{};
  std::chrono::microseconds freezing{}, memory{}, rest{};  ///< CRIU's
  std::chrono::microseconds others{};                      ///< waiting for other members' CRIUs
  std::chrono::microseconds hooks{}, lock{}, barriers{};   ///< lockstep's
};

/// Times of one checkpoint, with its restore if there was one.
struct Measured {
  std::chrono::milliseconds dump{};  ///< from the command's begin to its end
  std::chrono::milliseconds restore{};
  std::optional<Frozen> frozen;          ///< of the member that stood still for longest; none: not known
  std::chrono::microseconds lockstep{};  ///< lockstep's share of the member for which it was largest
  std::chrono::microseconds pause{};  ///< the longest one between two acknowledgements that any client saw
  std::uint64_t image_bytes = 0;
};

class Scene {
 public:
  /// Starts it. Throws when the application does not even start.
  explicit Scene(const Kind& kind);

  /// The whole cycle: checkpoint with kill, restore, into new pods where members are trees, and on.
  [[nodiscard]] Faults kill_and_restore();
  /// Checkpoint, and on.
  [[nodiscard]] Faults leave_running();
  /// Checkpoint, with copies of all files made at the frozen point; on for a while; and back to it: everything is
  /// killed, the copies take the files' place, and the checkpoint is restored.
  [[nodiscard]] Faults roll_back();
  /// Ends the clients, and judges: every acknowledged write is there, once, and no log tells of a lost connection.
  /// After it nothing of lockstep or the application is left.
  [[nodiscard]] Faults finish();

  /// Of the last checkpoint.
  [[nodiscard]] const Measured& measured() const { return measured_; }
  [[nodiscard]] std::size_t connections() const { return connections_; }
  [[nodiscard]] std::size_t processes() const { return processes_; }
  [[nodiscard]] std::uint64_t acknowledged();

 private:
  /// "address:port - address:port"
  using Tuples = std::set<std::string>;

  [[nodiscard]] Faults checkpoint(std::vector<std::string> options);
  [[nodiscard]] Faults restore();
  /// Until each connection of each client has got further acknowledgements.
  [[nodiscard]] Faults await_flow();
  /// Runs `lockstep` with --output json; an empty object, and a fault, unless it succeeds.
  nlohmann::json report_of(std::vector<std::string> command, Faults& faults);
  /// The connections in the record, under the lock, are those of the first record, and all internal.
  [[nodiscard]] Faults compare_record();
  /// The connections that stand in the pods now are those of the record.
  [[nodiscard]] Faults compare_pods();
  /// The ledgers' files begin as they were at the frozen point.
  [[nodiscard]] Faults rewind_ledgers();
  [[nodiscard]] std::vector<pid_t> trees();
  [[nodiscard]] Faults loud_logs();

  std::unique_ptr<Pods> pods_;
  std::unique_ptr<Application> application_;
  std::string group_;                                ///< the file
  Tuples tuples_;                                    ///< of the first record
  std::map<std::string, std::uintmax_t> log_sizes_;  ///< when the load began to flow
  Measured measured_;
  std::size_t connections_ = 0;
  std::size_t processes_ = 0;
};

}  // namespace lockstep::apps
