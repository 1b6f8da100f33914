/// `lockstep verify`: the proof, offline, that a round's images are one consistent cut.
#pragma once

#include <string>
#include <vector>

namespace lockstep::cli {

struct VerifyOptions {
  std::vector<std::string> images;  ///< each member's images folder, or archive
  bool json = false;
  bool quiet = false;  ///< text: the result's line alone
};

/// kDone when every internal connection fits and nothing is damaged, mixed or missing, else kFailed; kUsage when a
/// folder can't be opened.
[[nodiscard]] int run_verify_command(const VerifyOptions& options);

}  // namespace lockstep::cli
