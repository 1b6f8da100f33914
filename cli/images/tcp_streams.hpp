/// The TCP connections in the images folder of one member, as CRIU has saved them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep::images {

/// One end of a connection. The numbers are those of CRIU's tcp-stream image (soccr/soccr.c: refresh_sk(),
/// get_queue()). A FIN has a sequence number like a byte, and is in `written` and `received` once it is queued or has
/// come; the three counts are of bytes alone.
struct TcpEnd {
  Endpoint local;
  Endpoint remote;
  TcpState state = TcpState::close;
  std::uint32_t inode = 0;           ///< names the image: tcp-stream-<inode in hex>.img
  std::uint32_t received = 0;        ///< rcv_nxt: number of the next byte expected
  std::uint32_t unread = 0;          ///< bytes received that the application has not read
  std::uint32_t written = 0;         ///< write_seq: number of the next byte that the application may write
  std::uint32_t unacknowledged = 0;  ///< bytes written that are not acknowledged, sent or not
  std::uint32_t unsent = 0;          ///< those of them that have never been sent
};

struct TcpImages {
  std::vector<TcpEnd> ends;           ///< what has a remote end, whatever its state; listeners have none
  std::vector<TcpEnd> unsaved;        ///< those without a good tcp-stream image; their numbers are 0
  std::vector<std::string> problems;  ///< damaged or missing files: each a line that names the file
  bool tcp_close = false;             ///< dumped with --tcp-close: all are unsaved, on purpose
  std::size_t stale = 0;              ///< tcp-stream images of sockets that the folder does not have
};

/// Reads a folder: whether its dump was finished (inventory.img), the list of sockets (files.img, or inetsk.img of old
/// CRIUs), and the tcp-stream image of each connection. Fails only when the folder itself can't be read; everything
/// else is among the problems.
[[nodiscard]] Result<TcpImages> read_tcp_images(const std::string& folder);

}  // namespace lockstep::images
