/// Reads the images of a finished round, and proves that they are one consistent cut, or tells where they are not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/images/cut_check.hpp"
#include "cli/images/tcp_streams.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

/// One member's images.
struct CutMember {
  MemberId id;                  ///< empty where the folder has no good record
  std::string images;           ///< its folder, as the caller named it
  std::size_t connections = 0;  ///< ends in the folder, of any kind
};

/// An internal connection. `a` and `b` are indices of CutSummary::members.
struct CutConnection {
  std::size_t a = 0;
  std::size_t b = 0;
  images::TcpEnd a_end;
  images::TcpEnd b_end;
  bool translated = false;  ///< through destination NAT: the ends' addresses don't mirror
  images::ConnectionCheck check;
};

struct CutSummary {
  RoundId round;  ///< of the first good record; empty when there is none
  GroupId group;
  std::vector<CutMember> members;
  std::vector<CutConnection> connections;
  std::size_t external = 0;           ///< ends whose other end is in none of the folders
  std::size_t ambiguous = 0;          ///< ends with several possible other ends; nothing is proved about them
  std::size_t opening = 0;            ///< ends that wait for their connection's opening
  std::size_t closed = 0;             ///< ends whose connection is over
  std::vector<std::string> problems;  ///< damage, mixed rounds, missing members: all but misfits
  std::vector<std::string> remarks;   ///< worth knowing; nothing wrong

  [[nodiscard]] std::size_t misfits() const;
  [[nodiscard]] std::uint64_t bytes_in_flight() const;
  [[nodiscard]] bool consistent() const { return misfits() == 0 && problems.empty(); }
};

/// Checks the images folders of all members of one round. Fails only when a folder can't be opened: what is wrong with
/// its content is among the problems, so that one damaged file does not hide the next.
[[nodiscard]] Result<CutSummary> verify_images(const std::vector<std::string>& folders);

}  // namespace lockstep::cli
