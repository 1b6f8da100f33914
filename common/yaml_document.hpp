/// One YAML document out of bytes that nobody vouches for. Only config.cpp includes this: no yaml-cpp type goes
/// further.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>

#include "common/result.hpp"

namespace lockstep {

/// The deepest nesting that is read. yaml-cpp recurses for each level, when it parses and when it frees.
inline constexpr std::size_t kMaxYamlDepth = 32;
/// The most values and keys. What an alias stands for counts each time, so that a short text can't become a long one.
inline constexpr std::size_t kMaxYamlNodes = 100'000;

/// The document; null where there is none. invalid, with the line where one is known: no YAML, more than one document,
/// beyond the limits, or an alias inside of what it names.
[[nodiscard]] Result<YAML::Node> load_yaml_document(const std::string& yaml, const std::string& name);

}  // namespace lockstep
