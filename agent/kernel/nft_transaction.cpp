#include "agent/kernel/nft_transaction.hpp"

#include <array>

#include "agent/kernel/nft_answer.hpp"

namespace lockstep {
namespace {

/// A batch has at most a few dozen messages that can fail; one answer takes less than 1 KiB.
constexpr std::size_t kAnswerSize = 8192;

}  // namespace

Result<void> run_transaction(NetlinkSocket& socket, const NftBatch& batch, std::string_view operation) {
  socket.drain();
  if (auto sent = socket.send(batch.bytes); !sent) return fail_from(sent.error(), operation);
  std::optional<Error> first_error;
  std::array<char, kAnswerSize> buffer;
  for (bool complete = false; !complete;) {
    auto datagram = socket.receive(buffer);
    if (!datagram) return fail_from(datagram.error(), operation);
    NftAnswer answer = parse_nft_answer(*datagram, batch.first_sequence, batch.last_sequence);
    if (answer.error && !first_error) first_error = std::move(answer.error);
    complete = answer.complete;
  }
  if (first_error) return fail_from(*first_error, operation);
  return {};
}

}  // namespace lockstep
