#include "tests/unit/images/sample_images.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "cli/images/image_file.hpp"
#include "criu_images.pb.h"
#include "schemas/codec.hpp"

namespace lockstep::images::test {
namespace {

constexpr std::uint32_t kCommon = 0x54564319;
constexpr std::uint32_t kInventory = 0x58313116;
constexpr std::uint32_t kFiles = 0x56303138;
constexpr std::uint32_t kStream = 0x51465506;

void put_address(google::protobuf::RepeatedField<std::uint32_t>& field, const Endpoint& end, const SocketStyle& style) {
  std::array<std::uint32_t, 4> memory{};
  std::size_t count = 4;
  if (end.family == IpFamily::v6) {
    std::memcpy(memory.data(), end.address.data(), 16);
  } else if (style.mapped) {
    memory[2] = htonl(0xFFFF);
    std::memcpy(&memory[3], end.address.data(), 4);
  } else {
    std::memcpy(memory.data(), end.address.data(), 4);
    count = style.four_words ? 4 : 1;
  }
  for (std::size_t i = 0; i < count; ++i) field.Add(memory[i]);
}

criu_images::InetSocket socket_of(const TcpEnd& end, const SocketStyle& style) {
  criu_images::InetSocket socket;
  socket.set_ino(end.inode);
  socket.set_family(end.local.family == IpFamily::v6 || style.mapped ? AF_INET6 : AF_INET);
  socket.set_type(SOCK_STREAM);
  socket.set_proto(IPPROTO_TCP);
  socket.set_state(static_cast<std::uint32_t>(end.state));
  socket.set_src_port(end.local.port);
  socket.set_dst_port(end.remote.port);
  put_address(*socket.mutable_src_addr(), end.local, style);
  put_address(*socket.mutable_dst_addr(), end.remote, style);
  return socket;
}

}  // namespace

Endpoint endpoint(const std::string& address, std::uint16_t port) {
  Endpoint result;
  result.port = port;
  if (::inet_pton(AF_INET, address.c_str(), result.address.data()) == 1) return result;
  result.family = IpFamily::v6;
  if (::inet_pton(AF_INET6, address.c_str(), result.address.data()) != 1)
    throw std::runtime_error("address " + address);
  return result;
}

InterfaceAddress interface_address(const std::string& address) {
  const Endpoint end = endpoint(address, 0);
  return {"eth0", end.family, end.address, 24};
}

Ends connection(const Endpoint& a, const Endpoint& b, std::uint32_t forth, std::uint32_t back) {
  static std::uint32_t inode = 100;
  Ends ends;
  ends.a = {a, b, TcpState::established, inode++, back, 0, forth, 0, 0};
  ends.b = {b, a, TcpState::established, inode++, forth, 0, back, 0, 0};
  return ends;
}

std::string words(const std::vector<std::uint32_t>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(std::uint32_t)};
}

std::string entry(std::string_view bytes) {
  return words({static_cast<std::uint32_t>(bytes.size())}) + std::string(bytes);
}

std::string socket_entry(const TcpEnd& end, const SocketStyle& style) {
  return entry(socket_of(end, style).SerializeAsString());
}

std::string file_entry(const TcpEnd& end, const SocketStyle& style) {
  criu_images::File file;
  file.set_type(4);
  *file.mutable_isk() = socket_of(end, style);
  return entry(file.SerializeAsString());
}

std::string stream_image(const TcpEnd& end) {
  criu_images::TcpStream stream;
  stream.set_inq_len(end.unread);
  stream.set_inq_seq(end.received);
  stream.set_outq_len(end.unacknowledged);
  stream.set_outq_seq(end.written);
  stream.set_unsq_len(end.unsent);
  return words({kCommon, kStream}) + entry(stream.SerializeAsString()) + std::string(end.unread, 'r') +
         std::string(end.unacknowledged, 's');
}

std::string stream_name(const TcpEnd& end) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "tcp-stream-%x.img", end.inode);
  return name.data();
}

