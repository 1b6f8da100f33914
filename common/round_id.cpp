#include "common/round_id.hpp"

#include <sys/random.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>

namespace lockstep {

Result<RoundId> new_round_id() {
  std::uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) return fail_errno("getrandom");
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 64> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, "-%08x", random);
  return RoundId(text.data());
}

}  // namespace lockstep
