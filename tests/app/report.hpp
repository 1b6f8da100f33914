/// Reads what lockstep-traffic tells in its status file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace lockstep::traffic {

struct ConnectionReport {
  std::uint32_t number = 0;
  std::string local, peer;  ///< "10.0.0.1:80", "[fd00::1]:80"; mapped addresses as the IPv4 ones they stand for
  std::string state;        ///< open, finished, failed
  std::string error;
  std::uint64_t sent = 0, received = 0, lost = 0, doubled = 0, out_of_order = 0, corrupt = 0;
  std::uint64_t longest_pause_us = 0;
};

struct Report {
  std::uint64_t number = 0;  ///< counts the reports of one process
  std::string role;          ///< server, client
  int pid = 0;
  bool healthy = false;
  std::uint64_t open = 0, finished = 0, failed = 0;
  std::uint64_t sent = 0, received = 0, lost = 0, doubled = 0, out_of_order = 0, corrupt = 0;
  std::uint64_t longest_pause_us = 0;
  std::vector<ConnectionReport> connections;
};

/// Reads a whole report; one that is just being written is read again, for at most half a second.
[[nodiscard]] Result<Report> read_report(const std::string& path);

}  // namespace lockstep::traffic
