/// What every operation that can fail returns: a value or an Error, never ignored.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace lockstep {

/// The kinds of failure that callers tell apart. Everything finer is in the text.
enum class ErrorCode {
  invalid,      ///< input of a user or a peer that does not make sense
  not_found,    ///< a thing that was named does not exist
  conflict,     ///< the thing exists, and is in the way
  refused,      ///< somebody who may say no has said no
  timeout,      ///< a bounded wait has ended
  unavailable,  ///< a peer or a service can't be reached
  system,       ///< a system call failed; see `sys_errno`
};

/// A failure: what was tried, on what, and why it did not work.
struct Error {
  ErrorCode code = ErrorCode::system;
  int sys_errno = 0;      ///< errno of the call, 0 where none is involved
  std::string operation;  ///< what was tried, with its arguments: "open /run/x"
  std::string detail;     ///< why, and what to do; may be empty

  /// One line for a person: "open /run/x: Permission denied (run as root)".
  [[nodiscard]] std::string message() const {
    std::string text = operation;
    if (sys_errno != 0) text += std::string(": ") + std::strerror(sys_errno);
    if (!detail.empty()) text += text.empty() ? detail : ": " + detail;
    return text;
  }
};

/// A T or an Error. The class attribute makes the compiler reject a result that nobody looks at.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Failure = tl::unexpected<Error>;

inline Failure fail(ErrorCode code, std::string operation, std::string detail = {}) {
  return Failure(Error{code, 0, std::move(operation), std::move(detail)});
}

/// A failed system call; reads errno, so call it at once.
inline Failure fail_errno(std::string operation, std::string detail = {}) {
  const int saved = errno;
  return Failure(Error{ErrorCode::system, saved, std::move(operation), std::move(detail)});
}

/// Hands an inner error on, with the outer operation in front of it.
inline Failure fail_from(const Error& inner, std::string_view operation) {
  Error outer = inner;
  outer.operation = std::string(operation) + ": " + inner.operation;
  return Failure(std::move(outer));
}

}  // namespace lockstep
