#include "cli/images_folder.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>

#include "cli/criu_command.hpp"
#include "cli/files.hpp"
#include "cli/former_checkpoint.hpp"
#include "cli/images/image_file.hpp"

namespace lockstep::cli {
namespace {

/// Behind the name of an image that CRIU is not to find.
constexpr std::string_view kParked = ".parked";

std::string the_member(const ReadyMember& ready) { return "member \"" + ready.member->id.value + "\""; }

bool is_tracking_image(const std::string& name) {
  return name.starts_with("netns-ct-") || name.starts_with("netns-exp-");
}

/// CRIU saves and restores a pod's whole connection-tracking table, though the pod is not its own: into the pod that it
/// was saved from, it would put everybody's entries back to what they were then, or fail where the kernel refuses that
/// ("Device or resource busy"). What members need is still there, so the table is kept from CRIU; a new pod gets it.
Result<void> park_tracking_images(const ReadyMember& ready) {
  const bool same_pod = ready.record && ready.record->pod == ready.pod;
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(ready.images, error)) {
    if (is_tracking_image(entry.path().filename())) found.push_back(entry.path());
  }
  for (const std::filesystem::path& path : found) {
    const bool parked = path.string().ends_with(kParked);
    if (parked == same_pod || error) continue;
    const std::string other = same_pod ? path.string() + std::string(kParked)
                                       : path.string().substr(0, path.string().size() - kParked.size());
    std::filesystem::rename(path, other, error);
  }
  if (error) return fail(ErrorCode::system, "connection-tracking images in " + ready.images, error.message());
  return {};
}

/// CRIU's images that have no magic word (criu/image-desc.c: RAW_IMAGE_MAGIC, and memory): what other programs have
/// written, and netlink's answers. A number follows.
bool has_raw_name(std::string_view name) {
  constexpr std::array<std::string_view, 12> kRaw{"ifaddr-",    "route-",     "route6-",   "rule-",
                                                  "iptables-",  "ip6tables-", "nftables-", "netns-ct-",
                                                  "netns-exp-", "tmpfs-dev-", "tmpfs-",    "binfmt-misc-"};
  if (name.starts_with("pages-")) return true;
  return std::ranges::any_of(kRaw, [&](std::string_view start) {
    const std::string_view rest = name.starts_with(start) ? name.substr(start.size()) : "";
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    return digits > 0 && (rest.substr(digits) == ".img" || rest.substr(digits) == ".tar.gz.img");
  });
}

std::vector<std::string> stale_files(Operation operation, const ReadyMember& ready) {
  const std::string work = ready.work + "/";
  if (operation == Operation::restore) return {work + "stats-restore", restored_pidfile(ready.images)};
  return {ready.images + "/" + std::string(kRecordPartFile), work + "stats-dump"};
}

}  // namespace

/// Nothing may go because of its name alone, but for the images that have nothing else.
bool is_image(const std::filesystem::path& path) {
  const std::string name = path.filename();
  if (is_tracking_image(name) && path.extension() == kParked) return true;
  if (path.extension() != ".img") return false;
  if (has_raw_name(name)) return true;
  std::uint32_t word = 0;
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(&word), sizeof word);
  return file && (word == images::kCommonMagic || word == images::kInventoryMagic);
}

/// CRIU would open an earlier dump's images anew and cut them to nothing, which costs it some 5 ms on ext4 while the
/// tasks are frozen, and would leave those that it has no successor for.
Result<std::vector<std::string>> images_in(const std::string& folder, bool ours) {
  std::vector<std::string> found;
  std::error_code error;
  const bool is_criu_folder =
      ours || images::ImageFile::open(folder + "/inventory.img", images::kInventoryMagic).has_value();
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::filesystem::path& path = entry.path();
    if (!entry.is_regular_file(error) || !is_image(path)) continue;
    if (is_criu_folder || path.extension() == kParked) found.push_back(path);
  }
  // Podman makes its folder when it needs it.
  if (error == std::errc::no_such_file_or_directory) return std::vector<std::string>{};
  if (error) return fail(ErrorCode::system, "list " + folder, error.message());
  // The inventory goes last: without it the rest would not be known for images if this was interrupted.
  std::partition(found.begin(), found.end(), [](const std::string& path) { return !path.ends_with("/inventory.img"); });
  return found;
}

Result<void> clear_images(Operation operation, const std::vector<ReadyMember>& members, bool tried_before) {
  for (const ReadyMember& ready : members) {
    if (ready.images.empty()) continue;  // they are on its node
    if (operation == Operation::restore) {
      if (auto parked = park_tracking_images(ready); !parked) return fail_from(parked.error(), the_member(ready));
    }
    for (const std::string& path : stale_files(operation, ready)) {
      if (auto removed = remove_file(path); !removed) return fail_from(removed.error(), the_member(ready));
    }
  }
  if (operation == Operation::dump) return set_aside(members, tried_before);
  return {};
}

}  // namespace lockstep::cli
