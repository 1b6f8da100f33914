/// `lockstep connections`: who is connected with whom in a finished round, as a table, as JSON, or as a picture.
#pragma once

#include <string>
#include <vector>

namespace lockstep::cli {

enum class GraphFormat { text, json, dot };

struct ConnectionsOptions {
  std::vector<std::string> sources;  ///< one group file, or images folders
  GraphFormat format = GraphFormat::text;
};

/// kDone, or kUsage when a file or a record can't be read.
[[nodiscard]] int run_connections_command(const ConnectionsOptions& options);

}  // namespace lockstep::cli
