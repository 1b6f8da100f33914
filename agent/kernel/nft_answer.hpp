/// The kernel's answers to a batch of nf_tables messages. Pure: reads bytes, safe on any.
///
/// Every message that fails has an answer of its own, in order; the last one, which asks for it, always has one, and it
/// comes after all others. A batch that is refused as a whole is answered to its begin message.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/result.hpp"

namespace lockstep {

/// What one datagram tells about a batch.
struct NftAnswer {
  bool complete = false;       ///< the answer to the last message is in it, or the batch was refused as a whole
  std::optional<Error> error;  ///< the first one
};

/// Reads one datagram of the kernel's. Answers to other batches are passed over; malformed input is an error.
[[nodiscard]] NftAnswer parse_nft_answer(std::string_view datagram, std::uint32_t first_sequence,
                                         std::uint32_t last_sequence);

}  // namespace lockstep
