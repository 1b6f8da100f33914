/// Whether the records of several images folders make one whole round, and whether a folder's sockets are those that
/// its record tells of. Pure: the records have been read already.
#pragma once

#include <string>
#include <vector>

#include "cli/images/tcp_streams.hpp"
#include "schemas/messages.hpp"

namespace lockstep::images {

/// What is wrong with a set of records, a line each: rounds or groups mixed, a member twice, missing, or not of the
/// round. `folders[i]` is where `records[i]` was found. A null record (missing or damaged) is passed over: whoever read
/// it has said so already.
[[nodiscard]] std::vector<std::string> check_round(const std::vector<std::string>& folders,
                                                   const std::vector<const Record*>& records);

/// Gives the conditional records of a round, those of members that were dumped before others of their pod, the sockets
/// and labels that the record of their pod's last member holds of them; they are conditional no more. What is left is
/// told, a line each: no round that was decided made it. Null records are passed over.
[[nodiscard]] std::vector<std::string> complete_records(const std::vector<std::string>& folders,
                                                        const std::vector<Record*>& records);

/// What is wrong between one folder's connections and its record's table, which was read under the same lock: a
/// connection that only one of them has. Sockets that CRIU does not save are left out (listeners, those not accepted
/// yet, TIME_WAIT), and closed ones, which the kernel lists no more. At most a few lines, however much is wrong.
[[nodiscard]] std::vector<std::string> compare_with_record(const Record& record, const TcpImages& images);

/// The ends among `alone`, for which no other end was found, that the record's labels call internal: the broker saw
/// both ends when all pods were locked, so one of them has not been saved. A few lines.
[[nodiscard]] std::vector<std::string> compare_with_labels(const Record& record, const std::vector<TcpEnd>& alone);

}  // namespace lockstep::images
