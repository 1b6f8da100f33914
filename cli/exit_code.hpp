/// What `lockstep` tells the shell.
#pragma once

#include "common/result.hpp"

namespace lockstep::cli {

enum ExitCode : int {
  kDone = 0,         ///< committed and complete
  kFailed = 1,       ///< the round was aborted, or a member failed
  kUsage = 2,        ///< a mistake in the arguments, in a file, or on this machine: nothing was started
  kUnreachable = 3,  ///< the broker does not answer
};

/// The code for an error that ends a command before its round has begun.
[[nodiscard]] inline ExitCode exit_code_of(const Error& error) {
  if (error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout) return kUnreachable;
  return error.code == ErrorCode::refused ? kFailed : kUsage;
}

}  // namespace lockstep::cli
