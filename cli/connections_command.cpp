#include "cli/connections_command.hpp"

#include <cstdio>
#include <filesystem>

#include "cli/connection_graph.hpp"
#include "cli/criu_process.hpp"
#include "cli/exit_code.hpp"
#include "cli/group_file.hpp"
#include "cli/images_archive.hpp"
#include "cli/member_driver.hpp"
#include "cli/report_json.hpp"

namespace lockstep::cli {
namespace {

/// The images that the user means: those named, or those of the members of a group file.
Result<ConnectionGraph> graph_of(const std::vector<std::string>& sources) {
  std::vector<std::string> folders;
  const bool are_images =
      sources.size() != 1 || std::filesystem::is_directory(sources.front()) || !compression_of(sources.front()).empty();
  if (are_images) {
    const auto opened = open_all_images(sources);
    if (!opened) return Failure(opened.error());
    for (const OpenedImages& each : *opened) folders.push_back(each.folder);
    return read_graph(folders);
  }
  const auto group = load_group_file(sources.front());
  if (!group) return Failure(group.error());
  std::vector<ReadyMember> members;  // they hold what is unpacked of archives
  for (const GroupMember& member : group->members) {
    auto found = driver_of(member).find_images(member);
    if (!found) return Failure(found.error());
    folders.push_back(found->images);
    members.push_back(std::move(*found));
  }
  return read_graph(folders);
}

}  // namespace

int run_connections_command(const ConnectionsOptions& options) {
  const auto held = hold_ending_signals();
  const auto graph = graph_of(options.sources);
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