std::map<std::string, std::string> process_images(const std::vector<SavedProcess>& processes,
                                                  const std::optional<SavedClocks>& clocks) {
  std::map<std::string, std::string> images;
  std::string tree = words({kCommonMagic, kPstreeMagic});
  std::string files = words({kCommonMagic, kFilesMagic});
  std::uint32_t id = 0;
  for (const SavedProcess& process : processes) {
    const std::string number = std::to_string(process.pid) + ".img";
    criu_images::Process entry;
    entry.set_pid(static_cast<std::uint32_t>(process.pid));
    tree += test::entry(entry.SerializeAsString());
    criu_images::Core core;
    core.mutable_tc()->set_comm(process.name);
    for (const SavedLimit& limit : process.limits) {
      auto& saved = *core.mutable_tc()->mutable_rlimits()->add_rlimits();
      saved.set_cur(limit.soft);
      saved.set_max(limit.hard);
    }
    images["core-" + number] = words({kCommonMagic, kCoreMagic}) + test::entry(core.SerializeAsString());
    criu_images::KernelIds ids;
    ids.set_files_id(static_cast<std::uint32_t>(process.pid));
    images["ids-" + number] = words({kCommonMagic, kIdsMagic}) + test::entry(ids.SerializeAsString());
    std::string& descriptors = images["fdinfo-" + number] = words({kCommonMagic, kFdinfoMagic});
    for (const SavedFile& file : process.files) {
      criu_images::Descriptor descriptor;
      descriptor.set_id(++id);
      descriptor.set_fd(static_cast<std::uint32_t>(file.fd));
      descriptors += test::entry(descriptor.SerializeAsString());
      criu_images::File listed;
      listed.set_type(1);
      listed.set_id(id);
      listed.mutable_reg()->set_name(file.name);
      if (file.is_place) {
        listed.mutable_reg()->set_pos(file.size);
      } else {
        listed.mutable_reg()->set_size(file.size);
      }
      files += test::entry(listed.SerializeAsString());
    }
  }
  images["pstree.img"] = tree;
  images["files.img"] = files;
  if (!clocks) return images;
  const auto put = [](criu_images::TimeSpec& time, std::chrono::nanoseconds value) {
    time.set_tv_sec(static_cast<std::uint64_t>(value.count() / 1'000'000'000));
    time.set_tv_nsec(static_cast<std::uint64_t>(value.count() % 1'000'000'000));
  };
  criu_images::TimeNamespace times;
  put(*times.mutable_monotonic(), clocks->monotonic);
  put(*times.mutable_boottime(), clocks->boottime);
  images["timens-0.img"] = words({kCommonMagic, kTimensMagic}) + test::entry(times.SerializeAsString());
  return images;
}

std::string inventory_image(bool tcp_close) {
  criu_images::Inventory inventory;
  inventory.set_img_version(2);
  if (tcp_close) inventory.set_tcp_close(true);
  return words({kInventory}) + entry(inventory.SerializeAsString());
}

void write_images(const std::string& folder, const std::vector<TcpEnd>& ends, const SocketStyle& style) {
  std::string files = words({kCommon, kFiles});
  for (const TcpEnd& end : ends) {
    files += file_entry(end, style);
    write_file(folder + "/" + stream_name(end), stream_image(end));
  }
  write_file(folder + "/files.img", files);
  write_file(folder + "/inventory.img", inventory_image());
}

Record record_of(const std::string& member, const std::vector<std::string>& members, const std::vector<TcpEnd>& ends,
                 std::uint64_t netns_inode) {
  Record record;
  record.round = RoundId("r1");
  record.group = GroupId("g");
  record.member = MemberId(member);
  for (const auto& name : members) record.members.emplace_back(name);
  record.pod = {"boot", netns_inode};
  for (const TcpEnd& end : ends) {
    Socket socket;
    socket.local = end.local;
    socket.remote = end.remote;
    socket.state = end.state;
    socket.inode = end.inode;
    record.sockets.push_back(socket);
    record.labels.emplace_back();
  }
  return record;
}

void write_record(const std::string& folder, const Record& record) {
  write_file(folder + "/" + std::string(kRecordFile), encode_record(record));
}

}  // namespace lockstep::images::test
