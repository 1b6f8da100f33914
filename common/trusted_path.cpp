#include "common/trusted_path.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace lockstep {
namespace {

constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;

std::string octal(mode_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777));
  return text.data();
}

Failure not_trusted(const std::string& path, const std::string& why, const std::string& advice) {
  return fail(ErrorCode::refused, path, why + "; " + advice);
}

Failure foreign(const std::string& path, uid_t owner) {
  return not_trusted(path, "belongs to user " + std::to_string(owner), "it has to be root's, or this program's user's");
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

bool is_trusted_user(uid_t user) { return user == 0 || user == ::geteuid(); }

Result<void> check_file(int fd, const std::string& path, bool secret) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno("stat " + path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::invalid, path, "is no file");
  if (!is_trusted_user(status.st_uid)) return foreign(path, status.st_uid);
  if (secret && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return not_trusted(path, "holds a secret and has mode " + octal(status.st_mode),
                       "close it to others: chmod 600 " + path);
  }
  if ((status.st_mode & kOthersWrite) != 0) {
    return not_trusted(path, "can be written by others (mode " + octal(status.st_mode) + ")", "chmod go-w " + path);
  }
  return {};
}

Result<void> check_folder(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return fail(ErrorCode::not_found, "folder " + path, "there is none");
    return fail_errno("stat " + path);
  }
  if (!S_ISDIR(status.st_mode)) return fail(ErrorCode::invalid, path, "is no folder");
  if (!is_trusted_user(status.st_uid)) return foreign(path, status.st_uid);
  if ((status.st_mode & kOthersWrite) != 0) {
    return not_trusted(path, "others can write to this folder (mode " + octal(status.st_mode) + ")",
                       "chmod go-w " + path);
  }
  return {};
}

Result<void> check_socket(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) return fail(ErrorCode::refused, path, "is no socket; remove it");
    return is_trusted_user(status.st_uid) ? Result<void>() : Result<void>(foreign(path, status.st_uid));
  }
  if (errno != ENOENT && errno != ENOTDIR) return fail_errno("stat " + path);
  auto folder = check_folder(folder_of(path));
  if (!folder && (folder.error().code == ErrorCode::not_found || folder.error().sys_errno == ENOTDIR)) return {};
  return folder;
}

}  // namespace lockstep
