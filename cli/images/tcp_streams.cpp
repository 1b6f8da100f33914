#include "cli/images/tcp_streams.hpp"

#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>

#include "cli/images/image_entry.hpp"
#include "criu_images.pb.h"
#include "schemas/endpoint_text.hpp"

namespace lockstep::images {
namespace {

using Words = google::protobuf::RepeatedField<std::uint32_t>;

constexpr std::uint32_t kInetSocketFile = 4;  // images/fdinfo.proto: fd_types INETSK

std::string stream_name(std::uint32_t inode) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "tcp-stream-%x.img", inode);
  return name.data();
}

/// criu/sk-inet.c copies the address's bytes into 32-bit words: 4 for IPv6, 1 (formerly 4, the rest unused) for IPv4.
std::optional<Endpoint> endpoint_of(std::uint32_t family, const Words& words, std::uint32_t port) {
  if (port > UINT16_MAX || words.empty() || words.size() > 4) return std::nullopt;
  Endpoint endpoint;
  endpoint.port = static_cast<std::uint16_t>(port);
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), words.data(), static_cast<std::size_t>(words.size()) * sizeof(std::uint32_t));
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (family == AF_INET) {
    std::memcpy(endpoint.address.data(), bytes.data(), 4);
  } else if (family == AF_INET6 && words.size() == 4) {
    if (std::memcmp(bytes.data(), kMapped.data(), kMapped.size()) == 0) {
      std::memcpy(endpoint.address.data(), bytes.data() + kMapped.size(), 4);
    } else {
      endpoint.family = IpFamily::v6;
      endpoint.address = bytes;
    }
  } else {
    return std::nullopt;
  }
  return endpoint;
}

/// True for what criu/sk-inet.c takes for a connection: tcp_connection().
bool is_connection(const criu_images::InetSocket& socket) {
  return socket.type() == SOCK_STREAM && socket.proto() == IPPROTO_TCP && socket.dst_port() != 0;
}

/// The connection that a list's entry stands for, without its numbers. Nothing where the entry makes no sense.
std::optional<TcpEnd> end_of(const criu_images::InetSocket& socket) {
  const auto local = endpoint_of(socket.family(), socket.src_addr(), socket.src_port());
  const auto remote = endpoint_of(socket.family(), socket.dst_addr(), socket.dst_port());
  const bool known_state = socket.state() >= static_cast<std::uint32_t>(TcpState::established) &&
                           socket.state() <= static_cast<std::uint32_t>(TcpState::new_syn_recv);
  if (!local || !remote || !socket.has_ino() || !known_state) return std::nullopt;
  TcpEnd end;
  end.local = *local;
  end.remote = *remote;
  end.state = static_cast<TcpState>(socket.state());
  end.inode = socket.ino();
  return end;
}

/// Adds the numbers of the connection's own image.
Result<void> read_stream(const std::string& folder, TcpEnd& end) {
  auto file = ImageFile::open(folder + "/" + stream_name(end.inode), kTcpStreamMagic);
  if (!file && file.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, folder + "/" + stream_name(end.inode),
                "is missing: the connection " + endpoint_text(end.local) + " to " + endpoint_text(end.remote) +
                    " has not been saved");
  }
  if (!file) return Failure(file.error());
  const auto entry = next_entry<criu_images::TcpStream>(*file);
  if (!entry) return Failure(entry.error());
  if (!*entry) return file->damaged("is cut off");
  const criu_images::TcpStream& stream = **entry;
  // CRIU itself refuses to restore without unsq_len (criu/sk-tcp.c: restore_tcp_conn_state()).
  if (!stream.has_inq_len() || !stream.has_inq_seq() || !stream.has_outq_len() || !stream.has_outq_seq() ||
      !stream.has_unsq_len()) {
    return file->damaged("lacks a sequence number or a queue's length");
  }
  if (stream.unsq_len() > stream.outq_len()) return file->damaged("has more bytes unsent than are queued");
  if (file->remaining() < std::uint64_t{stream.inq_len()} + stream.outq_len()) return file->damaged("is cut off");
  end.received = stream.inq_seq();
  end.unread = stream.inq_len();
  end.written = stream.outq_seq();
  end.unacknowledged = stream.outq_len();
  end.unsent = stream.unsq_len();
  return {};
}

