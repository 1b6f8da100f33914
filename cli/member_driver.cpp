#include "cli/member_driver.hpp"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include "cli/criu_driver.hpp"
#include "cli/files.hpp"
#include "cli/former_checkpoint.hpp"
#include "cli/kubernetes/kubelet_driver.hpp"
#include "cli/podman_driver.hpp"
#include "common/netns.hpp"
#include "schemas/codec.hpp"

namespace lockstep::cli {
namespace {

/// CRIU calls network-lock and network-unlock only for trees whose namespace is not its own.
Failure host_network(const MemberId& id) {
  return bad_member(id,
                    "lives in this machine's own network namespace: CRIU does not lock the network of such a tree, "
                    "so it can't take part in a coordinated checkpoint; run it in a namespace of its own");
}

}  // namespace

const MemberDriver& driver_of(const GroupMember& member) {
  static const CriuDriver criu;
  static const PodmanDriver podman;
  static const KubeletDriver kubelet;
  if (member.driver == Driver::kubelet) return kubelet;
  return member.driver == Driver::podman ? static_cast<const MemberDriver&>(podman) : criu;
}

Failure bad_member(const MemberId& id, std::string why, ErrorCode code) {
  return fail(code, "member \"" + id.value + "\"", std::move(why));
}

Result<void> look_at_tree(ReadyMember& ready, pid_t pid, const std::string& named, const ThisMachine& machine) {
  const MemberId& id = ready.member->id;
  ready.pid = pid;
  ready.root = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!ready.root || !is_running(pid)) {
    return bad_member(id, "there is no process " + std::to_string(pid) + (named.empty() ? "" : " (from " + named + ")"),
                      ErrorCode::not_found);
  }
  const auto netns = open_netns_of(pid);
  if (!netns) return bad_member(id, netns.error().message());
  const auto inode = netns_inode(*netns);
  if (!inode) return bad_member(id, inode.error().message());
  if (*inode == machine.netns_inode) return host_network(id);
  ready.pod = PodId{machine.boot_id, *inode};
  return {};
}

Result<void> take_pod(ReadyMember& ready, Fd netns, std::uint64_t inode, std::string path, const ThisMachine& machine) {
  if (inode == machine.netns_inode) return host_network(ready.member->id);
  ready.pod = PodId{machine.boot_id, inode};
  ready.netns = std::move(netns);
  ready.netns_path = std::move(path);
  return {};
}

Result<void> check_writable(const MemberId& id, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return bad_member(id, "images folder " + folder + ": " + error.message());
  const Fd probe(::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  // Not every file system has O_TMPFILE; those that don't say EOPNOTSUPP, and access() has to do.
  if (!probe && (errno != EOPNOTSUPP || ::access(folder.c_str(), W_OK) != 0)) {
    return bad_member(id, "can't write to images folder " + folder + ": " + ::strerror(errno));
  }
  return {};
}

Result<pid_t> read_pidfile(const std::string& path) {
  const auto text = read_file(path, 64);
  if (!text) return fail_from(text.error(), "pidfile");
  const std::size_t first = std::min(text->find_first_not_of(" \t\r\n"), text->size());
  const std::size_t last = text->find_last_not_of(" \t\r\n") + 1;
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text->data() + first, text->data() + std::max(first, last), pid);
  if (error != std::errc{} || end != text->data() + last || pid <= 0) {
    return fail(ErrorCode::invalid, "pidfile " + path, "does not hold a pid");
  }
  return pid;
}

bool is_running(pid_t pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat) return false;
  // The state follows the name, which stands in parentheses and may hold any character.
  const std::size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat->size()) return false;
  const char state = (*stat)[name_end + 2];
  return state != 'Z' && state != 'X';
}

Result<Record> read_record(const std::string& images) {
  const std::string path = images + "/" + std::string(kRecordFile);
  const auto bytes = read_file(path, kMaxFrame);
  if (!bytes && bytes.error().code == ErrorCode::not_found) {
    const std::string hint = former_hint(images);
    return fail(ErrorCode::not_found, path,
                "is missing: this is no member of a committed checkpoint" + (hint.empty() ? "" : "; " + hint));
  }
  if (!bytes) return Failure(bytes.error());
  auto record = decode_record(*bytes);
  if (!record) return fail_from(record.error(), path);
  return record;
}

}  // namespace lockstep::cli
