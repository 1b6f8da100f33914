/// The verdict on a server and its clients, from their status files.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "tests/app/report.hpp"

namespace lockstep::traffic {

/// All that two or more ends have reported at about the same time.
struct Snapshot {
  Report server;
  std::vector<Report> clients;
};

[[nodiscard]] Result<Snapshot> take_snapshot(const std::string& server, const std::vector<std::string>& clients);

/// What is wrong with this traffic, a line for each fault; empty: nothing. Faults are: a connection that was lost or
/// is known to one end only; a message lost, doubled, out of order, corrupt; fewer than `expected` connections.
[[nodiscard]] std::vector<std::string> faults_of(const Snapshot& now, std::size_t expected);

/// What of `before` has not gone on in `now`: a connection that is not there any more, or on which an end has
/// received fewer than `messages` more messages.
[[nodiscard]] std::vector<std::string> stalled_since(const Snapshot& before, const Snapshot& now,
                                                     std::uint64_t messages);

/// After the goodbye: every connection is over, and each end has received exactly as many messages as the other sent.
[[nodiscard]] std::vector<std::string> unfinished(const Snapshot& now);

/// A table for people, a row for each connection.
[[nodiscard]] std::string table_of(const Snapshot& now);

}  // namespace lockstep::traffic