/// The sockets of a list whose entries are `Entry`; `socket_of` gives the socket in one, or nullptr.
template <class Entry, class SocketOf>
Result<std::vector<TcpEnd>> read_list(ImageFile& file, SocketOf socket_of) {
  std::vector<TcpEnd> ends;
  while (true) {
    const auto entry = next_entry<Entry>(file);
    if (!entry) return Failure(entry.error());
    if (!*entry) return ends;
    const criu_images::InetSocket* socket = socket_of(**entry);
    if (socket == nullptr || !is_connection(*socket)) continue;
    const auto end = end_of(*socket);
    if (!end) return file.damaged("has a TCP socket that makes no sense");
    ends.push_back(*end);
  }
}

Result<std::vector<TcpEnd>> read_sockets(const std::string& folder) {
  if (auto files = ImageFile::open(folder + "/files.img", kFilesMagic); files) {
    return read_list<criu_images::File>(*files, [](const criu_images::File& file) {
      return file.type() == kInetSocketFile && file.has_isk() ? &file.isk() : nullptr;
    });
  } else if (files.error().code != ErrorCode::not_found) {
    return Failure(files.error());
  }
  // CRIU of 2017 and older: a list for each kind of file.
  if (auto sockets = ImageFile::open(folder + "/inetsk.img", kInetSocketsMagic); sockets) {
    return read_list<criu_images::InetSocket>(*sockets, [](const criu_images::InetSocket& socket) { return &socket; });
  } else if (sockets.error().code != ErrorCode::not_found) {
    return Failure(sockets.error());
  }
  return fail(ErrorCode::not_found, folder + "/files.img", "is missing: this is no folder of CRIU's images");
}

/// Whether the dump was made with --tcp-close. An error when it was not finished: CRIU writes this image last
/// (criu/cr-dump.c: cr_dump_tasks()).
Result<bool> read_inventory(const std::string& folder) {
  const std::string path = folder + "/inventory.img";
  auto file = ImageFile::open(path, kInventoryMagic);
  if (!file && file.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, path, "is missing: the dump was not finished");
  }
  if (!file) return Failure(file.error());
  const auto entry = next_entry<criu_images::Inventory>(*file);
  if (!entry) return Failure(entry.error());
  if (!*entry || !(*entry)->has_img_version()) return file->damaged("is cut off");
  return (*entry)->tcp_close();
}

/// The names of the folder's tcp-stream images.
Result<std::set<std::string>> list_streams(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), &::closedir);
  if (!dir) return fail_errno("open the images folder " + folder);
  std::set<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name.starts_with("tcp-stream-") && name.ends_with(".img")) names.emplace(name);
  }
  return names;
}

}  // namespace

Result<TcpImages> read_tcp_images(const std::string& folder) {
  auto streams = list_streams(folder);
  if (!streams) return Failure(streams.error());
  TcpImages images;
  if (const auto inventory = read_inventory(folder); inventory) {
    images.tcp_close = *inventory;
  } else {
    images.problems.push_back(inventory.error().message());
  }
  const auto sockets = read_sockets(folder);
  if (!sockets) {
    images.problems.push_back(sockets.error().message());
    return images;
  }
  for (TcpEnd end : *sockets) {
    if (images.tcp_close) {
      images.unsaved.push_back(end);
      continue;
    }
    streams->erase(stream_name(end.inode));
    if (const auto stream = read_stream(folder, end); stream) {
      images.ends.push_back(end);
    } else {
      images.problems.push_back(stream.error().message());
      images.unsaved.push_back(end);
    }
  }
  images.stale = streams->size();
  return images;
}

}  // namespace lockstep::images
