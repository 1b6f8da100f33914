/// The configuration that a container's runtime hands to CRIU: whether the hook would run is seen before anything is
/// frozen, where it would otherwise show by a round that runs into its deadline.
#pragma once

#include <optional>
#include <string>

#include "cli/podman_command.hpp"

namespace lockstep::cli {

/// The file that every CRIU reads, whoever starts it.
[[nodiscard]] std::string criu_default_config(const std::string& root = {});

/// What a runtime's CRIU reads.
struct CriuConfigFiles {
  std::string path;  ///< the runtime's own, or that which it takes instead; where `lockstep setup` would write
  bool there = false;
  std::string text;  ///< of all files
};
[[nodiscard]] CriuConfigFiles criu_config_files(const std::string& runtime, const std::string& root = {});

struct RuntimeTrouble {
  std::string what;
  std::string remedy;
};

/// What would keep CRIU from running the hook for this container; nothing where all is well, or where its runtime is
/// none that this program knows. `root`: for tests; empty: this machine's.
[[nodiscard]] std::optional<RuntimeTrouble> runtime_trouble(const ContainerRuntime& container,
                                                            const std::string& root = {});

}  // namespace lockstep::cli
