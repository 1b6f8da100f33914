#include "cli/machine/setup_command.hpp"

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/files.hpp"
#include "cli/machine/criu_config.hpp"
#include "cli/report_json.hpp"
#include "cli/runtime_config.hpp"
#include "cli/tools_check.hpp"

namespace lockstep::cli {
namespace {

constexpr std::size_t kLargestConfig = 1024 * 1024;

/// What is to be done with one file.
struct Edit {
  SetupResult result;
  std::string before;
  std::string after;
  bool was_there = false;
};

Result<void> refuse_hook_in(const std::string& path, const std::string& text) {
  if (hooks_in(read_criu_config(text)).empty()) return {};
  return fail(ErrorCode::conflict, path,
              "has a line of its own that runs lockstep-hook; remove it, or each hook would be called twice");
}

Result<Edit> plan(const std::string& runtime, const SetupOptions& options, const std::string& hook) {
  Edit edit{{runtime, criu_config_of(runtime, options.root), "unchanged"}, {}, {}, false};
  const auto text = read_file(edit.result.path, kLargestConfig);
  if (!text && text.error().code != ErrorCode::not_found) return Failure(text.error());
  if (text) edit.before = *text;
  edit.was_there = text.has_value();
  const std::string rest = without_block(edit.before);
  edit.after = options.undo ? rest : with_block(edit.before, hook);
  if (!options.undo) {
    const std::string for_all = criu_default_config(options.root);  // every CRIU reads it
    const auto all = read_file(for_all, kLargestConfig);
    if (auto alone = refuse_hook_in(edit.result.path, rest); !alone) return Failure(alone.error());
    if (auto alone = refuse_hook_in(for_all, all.value_or("")); !alone) return Failure(alone.error());
  }
  if (edit.after != edit.before) edit.result.change = options.undo ? "removed" : "written";
  return edit;
}

Result<void> perform(const Edit& edit) {
  if (edit.after == edit.before) return {};
  // A file that held nothing but our block was ours.
  if (edit.after.empty()) return remove_file(edit.result.path);
  std::error_code error;
  const auto folder = std::filesystem::path(edit.result.path).parent_path();
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorCode::system, "create " + folder.string(), error.message());
  return replace_file(edit.result.path, edit.after);
}

/// Puts back what was there before perform().
Result<void> take_back(const Edit& edit) {
  if (edit.after == edit.before) return {};
  return edit.was_there ? replace_file(edit.result.path, edit.before) : remove_file(edit.result.path);
}

int report_failure(const Error& error, bool json) {
  std::fprintf(stderr, "lockstep: %s\n", error.message().c_str());
  if (json) std::fputs(error_json(error, kUsage).c_str(), stdout);
  return kUsage;
}

}  // namespace

std::string criu_config_of(std::string_view runtime, const std::string& root) {
  return root + "/etc/criu/" + std::string(runtime) + ".conf";
}

Result<std::vector<SetupResult>> setup_files(const SetupOptions& options, const std::string& hook) {
  std::vector<Edit> edits;
  for (const std::string runtime : {"runc", "crun"}) {
    if (options.runtime != "all" && options.runtime != runtime) continue;
    auto edit = plan(runtime, options, hook);
    if (!edit) return Failure(edit.error());
    edits.push_back(std::move(*edit));
  }
  std::vector<SetupResult> results;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    auto done = perform(edits[i]);
    if (done) {
      results.push_back(edits[i].result);
      continue;
    }
    // All or nothing: one runtime with the hook and the other without it would be found out by a failed round.
    Error error = done.error();
    while (i-- > 0) {
      const auto back = take_back(edits[i]);
      if (!back) error.detail += " (and " + edits[i].result.path + " stays changed: " + back.error().message() + ")";
    }
    return Failure(std::move(error));
  }
  return results;
}

int run_setup_command(const SetupOptions& options) {
  GroupFile group;
  group.path = "the command line";
  group.hook = options.hook.empty() ? "" : std::filesystem::absolute(options.hook).string();
  const auto hook = options.undo ? Result<std::string>(std::string()) : find_hook(group);
  if (!hook) return report_failure(hook.error(), options.json);
  const auto results = setup_files(options, *hook);
  if (!results) return report_failure(results.error(), options.json);
  if (options.json) {
    auto files = nlohmann::ordered_json::array();
    for (const SetupResult& each : *results) {
      files.push_back({{"runtime", each.runtime}, {"path", each.path}, {"change", each.change}});
    }
    const nlohmann::ordered_json json{{"hook", *hook}, {"files", files}, {"exit_code", int{kDone}}};
    std::puts(json.dump(2).c_str());
    return kDone;
  }
  for (const SetupResult& each : *results) std::printf("%s: %s\n", each.path.c_str(), each.change.c_str());
  return kDone;
}

}  // namespace lockstep::cli
