#include "agent/kernel/nft_answer.hpp"

#include "common/netlink_reader.hpp"

namespace lockstep {

NftAnswer parse_nft_answer(std::string_view datagram, std::uint32_t first_sequence, std::uint32_t last_sequence) {
  NftAnswer answer;
  const auto fail_once = [&answer](Error error) {
    if (!answer.error) answer.error = std::move(error);
  };
  while (const auto message = next_message(datagram)) {
    if (message->header.nlmsg_type != NLMSG_ERROR) continue;
    const auto ack = parse_ack(*message);
    if (!ack) break;
    // Unsigned distance, so that a batch across the numbers' wrap-around works too.
    const std::uint32_t index = message->header.nlmsg_seq - first_sequence;
    if (index > last_sequence - first_sequence) continue;
    if (ack->sys_errno != 0)
      fail_once({ErrorCode::system, ack->sys_errno, "message " + std::to_string(index) + " of the batch", ack->text});
    // The last message's answer comes last. One to the begin message means that there are no others.
    if (message->header.nlmsg_seq == last_sequence || (index == 0 && ack->sys_errno != 0)) answer.complete = true;
  }
  if (!datagram.empty()) {
    fail_once({ErrorCode::invalid, 0, "read nf_tables answer", "malformed message"});
    answer.complete = true;
  }
  return answer;
}

}  // namespace lockstep
