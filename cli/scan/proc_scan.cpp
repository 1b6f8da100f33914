#include "cli/scan/proc_scan.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/scan/unix_sockets.hpp"
#include "common/netns.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep::cli {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string link_of(const std::string& path) {
  std::error_code error;
  const auto target = std::filesystem::read_symlink(path, error);
  return error ? std::string() : target.string();
}

/// The numbers that name entries of a folder under /proc.
std::vector<int> numbers_in(const std::string& folder) {
  std::vector<int> numbers;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    int number = 0;
    const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (wrong == std::errc{} && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

FileKind kind_of(const std::string& path, mode_t mode) {
  if (path.starts_with("anon_inode:") || path.starts_with("pidfd:")) return FileKind::anonymous;
  switch (mode & S_IFMT) {
    case S_IFREG: return FileKind::regular;
    case S_IFDIR: return FileKind::directory;
    case S_IFCHR: return FileKind::character;
    case S_IFBLK: return FileKind::block;
    case S_IFIFO: return FileKind::fifo;
    case S_IFSOCK: return FileKind::socket;
    default: return FileKind::other;
  }
}

/// Whether it is a TCP listener, where, and how many wait in its queue.
void read_listener(const Fd& socket, SocketFacts& facts) {
  int listens = 0;
  socklen_t size = sizeof listens;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) return;
  sockaddr_storage address{};
  size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  Endpoint local;
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    local.family = IpFamily::v6;
    local.port = ntohs(v6.sin6_port);
    std::memcpy(local.address.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
  } else {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    local.port = ntohs(v4.sin_port);
    std::memcpy(local.address.data(), &v4.sin_addr, sizeof v4.sin_addr);
  }
  facts.local = endpoint_text(local);
  // Of a listener the kernel tells its queue's length here, and its limit in tcpi_sacked (net/ipv4/tcp.c,
  // tcp_get_info()).
  tcp_info info{};
  size = sizeof info;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0) facts.unaccepted = info.tcpi_unacked;
}

/// What a process's socket is, asked through a copy of its descriptor that is closed at once.
std::optional<SocketFacts> socket_facts(const Fd& process, const OpenFile& file, const UnixSockets& unix_sockets) {
  const Fd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), file.fd, 0)));
  if (!copy) return std::nullopt;
  struct stat info {};
  // The process may have put another file under the number meanwhile.
  if (::fstat(copy.get(), &info) != 0 || info.st_ino != file.inode) return std::nullopt;
  SocketFacts facts;
  const auto ask = [&](int option, int& value) {
    socklen_t size = sizeof value;
    return ::getsockopt(copy.get(), SOL_SOCKET, option, &value, &size) == 0;
  };
  if (!ask(SO_DOMAIN, facts.family) || !ask(SO_TYPE, facts.type) || !ask(SO_PROTOCOL, facts.protocol))
    return std::nullopt;
  const bool inet = facts.family == AF_INET || facts.family == AF_INET6;
  if (inet && facts.type == SOCK_STREAM && facts.protocol == IPPROTO_TCP) read_listener(copy, facts);
  const auto known = unix_sockets.find(file.inode);
  if (facts.family != AF_UNIX || known == unix_sockets.end()) return facts;
  facts.peer = known->second.peer;
  const auto peer = unix_sockets.find(facts.peer);
  if (peer != unix_sockets.end()) facts.peer_name = peer->second.name;
  return facts;
}

std::optional<OpenFile> read_file_facts(const std::string& process, int fd) {
  const std::string number = std::to_string(fd);
  OpenFile file;
  file.fd = fd;
  file.path = link_of(process + "/fd/" + number);
  struct stat info {};
  if (file.path.empty() || ::stat((process + "/fd/" + number).c_str(), &info) != 0) return std::nullopt;
  file.kind = kind_of(file.path, info.st_mode);
  file.inode = info.st_ino;
  file.links = info.st_nlink;
  file.bytes = static_cast<std::uint64_t>(info.st_blocks) * 512;
  file.device_major = major(info.st_rdev);
  file.device_minor = minor(info.st_rdev);
  const std::string more = text_of(process + "/fdinfo/" + number);
  file.locked = !value_of(more, "lock").empty();
  unsigned pty = 0;
  const std::string_view index = value_of(more, "tty-index");
  if (std::from_chars(index.data(), index.data() + index.size(), pty).ec == std::errc{}) file.pty_of = pty;
  return file;
}

std::vector<MappedFile> read_maps(const std::string& process) {
  std::vector<MappedFile> maps;
  for (MapLine& line : parse_maps(text_of(process + "/maps"))) {
    MappedFile map{std::move(line.path), 1, 0, false};
    struct stat info {};
    if (::stat((process + "/map_files/" + line.range).c_str(), &info) == 0) {
      map.links = info.st_nlink;
      map.bytes = static_cast<std::uint64_t>(info.st_blocks) * 512;
      map.looked_at = true;
    }
    maps.push_back(std::move(map));
  }
  return maps;
}

