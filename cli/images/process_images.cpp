#include "cli/images/process_images.hpp"

#include <map>

#include "cli/images/image_entry.hpp"
#include "criu_images.pb.h"

namespace lockstep::images {
namespace {

constexpr std::uint32_t kRegularFile = 1;         // images/fdinfo.proto: fd_types REG
constexpr std::uint32_t kMaxPid = 4'194'304;      // the kernel's PID_MAX_LIMIT
constexpr std::uint64_t kMaxSeconds = 1U << 31U;  // 68 years: within a count of nanoseconds

using Files = std::map<std::uint32_t, const criu_images::RegularFile*>;

/// All entries of an image.
template <class Entry>
Result<std::vector<Entry>> read_all(const std::string& path, std::uint32_t magic) {
  auto file = ImageFile::open(path, magic);
  if (!file) return Failure(file.error());
  std::vector<Entry> entries;
  while (true) {
    auto entry = next_entry<Entry>(*file);
    if (!entry) return Failure(entry.error());
    if (!*entry) return entries;
    entries.push_back(std::move(**entry));
  }
}

/// The first entry of an image.
template <class Entry>
Result<Entry> read_first(const std::string& path, std::uint32_t magic) {
  auto file = ImageFile::open(path, magic);
  if (!file) return Failure(file.error());
  auto entry = next_entry<Entry>(*file);
  if (!entry) return Failure(entry.error());
  if (!*entry) return file->damaged("is cut off");
  return std::move(**entry);
}

std::optional<std::chrono::nanoseconds> time_of(const criu_images::TimeSpec& time) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  if (time.tv_sec() > kMaxSeconds || time.tv_nsec() >= kSecond) return std::nullopt;
  return std::chrono::nanoseconds(time.tv_sec() * kSecond + time.tv_nsec());
}

class Reader {
 public:
  explicit Reader(std::string folder) : folder_(std::move(folder)) {}

  ProcessImages read() {
    read_inventory();
    read_files();
    read_processes();
    return std::move(images_);
  }

 private:
  [[nodiscard]] std::string image(const char* kind, std::uint32_t number) const {
    return folder_ + "/" + kind + std::to_string(number) + ".img";
  }

  /// What was read; nothing, and a problem more, when it could not be.
  template <class T>
  std::optional<T> take(Result<T> result) {
    if (result) return std::move(*result);
    images_.problems.push_back(result.error().message());
    return std::nullopt;
  }

  void read_inventory() {
    const auto inventory = take(read_first<criu_images::Inventory>(folder_ + "/inventory.img", kInventoryMagic));
    if (!inventory || !inventory->has_dump_uptime() || inventory->dump_uptime() / 1'000'000 > kMaxSeconds) return;
    images_.uptime = std::chrono::microseconds(inventory->dump_uptime());
  }

  void read_files() {
    auto files = read_all<criu_images::File>(folder_ + "/files.img", kFilesMagic);
    if (!files && files.error().code == ErrorCode::not_found) return;  // CRIU of 2017 and older has others
    if (auto taken = take(std::move(files))) list_ = std::move(*taken);
    for (const criu_images::File& file : list_) {
      if (file.type() == kRegularFile && file.has_reg()) files_.emplace(file.id(), &file.reg());
    }
  }

  void read_processes() {
    const auto tree = take(read_all<criu_images::Process>(folder_ + "/pstree.img", kPstreeMagic));
    if (!tree) return;
    for (const criu_images::Process& entry : *tree) {
      if (images_.processes.size() == kMaxProcesses) {
        images_.problems.push_back(folder_ + "/pstree.img: has more than " + std::to_string(kMaxProcesses) +
                                   " processes");
        return;
      }
      if (entry.pid() == 0 || entry.pid() > kMaxPid) {
        images_.problems.push_back(folder_ + "/pstree.img: has a process that makes no sense");
        return;
      }
      read_process(entry.pid());
    }
  }

  void read_process(std::uint32_t pid) {
    const auto core = take(read_first<criu_images::Core>(image("core-", pid), kCoreMagic));
    if (!core) return;
    SavedProcess process;
    process.pid = static_cast<pid_t>(pid);
    process.name = core->tc().comm();
    for (const auto& limit : core->tc().rlimits().rlimits()) process.limits.push_back({limit.cur(), limit.max()});
    // A zombie has neither.
    if (auto ids = read_first<criu_images::KernelIds>(image("ids-", pid), kIdsMagic); ids) {
      process.files = descriptors(ids->files_id());
      if (images_.processes.empty()) read_clocks(ids->time_ns_id());
    } else if (ids.error().code != ErrorCode::not_found) {
      images_.problems.push_back(ids.error().message());
    }
    images_.processes.push_back(std::move(process));
  }

  /// Read once for all processes that share them.
  const std::vector<SavedFile>& descriptors(std::uint32_t id) {
    const auto [entry, fresh] = descriptors_.try_emplace(id);
    if (!fresh) return entry->second;
    auto list = read_all<criu_images::Descriptor>(image("fdinfo-", id), kFdinfoMagic);
    if (!list && list.error().code == ErrorCode::not_found) return entry->second;
    const auto taken = take(std::move(list));
    for (std::size_t i = 0; taken && i < taken->size(); ++i) {
      const criu_images::Descriptor& descriptor = (*taken)[i];
      const auto file = files_.find(descriptor.id());
      if (file == files_.end() || descriptor.fd() > INT32_MAX) continue;
      const criu_images::RegularFile& regular = *file->second;
      entry->second.push_back(
          {static_cast<int>(descriptor.fd()), regular.name(), regular.has_size() ? regular.size() : regular.pos(),
           !regular.has_size()});
    }
    return entry->second;
  }

  /// A tree that shared the machine's own time namespace has its clocks under the number 0.
  void read_clocks(std::uint32_t id) {
    for (const std::uint32_t number : {id, 0U}) {
      auto entry = read_first<criu_images::TimeNamespace>(image("timens-", number), kTimensMagic);
      if (!entry && entry.error().code == ErrorCode::not_found) continue;
      const auto clocks = take(std::move(entry));
      if (!clocks) return;
      const auto monotonic = time_of(clocks->monotonic());
      const auto boottime = time_of(clocks->boottime());
      if (monotonic && boottime) images_.clocks = {*monotonic, *boottime};
      if (!monotonic || !boottime)
        images_.problems.push_back(image("timens-", number) + ": has no time that makes sense");
      return;
    }
  }

  std::string folder_;
  ProcessImages images_;
  std::vector<criu_images::File> list_;
  Files files_;  ///< the regular ones in list_, by their ids
  std::map<std::uint32_t, std::vector<SavedFile>> descriptors_;
};

}  // namespace

ProcessImages read_process_images(const std::string& folder) { return Reader(folder).read(); }

}  // namespace lockstep::images
