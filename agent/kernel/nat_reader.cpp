#include "agent/kernel/nat_reader.hpp"

#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <string>

#include "common/netlink_reader.hpp"
#include "common/netns.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep {
namespace {

/// Requests of one datagram. The answers to all of them must fit into the socket's receive buffer, at some 5 KiB each.
constexpr std::size_t kBatch = 16;
/// What a dump of an empty table costs, in look-ups; each of its entries costs half of one.
constexpr std::size_t kDumpCost = 2'500;
constexpr std::size_t kDumpBuffer = 32 * 1024;  ///< the kernel fills no more in one go
constexpr std::uint16_t kEntryMessage = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;

bool is_connected(TcpState state) {
  switch (state) {
    case TcpState::established:
    case TcpState::fin_wait1:
    case TcpState::fin_wait2:
    case TcpState::close_wait:
    case TcpState::last_ack:
    case TcpState::closing: return true;
    default: return false;
  }
}

/// A kernel that has no conntrack, or lets nobody read it (nfnetlink: EINVAL for a subsystem that is not there).
bool has_no_conntrack(int sys_errno) {
  return sys_errno == EINVAL || sys_errno == EOPNOTSUPP || sys_errno == EPROTONOSUPPORT;
}

/// The translating entry that a message brings; nothing where it brings another, or says that there is none.
Result<std::optional<NatEntry>> entry_of(const NetlinkMessage& message) {
  if (message.header.nlmsg_type == NLMSG_ERROR) {
    const auto ack = parse_ack(message);
    if (!ack) return fail(ErrorCode::invalid, "IPCTNL_MSG_CT_GET", "malformed answer of the kernel");
    if (ack->sys_errno != 0 && ack->sys_errno != ENOENT)
      return Failure(Error{ErrorCode::system, ack->sys_errno, "IPCTNL_MSG_CT_GET", ack->text});
  }
  if (message.header.nlmsg_type != kEntryMessage) return std::nullopt;
  auto entry = parse_conntrack_entry(message.payload);
  return entry && entry->translates() ? entry : std::nullopt;
}

}  // namespace

std::vector<Flow> flows_of(const SocketTable& sockets) {
  std::vector<Flow> flows;
  for (const Socket& socket : sockets) {
    if (is_connected(socket.state) && socket.inode != 0) flows.push_back({socket.local, socket.remote});
  }
  return flows;
}

std::vector<Flow> flows_outside(std::span<const Flow> flows, std::span<const NatEntry> entries) {
  std::map<Flow, Flow> translated;
  for (const NatEntry& entry : entries) {
    translated[{entry.original_source, entry.original_destination}] = {entry.reply_destination, entry.reply_source};
    translated[{entry.reply_source, entry.reply_destination}] = {entry.original_destination, entry.original_source};
  }
  std::vector<Flow> outside;
  for (const Flow& flow : flows) {
    const auto found = translated.find(flow);
    const Flow& out = found == translated.end() ? flow : found->second;
    if (!is_loopback(out.from) && !is_loopback(out.to)) outside.push_back(out);
  }
  return outside;
}

Result<NatReader> NatReader::create(const Fd& netns) {
  auto socket = NetlinkSocket::open(netns, NETLINK_NETFILTER);
  if (!socket && socket.error().sys_errno != EPROTONOSUPPORT) return fail_from(socket.error(), "connection tracking");
  NatReader reader(socket ? std::optional(std::move(*socket)) : std::nullopt);
  reader.refresh(netns);
  return reader;
}

void NatReader::refresh(const Fd& netns) {
  if (count_ || !socket_) return;
  // The file shows the namespace in which it was opened, wherever it is read.
  if (const auto scope = NetnsScope::enter(netns); scope)
    count_.reset(::open("/proc/sys/net/netfilter/nf_conntrack_count", O_RDONLY | O_CLOEXEC));
}

std::size_t NatReader::tracked() const {
  std::array<char, 16> text{};
  const ssize_t length = count_ ? ::pread(count_.get(), text.data(), text.size(), 0) : 0;
  std::size_t number = 0;
  if (length > 0) (void)std::from_chars(text.data(), text.data() + length, number);
  return number;
}

Result<std::vector<NatEntry>> NatReader::read(std::span<const Flow> flows) {
  std::vector<NatEntry> entries;
  const std::size_t table = flows.empty() ? 0 : tracked();
  if (table == 0) return entries;
  socket_->drain();
  auto done = flows.size() > kDumpCost + table / 2 ? dump(flows, entries) : look_up(flows, entries);
  if (done) return entries;
  if (has_no_conntrack(done.error().sys_errno)) return std::vector<NatEntry>();
  return fail_from(done.error(), "read connection tracking");
}

Result<void> NatReader::look_up(std::span<const Flow> flows, std::vector<NatEntry>& entries) {
  std::array<char, 8192> buffer;
  while (!flows.empty()) {
    const auto batch = flows.first(std::min(kBatch, flows.size()));
    flows = flows.subspan(batch.size());
    std::string datagram;
    std::uint32_t last = 0;
    for (const Flow& flow : batch) append_conntrack_request(datagram, flow, last = socket_->next_sequence());
    if (auto sent = socket_->send(datagram); !sent) return sent;
    for (std::size_t missing = batch.size(); missing > 0;) {
      auto answer = socket_->receive(buffer);
      if (!answer) return Failure(answer.error());
      while (const auto message = next_message(*answer)) {
        if (last - message->header.nlmsg_seq >= batch.size()) continue;  // of an earlier request
        auto entry = entry_of(*message);
        if (!entry) return Failure(entry.error());
        if (*entry) entries.push_back(**entry);
        if (missing > 0) --missing;
      }
    }
  }
  return {};
}

Result<void> NatReader::dump(std::span<const Flow> flows, std::vector<NatEntry>& entries) {
  std::vector<Flow> wanted(flows.begin(), flows.end());
  std::sort(wanted.begin(), wanted.end());
  const auto is_wanted = [&](const Flow& flow) { return std::binary_search(wanted.begin(), wanted.end(), flow); };
  std::string request;
  const std::uint32_t sequence = socket_->next_sequence();
  append_conntrack_dump(request, sequence);
  if (auto sent = socket_->send(request); !sent) return sent;
  std::vector<char> buffer(kDumpBuffer);
  while (true) {
    auto part = socket_->receive(buffer);
    if (!part) return Failure(part.error());
    while (const auto message = next_message(*part)) {
      if (message->header.nlmsg_seq != sequence) continue;
      if (message->header.nlmsg_type == NLMSG_DONE) return {};
      auto entry = entry_of(*message);
      if (!entry) return Failure(entry.error());
      if (!*entry) continue;
      const NatEntry& found = **entry;
      if (is_wanted({found.original_source, found.original_destination}) ||
          is_wanted({found.reply_source, found.reply_destination})) {
        entries.push_back(found);
      }
    }
  }
}

}  // namespace lockstep
