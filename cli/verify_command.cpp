#include "cli/verify_command.hpp"

#include <cstdio>

#include "cli/exit_code.hpp"
#include "cli/report_json.hpp"
#include "cli/verify_images.hpp"
#include "cli/verify_report.hpp"

namespace lockstep::cli {

int run_verify_command(const VerifyOptions& options) {
  const auto summary = verify_images(options.images);
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
