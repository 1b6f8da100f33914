/// One connection of lockstep-sockets: a stream of known bytes in each direction, sent and read only when told.
#pragma once

#include <cstdint>
#include <string>

#include "common/fd.hpp"

namespace lockstep::traffic {

/// Every stream carries the same bytes, each given by its position: one that is lost, doubled, or elsewhere shows.
[[nodiscard]] char byte_at(std::uint64_t position);

class HeldSocket {
 public:
  HeldSocket(std::string name, Fd socket);

  // What may be told.
  void send(std::uint64_t bytes) { wanted_ += bytes; }
  void read(bool on) { reading_ = on; }
  void shut_down() { shut_down_ = true; }  ///< sending, once all is sent
  void close();

  /// Sends and reads what can be without waiting.
  void work();
  /// The events to wait for; an error shows without being waited for. 0 descriptor: none any more.
  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] short events() const;

  [[nodiscard]] const std::string& name() const { return name_; }
  /// open; closed: by command; failed: see error().
  [[nodiscard]] std::string state() const;
  [[nodiscard]] const std::string& error() const { return error_; }  ///< "ECONNABORTED"; "" when there was none
  [[nodiscard]] std::uint64_t sent() const { return sent_; }         ///< taken by the kernel
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] bool corrupt() const { return corrupt_; }
  [[nodiscard]] bool end_of_file() const { return end_of_file_; }
  /// What the kernel holds now: received and not read, sent and not acknowledged.
  [[nodiscard]] int unread() const;
  [[nodiscard]] int unacknowledged() const;
  [[nodiscard]] const std::string& local() const { return local_; }
  [[nodiscard]] const std::string& peer() const { return peer_; }

 private:
  void send_some();
  void read_some();
  void fail(int number);

  std::string name_;
  Fd socket_;
  std::string local_, peer_;
  std::uint64_t wanted_ = 0, sent_ = 0, received_ = 0;
  bool reading_ = true;
  bool shut_down_ = false;
  bool write_closed_ = false;
  bool end_of_file_ = false;
  bool corrupt_ = false;
  std::string error_;
};

}  // namespace lockstep::traffic
