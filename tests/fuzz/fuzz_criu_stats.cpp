// CRIU's statistics image: parse_criu_stats().
#include "cli/criu_stats.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  (void)cli::parse_criu_stats(fuzz::view_of(data, size));
  return 0;
}
