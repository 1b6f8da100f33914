#include "cli/connections_command.hpp"

#include <cstdio>
#include <filesystem>

#include "cli/connection_graph.hpp"
#include "cli/exit_code.hpp"
#include "cli/group_file.hpp"
#include "cli/report_json.hpp"

namespace lockstep::cli {
namespace {

/// The images folders that the user means: those named, or those of the members of a group file.
Result<std::vector<std::string>> folders_of(const std::vector<std::string>& sources) {
  if (sources.size() != 1 || std::filesystem::is_directory(sources.front())) return sources;
  const auto group = load_group_file(sources.front());
  if (!group) return Failure(group.error());
  std::vector<std::string> folders;
  for (const GroupMember& member : group->members) folders.push_back(member.images);
  return folders;
}

}  // namespace

int run_connections_command(const ConnectionsOptions& options) {
  const auto folders = folders_of(options.sources);
  const auto graph = folders ? read_graph(*folders) : Result<ConnectionGraph>(Failure(folders.error()));
  if (!graph) {
    std::fprintf(stderr, "lockstep: %s\n", graph.error().message().c_str());
    if (options.format == GraphFormat::json) std::fputs(error_json(graph.error(), kUsage).c_str(), stdout);
    return kUsage;
  }
  switch (options.format) {
    case GraphFormat::text: std::fputs(graph_text(*graph).c_str(), stdout); break;
    case GraphFormat::json: std::fputs(graph_json(*graph).c_str(), stdout); break;
    case GraphFormat::dot: std::fputs(graph_dot(*graph).c_str(), stdout); break;
  }
  return kDone;
}

}  // namespace lockstep::cli
