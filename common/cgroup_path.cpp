#include "common/cgroup_path.hpp"

#include <algorithm>
#include <array>

namespace lockstep {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

/// Cuts `text` at `separator` and hands each piece to `use`.
template <class Use>
void for_each_piece(std::string_view text, char separator, const Use& use) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    use(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size && text.find_first_not_of(kHexDigits) == std::string_view::npos;
}

/// The 64 hexadecimal digits of a cgroup's path component; empty when it is no container's.
std::string_view container_in(std::string_view component) {
  constexpr std::array<std::string_view, 6> kPrefixes{"docker-",         "cri-containerd-", "crio-",
                                                      "libpod-payload-", "libpod-",         "nerdctl-"};
  constexpr std::string_view kSuffix = ".scope";
  if (component.ends_with(kSuffix)) component.remove_suffix(kSuffix.size());
  for (const std::string_view prefix : kPrefixes) {
    if (!component.starts_with(prefix)) continue;
    component.remove_prefix(prefix.size());
    break;
  }
  return is_hex(component, 64) ? component : std::string_view{};
}

/// A uid in either of its spellings: with hyphens, or with the underscores that systemd's slices need. The kubelet's
/// static pods have 32 digits instead.
std::string uid_in(std::string_view text) {
  std::string uid(text);
  std::ranges::replace(uid, '_', '-');
  if (is_hex(uid, 32)) return uid;
  constexpr std::size_t kUid = 36;
  if (uid.size() != kUid) return {};
  for (std::size_t i = 0; i < kUid; ++i) {
    const bool is_hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_hyphen ? uid[i] != '-' : kHexDigits.find(uid[i]) == std::string_view::npos) return {};
  }
  return uid;
}

/// The pod that a component names; empty when it names none.
std::string pod_in(std::string_view component) {
  constexpr std::string_view kSlice = ".slice";
  constexpr std::string_view kPodman = "machine-libpod_pod_";
  if (component.ends_with(kSlice)) component.remove_suffix(kSlice.size());
  if (component.starts_with(kPodman)) {
    component.remove_prefix(kPodman.size());
    return is_hex(component, 64) ? std::string(component) : std::string();
  }
  // "kubepods-burstable-podUID", "kubepods-podUID" and "podUID".
  const std::size_t at = component.rfind("pod");
  if (at == std::string_view::npos || (at != 0 && component[at - 1] != '-')) return {};
  return uid_in(component.substr(at + 3));
}

}  // namespace

std::string container_id_in(std::string_view cgroup) {
  std::string_view found;
  for_each_piece(cgroup, '\n', [&](std::string_view line) {
    for_each_piece(line, '/', [&](std::string_view component) {
      const std::string_view id = container_in(component);
      if (!id.empty()) found = id;
    });
  });
  return std::string(found);
}

std::string pod_uid_in(std::string_view cgroup) {
  std::string found;
  for_each_piece(cgroup, '\n', [&](std::string_view line) {
    std::string_view above;
    for_each_piece(line, '/', [&](std::string_view component) {
      const std::string pod = pod_in(component);
      if (!pod.empty()) found = pod;
      // Podman with cgroupfs: "/libpod_parent/POD/libpod-CONTAINER".
      if (above == "libpod_parent" && is_hex(component, 64)) found = component;
      above = component;
    });
  });
  return found;
}

}  // namespace lockstep
