#include "cli/former_checkpoint.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "cli/files.hpp"
#include "cli/images_folder.hpp"
#include "cli/tree_check.hpp"

namespace lockstep::cli {
namespace {

/// Behind the folder's name while files are moved into or out of it.
constexpr std::string_view kPart = ".part";
/// What an OCI runtime writes beside the images for their restore.
constexpr std::string_view kRuntimeFile = "descriptors.json";

std::string the_member(const ReadyMember& ready) { return "member \"" + ready.member->id.value + "\""; }

std::string record_in(const std::string& folder) { return folder + "/" + std::string(kRecordFile); }

bool is_there(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

/// The files beside CRIU's that belong to a checkpoint; the record first, since images are whole while it is there.
std::vector<std::string> own_files(const ReadyMember& ready, const std::string& folder) {
  const bool podman = ready.member->driver == Driver::podman;
  return {record_in(folder), folder + "/" + std::string(podman ? kRuntimeFile : kOptionsFile)};
}

Failure in_the_way(const std::string& path) {
  return fail(ErrorCode::conflict, path,
              "is in the way: the former checkpoint is kept under this name until the new one is committed; "
              "move it elsewhere");
}

/// The files of a checkpoint that was set aside; none where there is no such folder. An error when it is something
/// else: it would be lost.
Result<std::vector<std::string>> files_aside(const ReadyMember& ready, const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  const auto kind = std::filesystem::symlink_status(folder, error).type();
  if (kind == std::filesystem::file_type::not_found) return found;
  if (kind != std::filesystem::file_type::directory) return in_the_way(folder);
  const std::vector<std::string> own = own_files(ready, folder);
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string path = entry.path();
    const bool is_own = std::ranges::find(own, path) != own.end();
    if (!entry.is_regular_file(error) || !(is_own || is_image(path))) return in_the_way(path);
    found.push_back(path);
  }
  if (error) return fail(ErrorCode::system, "list " + folder, error.message());
  std::partition(found.begin(), found.end(), [&](const std::string& path) { return path == own.front(); });
  return found;
}

Result<void> remove_all(const std::vector<std::string>& files) {
  for (const std::string& path : files) {
    if (auto removed = remove_file(path); !removed) return removed;
  }
  return {};
}

Result<void> remove_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove(folder, error);
  if (error) return fail(ErrorCode::system, "remove " + folder, error.message());
  return {};
}

Result<void> move_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno("rename " + from + " to " + to);
  return {};
}

/// Each file that is there, under its name into another folder.
Result<void> move_all(const std::vector<std::string>& files, const std::string& folder) {
  for (const std::string& path : files) {
    if (!is_there(path)) continue;
    if (auto moved = move_file(path, folder + "/" + std::filesystem::path(path).filename().string()); !moved) {
      return moved;
    }
  }
  return {};
}

/// A file of the same name can only be a newer attempt's. The record goes last.
Result<void> move_back_part(const ReadyMember& ready, const std::string& part) {
  if (!is_there(part)) return {};
  auto files = files_aside(ready, part);
  if (!files) return Failure(files.error());
  std::ranges::reverse(*files);
  std::error_code error;
  std::filesystem::create_directory(ready.images, error);
  if (error) return fail(ErrorCode::system, "make folder " + ready.images, error.message());
  if (auto moved = move_all(*files, ready.images); !moved) return moved;
  return remove_folder(part);
}

/// In FORMER; the record first, without which nobody takes it for a whole one.
Result<void> drop_former(const ReadyMember& ready) {
  const std::string former = former_folder(ready);
  if (!is_there(former)) return {};
  const auto files = files_aside(ready, former);
  if (!files) return Failure(files.error());
  if (auto removed = remove_all(*files); !removed) return removed;
  return remove_folder(former);
}

/// All that belongs to a checkpoint or to an attempt at one.
Result<std::vector<std::string>> files_in_place(const ReadyMember& ready, bool ours) {
  auto images = images_in(ready.images, ours);
  if (!images) return images;
  auto files = own_files(ready, ready.images);
  files.insert(files.end(), images->begin(), images->end());
  return files;
}

/// The runtime's own file stays; it is written anew each time.
Result<void> remove_in_place(const ReadyMember& ready, bool ours) {
  auto files = files_in_place(ready, ours);
  if (!files) return Failure(files.error());
  std::erase_if(*files, [](const std::string& path) { return path.ends_with("/" + std::string(kRuntimeFile)); });
  return remove_all(*files);
}

Result<void> move_aside(const ReadyMember& ready, bool ours) {
  if (auto dropped = drop_former(ready); !dropped) return dropped;
  const auto files = files_in_place(ready, ours);
  if (!files) return Failure(files.error());
  const std::string former = former_folder(ready);
  const std::string part = former + std::string(kPart);
  std::error_code error;
  // As readable as the images folder itself.
  std::filesystem::create_directory(part, ready.images, error);
  if (error) return fail(ErrorCode::system, "make folder " + part, error.message());
  if (auto moved = move_all(*files, part); !moved) return moved;
  return move_file(part, former);
}

