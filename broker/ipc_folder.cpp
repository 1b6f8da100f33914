#include "broker/ipc_folder.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "common/endpoints.hpp"
#include "common/trusted_path.hpp"

namespace lockstep::broker {
namespace {

constexpr mode_t kClosed = 0700;
constexpr mode_t kOfGroup = 02750;

Result<gid_t> group_id(const std::string& name) {
  const ::group* entry = ::getgrnam(name.c_str());  // NOLINT(concurrency-mt-unsafe): before there are threads
  if (entry == nullptr)
    return fail(ErrorCode::not_found, "ipc_group " + name,
                "there is no such group; make it: groupadd --system " + name);
  return entry->gr_gid;
}

Result<void> prepare(const std::string& folder, const gid_t* group) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), error);
  if (error) return fail(ErrorCode::system, "create the folder of " + folder, error.message());
  if (::mkdir(folder.c_str(), kClosed) != 0 && errno != EEXIST) return fail_errno("create " + folder);
  if (auto trusted = check_folder(folder); !trusted) return fail_from(trusted.error(), "listen below it");
  if (group == nullptr) return {};
  if (::chown(folder.c_str(), static_cast<uid_t>(-1), *group) != 0)
    return fail_errno("give " + folder + " to ipc_group");
  if (::chmod(folder.c_str(), kOfGroup) != 0) return fail_errno("open " + folder + " to ipc_group");
  // The kernel drops the bit without a word when we are not of the group and lack CAP_FSETID.
  struct stat made {};
  if (::stat(folder.c_str(), &made) != 0) return fail_errno("look at " + folder);
  if ((made.st_mode & S_ISGID) == 0)
    return fail(ErrorCode::refused, "open " + folder + " to ipc_group",
                "sockets would not be the group's: give the broker CAP_FSETID");
  return {};
}

}  // namespace

Result<void> prepare_ipc_folders(const std::vector<std::string>& endpoints, const std::string& group) {
  gid_t id = 0;
  if (!group.empty()) {
    const auto found = group_id(group);
    if (!found) return Failure(found.error());
    id = *found;
  }
  std::set<std::string> folders;
  for (const std::string& text : endpoints) {
    const auto endpoint = parse_endpoint(text);
    if (!endpoint) return Failure(endpoint.error());
    if (endpoint->transport != Transport::ipc || !endpoint->path.starts_with('/')) continue;
    folders.insert(std::filesystem::path(endpoint->path).parent_path().string());
  }
  for (const std::string& folder : folders) {
    if (auto done = prepare(folder, group.empty() ? nullptr : &id); !done) return done;
  }
  return {};
}

}  // namespace lockstep::broker
