// A folder of CRIU's images: inventory.img, files.img, inetsk.img, and two tcp-stream images; then those of one
// process. The byte in front of either kind says which of them are there; the pieces are their bytes. Whatever could be
// read is then compared as `lockstep verify` does, and `lockstep restore` at its end.
#include <stdlib.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "cli/images/connection_pairs.hpp"
#include "cli/images/cut_check.hpp"
#include "cli/images/process_images.hpp"
#include "cli/images/record_check.hpp"
#include "cli/restored/compare.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace lockstep;

constexpr std::array kNames{"inventory.img", "files.img", "inetsk.img", "tcp-stream-1.img", "tcp-stream-2.img"};
constexpr std::array kProcessNames{"pstree.img", "core-1.img", "ids-1.img", "fdinfo-1.img", "timens-0.img"};

/// Made once, and removed at the end of a run that finds nothing.
class Folder {
 public:
  Folder() : path_((std::filesystem::temp_directory_path() / "lockstep-fuzz-XXXXXX").string()) {
    fuzz::expect(::mkdtemp(path_.data()) != nullptr, "a folder can be made");
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  void put(const char* name, bool there, std::string_view bytes) const {
    const std::string path = path_ + "/" + name;
    std::remove(path.c_str());
    if (!there) return;
    std::FILE* file = std::fopen(path.c_str(), "wb");
    fuzz::expect(file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size(),
                 "a file is written");
    std::fclose(file);
  }

 private:
  std::string path_;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  fuzz::Pieces input(fuzz::view_of(data, size));
  const auto put = [&](const auto& names) {
    const std::uint8_t present = input.byte();
    for (std::size_t i = 0; i < names.size(); ++i) folder.put(names[i], (present >> i & 1U) != 0, input.piece());
  };
  put(kNames);
  put(kProcessNames);
  const auto images = images::read_tcp_images(folder.path());
  fuzz::expect(images.has_value(), "what is wrong inside a folder is a problem of its images, not of reading it");

  // The same folder twice: every end has a twin, and may be its own other end.
  const std::vector<images::MemberEnds> members{{images->ends, {}, {}}, {images->ends, {}, {}}};
  const images::Pairing pairing = images::pair_ends(members);
  fuzz::expect(2 * pairing.internal.size() + pairing.external.size() + pairing.ambiguous.size() +
                       pairing.opening.size() + pairing.closed.size() ==
                   2 * images->ends.size(),
               "every end is in exactly one place");
  for (const images::EndPair& pair : pairing.internal) {
    (void)images::check_connection(members[pair.a.member].ends[pair.a.index],
                                   members[pair.b.member].ends[pair.b.index]);
  }
  (void)images::compare_with_record(Record{}, *images);
  (void)images::compare_with_labels(Record{}, images->ends);

  const images::ProcessImages saved = images::read_process_images(folder.path());
  cli::LiveTree live;
  for (const images::SavedProcess& process : saved.processes) {
    cli::LiveProcess& other = live.processes.emplace_back();
    other.own_pid = process.pid;
    other.limits = {{"Max open files", 1024, 4096}};
    for (const images::SavedFile& file : process.files) other.files[file.fd] = {file.name, 0};
  }
  live.clocks = cli::LiveClocks{};
  for (const cli::RestoreDifference& difference : cli::compare_restored(saved, live, std::chrono::seconds(1))) {
    fuzz::expect(!difference.text().empty(), "every difference has its words");
  }
  return 0;
}
