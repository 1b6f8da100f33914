#include "cli/verify_command.hpp"

#include <cstdio>

#include "cli/criu_process.hpp"
#include "cli/exit_code.hpp"
#include "cli/images_archive.hpp"
#include "cli/report_json.hpp"
#include "cli/verify_images.hpp"
#include "cli/verify_report.hpp"

namespace lockstep::cli {

namespace {

/// What is unpacked of an archive has a name that tells the user nothing.
void call_it(const std::string& folder, const std::string& name, std::string& text) {
  for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder, at + name.size())) {
    text.replace(at, folder.size(), name);
  }
}

Result<CutSummary> verify(const std::vector<std::string>& images) {
  const auto opened = open_all_images(images);
  if (!opened) return Failure(opened.error());
  std::vector<std::string> folders;
  for (const OpenedImages& each : *opened) folders.push_back(each.folder);
  auto summary = verify_images(folders);
  for (std::size_t i = 0; summary && i < images.size(); ++i) {
    summary->members[i].images = images[i];
    if (folders[i] == images[i]) continue;
    for (std::string& line : summary->problems) call_it(folders[i], images[i], line);
    for (std::string& line : summary->remarks) call_it(folders[i], images[i], line);
  }
  return summary;
}

}  // namespace

int run_verify_command(const VerifyOptions& options) {
  const auto held = hold_ending_signals();
  const auto summary = verify(options.images);
  if (!summary) {
    std::fprintf(stderr, "lockstep: %s\n", summary.error().message().c_str());
    if (options.json) std::fputs(error_json(summary.error(), kUsage).c_str(), stdout);
    return kUsage;
  }
  const ExitCode code = summary->consistent() ? kDone : kFailed;
  const std::string text =
      options.json ? cut_json(*summary, code) : (options.quiet ? cut_line(*summary) + "\n" : cut_text(*summary));
  std::fputs(text.c_str(), stdout);
  return code;
}

}  // namespace lockstep::cli