/// Reading another process's limits is what CRIU does, through the same call.
bool limits_hidden(pid_t pid) {
  rlimit64 limit{};
  return ::prlimit64(pid, RLIMIT_NOFILE, nullptr, &limit) != 0 && errno == EPERM;
}

bool may_raise_limits() {
  std::uint64_t capabilities = 0;
  const std::string status = text_of("/proc/self/status");
  const std::string_view word = value_of(status, "CapEff");
  std::from_chars(word.data(), word.data() + word.size(), capabilities, 16);
  return (capabilities >> CAP_SYS_RESOURCE & 1U) != 0;
}

ProcessFacts read_process(const ProcessStat& stat, const UnixSockets& unix_sockets, const std::string& own_ipc) {
  const std::string process = "/proc/" + std::to_string(stat.pid);
  ProcessFacts facts;
  facts.pid = stat.pid;
  facts.parent = stat.parent;
  facts.session = stat.session;
  facts.name = stat.name;
  const std::string status = text_of(process + "/status");
  const std::string_view tracer = value_of(status, "TracerPid");
  std::from_chars(tracer.data(), tracer.data() + tracer.size(), facts.tracer);
  facts.shares_ipc = link_of(process + "/ns/ipc") == own_ipc;
  facts.limits_hidden = limits_hidden(stat.pid);
  facts.limits = read_limits(stat.pid);
  facts.maps = read_maps(process);
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, stat.pid, 0)));
  for (const int fd : numbers_in(process + "/fd")) {
    auto file = read_file_facts(process, fd);
    if (!file) continue;
    if (file->kind == FileKind::socket && pidfd) file->socket = socket_facts(pidfd, *file, unix_sockets);
    facts.files.push_back(std::move(*file));
  }
  return facts;
}

}  // namespace

ProcessList list_processes() {
  ProcessList processes;
  for (const int pid : numbers_in("/proc")) {
    if (auto stat = parse_stat(text_of("/proc/" + std::to_string(pid) + "/stat")))
      processes.emplace(pid, std::move(*stat));
  }
  return processes;
}

std::vector<pid_t> tree_of(const ProcessList& processes, pid_t root) {
  std::vector<pid_t> tree;
  if (!processes.contains(root)) return tree;
  std::multimap<pid_t, pid_t> children;
  for (const auto& [pid, stat] : processes) {
    if (stat.state != 'Z' && stat.state != 'X' && pid != root) children.emplace(stat.parent, pid);
  }
  tree.push_back(root);
  for (std::size_t i = 0; i < tree.size(); ++i) {
    const auto [begin, end] = children.equal_range(tree[i]);
    for (auto child = begin; child != end; ++child) tree.push_back(child->second);
  }
  return tree;
}

std::vector<Outsider> outsiders_of(const ProcessList& processes, const std::vector<pid_t>& tree,
                                   const std::set<pid_t>& members) {
  std::vector<Outsider> outsiders;
  for (const auto& [pid, stat] : processes) {
    if (members.contains(pid) || stat.state == 'Z' || stat.state == 'X') continue;
    if (std::ranges::find(tree, stat.session) == tree.end()) continue;
    outsiders.push_back({pid, stat.name, "is in the session of process " + std::to_string(stat.session)});
  }
  return outsiders;
}

Result<TreeFacts> scan_tree(const ProcessList& processes, pid_t root, const std::set<pid_t>& members) {
  const std::vector<pid_t> tree = tree_of(processes, root);
  if (tree.empty()) return fail(ErrorCode::not_found, "process " + std::to_string(root), "is gone");
  UnixSockets unix_sockets;
  const pid_t self = ::getpid();
  // A tree's descriptors may be older than its namespace: a log that whoever started it has given it.
  for (const pid_t place : {root, self}) {
    const auto netns = open_netns_of(place);
    if (!netns) return Failure(netns.error());
    if (auto read = read_unix_sockets(*netns, unix_sockets); !read) return Failure(read.error());
  }
  TreeFacts facts;
  facts.root = root;
  facts.may_raise_limits = may_raise_limits();
  facts.own_limits = read_limits(self);
  facts.outsiders = outsiders_of(processes, tree, members);
  const std::string own_ipc = link_of("/proc/self/ns/ipc");
  for (const pid_t pid : tree) facts.processes.push_back(read_process(processes.at(pid), unix_sockets, own_ipc));
  return facts;
}

std::vector<Limit> read_limits(pid_t pid) { return parse_limits(text_of("/proc/" + std::to_string(pid) + "/limits")); }

}  // namespace lockstep::cli
