/// A disk that can be filled.
#pragma once

#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace lockstep::e2e {

/// A small file system over a folder, for as long as this object lives.
class SmallDisk {
 public:
  explicit SmallDisk(std::filesystem::path at, const std::string& size = "512k") : at_(std::move(at)) {
    std::filesystem::create_directories(at_);
    if (::mount("tmpfs", at_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) != 0) {
      throw std::runtime_error("mount " + at_.string());
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() { ::umount2(at_.c_str(), MNT_DETACH); }

  void fill() const {
    std::ofstream filler(at_ / "filler", std::ios::binary);
    while (filler << std::string(4096, 'x') << std::flush) continue;
  }
  void empty() const { std::filesystem::remove(at_ / "filler"); }

 private:
  std::filesystem::path at_;
};

}  // namespace lockstep::e2e
