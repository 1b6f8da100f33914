/// Images made by hand, through the message definitions that the code under test reads them with.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/images/connection_pairs.hpp"
#include "cli/images/process_images.hpp"
#include "cli/images/tcp_streams.hpp"
#include "schemas/messages.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::images::test {

using lockstep::test::read_file;
using lockstep::test::TempDir;
using lockstep::test::write_file;

/// "10.0.0.1" or "fd00::1", and a port.
[[nodiscard]] Endpoint endpoint(const std::string& address, std::uint16_t port);
[[nodiscard]] InterfaceAddress interface_address(const std::string& address);

/// The two ends of an idle established connection that has moved `forth` and `back` bytes.
struct Ends {
  TcpEnd a;
  TcpEnd b;
};
[[nodiscard]] Ends connection(const Endpoint& a, const Endpoint& b, std::uint32_t forth = 1000,
                              std::uint32_t back = 2000);

/// Words in the machine's byte order.
[[nodiscard]] std::string words(const std::vector<std::uint32_t>& values);
/// An entry behind its size.
[[nodiscard]] std::string entry(std::string_view bytes);

/// How a files image shows an end: as CRIU does, or the variants that it may hold.
struct SocketStyle {
  bool mapped = false;      ///< IPv4 addresses in an IPv6 socket
  bool four_words = false;  ///< IPv4 addresses of an old CRIU
};
[[nodiscard]] std::string socket_entry(const TcpEnd& end, const SocketStyle& style = {});
[[nodiscard]] std::string file_entry(const TcpEnd& end, const SocketStyle& style = {});
/// A tcp-stream image with its queues.
[[nodiscard]] std::string stream_image(const TcpEnd& end);
[[nodiscard]] std::string stream_name(const TcpEnd& end);

/// The images of processes, by name: pstree, core, ids and fdinfo of each, files, and timens-0 where there are clocks.
[[nodiscard]] std::map<std::string, std::string> process_images(const std::vector<SavedProcess>& processes,
                                                                const std::optional<SavedClocks>& clocks = {});

/// An inventory image.
[[nodiscard]] std::string inventory_image(bool tcp_close = false);
/// Writes inventory.img, files.img and the tcp-stream images of a member.
void write_images(const std::string& folder, const std::vector<TcpEnd>& ends, const SocketStyle& style = {});

/// A record of round "r1" of group "g" whose table holds the ends.
[[nodiscard]] Record record_of(const std::string& member, const std::vector<std::string>& members,
                               const std::vector<TcpEnd>& ends, std::uint64_t netns_inode);
void write_record(const std::string& folder, const Record& record);

}  // namespace lockstep::images::test
