/// A root folder for containers, made of programs of this machine and the libraries that they need: an image without a
/// registry.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lockstep::e2e {

/// Copies each program to /usr/bin in `root`, and whatever ldd names to where it is here.
void make_root_folder(const std::filesystem::path& root, const std::vector<std::string>& programs);

}  // namespace lockstep::e2e
