#include "tests/netns/lock_owners.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "common/fd.hpp"

namespace lockstep::testing {

LockOwner dead_owner(const std::string& agent) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe(ends.data()) != 0) throw std::runtime_error("pipe");
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  LockOwner owner = this_process(agent);
  owner.pid = ::fork();
  if (owner.pid == 0) {
    const LockOwner self = this_process({});
    (void)!::write(writer.get(), &self.start, sizeof self.start);
    ::_exit(0);
  }
  const bool told = ::read(reader.get(), &owner.start, sizeof owner.start) == static_cast<ssize_t>(sizeof owner.start);
  ::waitpid(owner.pid, nullptr, 0);
  if (!told) throw std::runtime_error("the process that was to end did not begin");
  return owner;
}

}  // namespace lockstep::testing
