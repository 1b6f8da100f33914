/// Files, folders and sockets that only root, or whoever we are, may have put there. A name in a folder that others can
/// write to says nothing about who made it.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/result.hpp"

namespace lockstep {

/// Root and ourselves: the users whose files are taken for what they say.
[[nodiscard]] bool is_trusted_user(uid_t user);

/// An open regular file: its owner is trusted, and others can't write to it; with `secret` they can't read it either.
[[nodiscard]] Result<void> check_file(int fd, const std::string& path, bool secret);
/// A folder: its owner is trusted, and others can't write to it. not_found when there is none.
[[nodiscard]] Result<void> check_folder(const std::string& path);
/// A unix socket that is to be connected to: itself, if it is there, or else the folder in which it will be made. A
/// path whose folder does not exist passes: there is nothing to connect to.
[[nodiscard]] Result<void> check_socket(const std::string& path);

}  // namespace lockstep
