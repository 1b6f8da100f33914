/// The most memory that a program has had in it, by itself.
#pragma once

#include "tests/bench/child.hpp"

namespace lockstep::bench {

/// Runs the command once under ptrace, and reads VmHWM in the moment before its memory goes. wait4() can't tell that:
/// its ru_maxrss counts what the process was before exec() as well, which is this process (exec_mmap() in fs/exec.c).
/// Throws when the program does not end with 0.
[[nodiscard]] long peak_memory_kib(Command& command);

}  // namespace lockstep::bench
