/// Preloaded into the tests' CRIU: without CAP_SYS_RESOURCE the kernel does not tell the limits of another user's
/// process (a server that has dropped root) through prlimit64(); /proc tells them. Only the C library is used, since
/// CRIU may bring its own libraries.
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

rlim64_t limit_of(const char* text) {
  while (*text == ' ') ++text;
  return *text == 'u' ? RLIM64_INFINITY : strtoull(text, nullptr, 10);  // "unlimited"
}

/// The lines after the first one stand in the order of the resources' numbers, their columns in fixed places.
bool read_from_proc(pid_t pid, unsigned resource, rlimit64* limit) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/limits", pid);
  FILE* file = fopen(path, "re");
  if (file == nullptr) return false;
  char line[256];
  bool found = true;
  for (unsigned number = 0; found && number <= resource + 1; ++number)
    found = fgets(line, sizeof line, file) != nullptr;
  fclose(file);
  if (!found || strlen(line) < 48) return false;
  *limit = {limit_of(line + 26), limit_of(line + 47)};
  return true;
}

}  // namespace

/// CRIU has no other way to it.
extern "C" long syscall(long number, ...) noexcept {
  using Syscall = long (*)(long, ...);
  static const auto next = reinterpret_cast<Syscall>(dlsym(RTLD_NEXT, "syscall"));
  va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  const long result = next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  const bool reads = number == SYS_prlimit64 && arguments[2] == 0 && arguments[3] != 0;
  if (!reads || result == 0 || errno != EPERM) return result;
  auto* limit = reinterpret_cast<rlimit64*>(arguments[3]);
  if (read_from_proc(static_cast<pid_t>(arguments[0]), static_cast<unsigned>(arguments[1]), limit)) return 0;
  errno = EPERM;
  return -1;
}