/// Whether the checkpoint in place is torn, or lacks another member of its round: restore refuses it. `records`: of all
/// members, nothing where there is none that can be read.
bool is_incomplete(const std::vector<ReadyMember>& members, const std::vector<std::optional<Record>>& records,
                   std::size_t index) {
  if (!records[index]) return true;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto& all = records[index]->members;
    if (members[i].images.empty() || std::ranges::find(all, members[i].member->id) == all.end()) continue;
    if (!records[i] || records[i]->round != records[index]->round) return true;
  }
  return false;
}

Result<void> check_places(const ReadyMember& ready) {
  const std::string former = former_folder(ready);
  for (const std::string& folder : {former, former + std::string(kPart)}) {
    if (auto files = files_aside(ready, folder); !files) return Failure(files.error());
  }
  return {};
}

Result<void> make_way(const ReadyMember& ready, bool incomplete, bool ours) {
  const std::string former = former_folder(ready);
  const bool has_former = is_there(record_in(former));
  if (is_there(record_in(ready.images)) && !(has_former && incomplete)) return move_aside(ready, ours);
  if (!has_former) {
    if (auto dropped = drop_former(ready); !dropped) return dropped;
  }
  return remove_in_place(ready, ours);
}

/// A pod whose members are dumped one after another gets records before its round is decided.
bool is_void(const ReadyMember& ready, const RoundId& aborted) {
  const auto record = read_record(ready.images);
  return record && record->conditional && record->round == aborted;
}

std::string how_back(const std::string& from, const std::string& images) {
  return "`mv " + from + "/* " + images + "/` brings it back";
}

}  // namespace

std::string former_folder(const ReadyMember& ready) {
  return ready.images + (ready.member->driver == Driver::podman ? ".former" : "/former");
}

Result<std::vector<Fd>> hold_images(const std::vector<ReadyMember>& members) {
  std::vector<Fd> held;
  for (const ReadyMember& ready : members) {
    if (ready.images.empty()) continue;
    // Podman makes its images folder when it needs it; the one of its log is there.
    Fd folder(::open(ready.work.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return fail_errno(the_member(ready) + ": open " + ready.work);
    if (::flock(folder.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      return fail(ErrorCode::conflict, the_member(ready) + ": " + ready.work,
                  "another lockstep is still busy with the checkpoint there; try again when it has ended");
    }
    held.push_back(std::move(folder));
  }
  return held;
}

Result<void> set_aside(const std::vector<ReadyMember>& members, bool tried_before) {
  const auto each = [&](const auto& action) -> Result<void> {
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (members[i].images.empty()) continue;  // they are on its node
      if (auto done = action(members[i], i); !done) return fail_from(done.error(), the_member(members[i]));
    }
    return {};
  };
  if (auto fit = each([](const auto& ready, auto) { return check_places(ready); }); !fit) return fit;
  std::vector<std::optional<Record>> records(members.size());
  auto finished = each([&](const ReadyMember& ready, std::size_t i) {
    auto moved = move_back_part(ready, former_folder(ready) + std::string(kPart));
    if (auto record = read_record(ready.images); record) records[i] = std::move(*record);
    return moved;
  });
  if (!finished) return finished;
  return each([&](const ReadyMember& ready, std::size_t i) {
    return make_way(ready, is_incomplete(members, records, i), tried_before);
  });
}

Result<void> put_back(const ReadyMember& ready, bool ours, const RoundId& aborted) {
  const std::string former = former_folder(ready);
  const std::string part = former + std::string(kPart);
  // Somebody was interrupted while moving: the images folder has nothing else in it than the rest of them.
  if (is_there(part)) return move_back_part(ready, part);
  if (is_there(record_in(ready.images)) && !is_void(ready, aborted)) return {};
  if (auto removed = remove_in_place(ready, ours); !removed) return removed;
  if (!is_there(record_in(former))) return {};
  if (auto moved = move_file(former, part); !moved) return moved;
  return move_back_part(ready, part);
}

void settle_former(const std::vector<ReadyMember>& members, Report& report) {
  const RoundVerdict verdict = verdict_of(report);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const ReadyMember& ready = members[i];
    if (ready.images.empty()) continue;
    Result<void> done;
    if (verdict == RoundVerdict::committed) done = drop_former(ready);
    if (verdict == RoundVerdict::aborted) done = put_back(ready, report.outcome.runs[i].exit.has_value(), report.round);
    if (!done) report.notes.push_back(the_member(ready) + ": its former checkpoint: " + done.error().message());
    const std::string hint = verdict == RoundVerdict::committed ? "" : former_hint(ready.images);
    if (!hint.empty()) report.notes.push_back(the_member(ready) + ": " + hint);
  }
}

std::string former_hint(std::string images) {
  while (images.size() > 1 && images.ends_with('/')) images.pop_back();
  for (const char* name : {"/former", ".former"}) {
    const std::string former = images + name;
    const std::string part = former + std::string(kPart);
    if (is_there(record_in(part)))
      return "a part of its former checkpoint is in " + part + ": " + how_back(part, images);
    if (is_there(record_in(former))) return "its former checkpoint is in " + former + ": " + how_back(former, images);
  }
  return {};
}

}  // namespace lockstep::cli
