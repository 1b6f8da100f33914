/// Reading a pod's socket table: SockDiag against a raw walk of the same replies that looks at nothing (the floor), in
/// one run, over the same sockets. Needs root, and about 4 KiB of kernel memory for each socket.
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "agent/kernel/sock_diag.hpp"
#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

/// A process that opens `count` connections from itself to a listener of its own that accepts none of them: two sockets
/// of the table for each descriptor. They live until it is killed.
class Holder {
 public:
  Holder(const TestNetns& netns, int number, int count) {
    int ready[2];
    if (::pipe(ready) != 0) throw std::runtime_error("pipe failed");
    const Fd read_end(ready[0]);
    Fd write_end(ready[1]);
    pid_ = ::fork();
    if (pid_ == 0) hold(netns, number, count, write_end);
    write_end.reset();
    char byte = 0;
    if (::read(read_end.get(), &byte, 1) != 1) throw std::runtime_error("a holder of sockets failed");
  }
  Holder(Holder&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Holder& operator=(Holder&&) = delete;
  ~Holder() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  [[noreturn]] static void hold(const TestNetns& netns, int number, int count, const Fd& ready) {
    // An address of its own: the ephemeral ports are enough for one holder.
    const Address address("127.0.1." + std::to_string(number), 5000);
    const Fd listener = bound_socket(netns, address, SOCK_STREAM, count + 1);
    const auto scope = must(NetnsScope::enter(netns.fd()));
    std::vector<Fd> clients;
    for (int i = 0; i < count; ++i) {
      clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (::connect(clients.back().get(), address.get(), address.length) != 0) ::_exit(1);
    }
    if (::write(ready.get(), "1", 1) != 1) ::_exit(1);
    while (true) ::pause();
  }

  pid_t pid_ = -1;
};

/// A namespace with at least `sockets` TCP sockets, shared by the benchmarks of that size.
struct FullNetns {
  explicit FullNetns(int sockets) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const int per_holder = static_cast<int>(std::min<rlim_t>(limit.rlim_cur - 100, 16000));
    netns.run({"sh", "-c", "echo 65535 >/proc/sys/net/core/somaxconn"});
    netns.run({"sh", "-c", "echo '1024 65535' >/proc/sys/net/ipv4/ip_local_port_range"});
    netns.run({"sh", "-c", "echo 65535 >/proc/sys/net/ipv4/tcp_max_syn_backlog"});
    for (int left = sockets / 2, number = 1; left > 0; left -= per_holder, ++number)
      holders.emplace_back(netns, number, std::min(left, per_holder));
  }
  TestNetns netns;
  std::vector<Holder> holders;
};

FullNetns& full_netns(std::int64_t sockets) {
  static std::map<std::int64_t, FullNetns> all;
  auto found = all.find(sockets);
  if (found == all.end()) {
    all.clear();  // one at a time: they are large
    found = all.try_emplace(sockets, static_cast<int>(sockets)).first;
  }
  return found->second;
}

/// One dump of one address family, received into 32 KiB and walked from header to header. Gives the number of entries.
std::size_t raw_walk(NetlinkSocket& socket, int family) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = static_cast<std::uint8_t>(family);
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_ext = 1U << (INET_DIAG_INFO - 1);
  request.body.idiag_states = 0x1ffe;
  must(socket.send({reinterpret_cast<const char*>(&request), sizeof request}));
  alignas(nlmsghdr) static char buffer[32 * 1024];
  std::size_t entries = 0;
  while (true) {
    auto left = static_cast<int>(::recv(nl_socket_get_fd(socket.get()), buffer, sizeof buffer, 0));
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(header, static_cast<unsigned>(left));
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) return entries;
      ++entries;
    }
  }
}

void raw_walk(benchmark::State& state) {
  auto socket = must(NetlinkSocket::open(full_netns(state.range(0)).netns.fd(), NETLINK_SOCK_DIAG));
  std::size_t entries = 0;
  for (auto _ : state) entries = raw_walk(socket, AF_INET) + raw_walk(socket, AF_INET6);
  state.counters["sockets"] = static_cast<double>(entries);
}

void tcp_sockets(benchmark::State& state) {
  auto diag = must(SockDiag::create(full_netns(state.range(0)).netns.fd()));
  std::size_t entries = 0;
  for (auto _ : state) entries = must(diag.tcp_sockets()).size();
  state.counters["sockets"] = static_cast<double>(entries);
}

/// What the agent asks for one member: a few of many.
void tcp_sockets_of_a_hundred(benchmark::State& state) {
  auto diag = must(SockDiag::create(full_netns(state.range(0)).netns.fd()));
  std::unordered_set<std::uint64_t> inodes;
  for (const Socket& socket : must(diag.tcp_sockets()))
    if (socket.inode != 0 && inodes.size() < 100) inodes.insert(socket.inode);
  std::size_t entries = 0;
  for (auto _ : state) entries = must(diag.tcp_sockets_of(inodes)).size();
  state.counters["sockets"] = static_cast<double>(entries);
}

void register_all() {
  for (const int sockets : {20'000, 200'000}) {
    for (const auto& [name, function] : {std::pair{"raw_walk", static_cast<void (*)(benchmark::State&)>(raw_walk)},
                                         {"tcp_sockets", tcp_sockets},
                                         {"tcp_sockets_of_a_hundred", tcp_sockets_of_a_hundred}})
      benchmark::RegisterBenchmark(name, function)->Arg(sockets)->UseRealTime()->Unit(benchmark::kMillisecond);
  }
}

[[maybe_unused]] const bool kRegistered = (register_all(), true);

}  // namespace
}  // namespace lockstep::testing
