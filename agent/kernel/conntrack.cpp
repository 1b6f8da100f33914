#include "agent/kernel/conntrack.hpp"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <netlink/msg.h>
#include <netlink/netfilter/ct.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <utility>

#include "common/netlink.hpp"
#include "common/netns.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep {
namespace {

struct FreeEntry {
  void operator()(nfnl_ct* entry) const { nfnl_ct_put(entry); }
};
using Entry = std::unique_ptr<nfnl_ct, FreeEntry>;
using Ends = std::pair<Endpoint, Endpoint>;
enum Direction { kOriginal = 0, kReply = 1 };  ///< libnl's `repl` argument

Endpoint end_point(const nl_addr* address, std::uint16_t port) {
  Endpoint end;
  const unsigned length = address == nullptr ? 0 : nl_addr_get_len(address);
  if (length != 4 && length != 16) return end;
  end.family = length == 4 ? IpFamily::v4 : IpFamily::v6;
  std::memcpy(end.address.data(), nl_addr_get_binary_addr(address), length);
  end.port = port;
  return end;
}

Ends ends(const nfnl_ct* entry, Direction direction) {
  return {end_point(nfnl_ct_get_src(entry, direction), nfnl_ct_get_src_port(entry, direction)),
          end_point(nfnl_ct_get_dst(entry, direction), nfnl_ct_get_dst_port(entry, direction))};
}

/// Both ways round: an entry begins with whoever opened the connection.
std::set<Ends> wanted_ends(const SocketTable& wanted) {
  std::set<Ends> all;
  for (const Socket& socket : wanted) {
    if (socket.remote.port == 0) continue;
    all.emplace(socket.local, socket.remote);
    all.emplace(socket.remote, socket.local);
  }
  return all;
}

/// A number out of /proc/sys of the thread's namespace; 0 where there is none.
int sysctl(const char* name) {
  int value = 0;
  std::ifstream file(std::string("/proc/sys/net/netfilter/") + name);
  file >> value;
  return value;
}

struct Tracking {
  bool active = false;
  bool loose = true;  ///< connections are taken up in the middle
};

Result<Tracking> tracking_in(const Fd& netns) {
  auto scope = NetnsScope::enter(netns);
  if (!scope) return Failure(scope.error());
  return Tracking{sysctl("nf_conntrack_count") > 0, sysctl("nf_conntrack_tcp_loose") != 0};
}

bool is_stale(const nfnl_ct* entry, const Tracking& tracking) {
  if (!nfnl_ct_test_tcp_state(entry) || nfnl_ct_get_tcp_state(entry) != TCP_CONNTRACK_ESTABLISHED) return true;
  const auto [from, to] = ends(entry, kOriginal);
  const bool translated = ends(entry, kReply) != Ends{to, from};
  return !translated && tracking.loose;
}

struct Search {
  const std::set<Ends>& wanted;
  const Tracking& tracking;
  std::vector<Entry> found;
};

/// libnl calls it for each message; C on the other side, so nothing may be thrown through it.
int read_message(nl_msg* message, void* search_pointer) noexcept {
  auto& search = *static_cast<Search*>(search_pointer);
  nfnl_ct* raw = nullptr;
  if (nfnlmsg_ct_parse(nlmsg_hdr(message), &raw) < 0) return NL_SKIP;
  Entry entry(raw);
  if (!nfnl_ct_test_proto(raw) || nfnl_ct_get_proto(raw) != IPPROTO_TCP) return NL_OK;
  const bool wanted = search.wanted.contains(ends(raw, kOriginal)) || search.wanted.contains(ends(raw, kReply));
  if (wanted && is_stale(raw, search.tracking)) search.found.push_back(std::move(entry));
  return NL_OK;
}

}  // namespace

Result<std::vector<std::string>> clear_conntrack(const Fd& netns, const SocketTable& wanted) {
  const std::set<Ends> all = wanted_ends(wanted);
  auto tracking = tracking_in(netns);
  if (!tracking) return fail_from(tracking.error(), "look for connection tracking");
  std::vector<std::string> cleared;
  if (all.empty() || !tracking->active) return cleared;
  auto socket = NetlinkSocket::open(netns, NETLINK_NETFILTER);
  if (!socket) return fail_from(socket.error(), "connection tracking");

  Search search{all, *tracking, {}};
  nl_socket_modify_cb(socket->get(), NL_CB_VALID, NL_CB_CUSTOM, read_message, &search);
  if (const int error = nfnl_ct_dump_request(socket->get()); error < 0)
    return fail_netlink(error, "nfnl_ct_dump_request");
  if (const int error = nl_recvmsgs_default(socket->get()); error < 0)
    return fail_netlink(error, "read the connection-tracking table");
  for (const Entry& entry : search.found) {
    const int error = nfnl_ct_del(socket->get(), entry.get(), 0);
    if (error == -NLE_OBJ_NOTFOUND) continue;
    const auto [from, to] = ends(entry.get(), kOriginal);
    const std::string text = endpoint_text(from) + " > " + endpoint_text(to);
    if (error < 0) return fail_netlink(error, "delete the connection-tracking entry " + text);
    cleared.push_back("connection-tracking entry " + text);
  }
  return cleared;
}

}  // namespace lockstep
