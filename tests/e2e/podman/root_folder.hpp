/// A root folder for containers, made of files of this machine: an image without a registry.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lockstep::e2e {

/// Copies each file and folder to the same place in `root`, and of programs and shared objects also the libraries that
/// ldd names.
void make_root_folder(const std::filesystem::path& root, const std::vector<std::string>& contents);

}  // namespace lockstep::e2e
