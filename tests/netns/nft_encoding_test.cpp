/// agent/kernel/nft_encoding and nft_answer without a kernel: batches, and answers good, bad and cut short.
#include "agent/kernel/nft_encoding.hpp"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>

#include "agent/kernel/nft_answer.hpp"
#include "common/netlink_reader.hpp"

namespace lockstep::testing {
namespace {

std::string answer(std::uint32_t sequence, int error) {
  struct {
    nlmsghdr header;
    nlmsgerr body;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = NLMSG_ERROR;
  message.header.nlmsg_seq = sequence;
  message.header.nlmsg_flags = NLM_F_CAPPED;
  message.body.error = error;
  return {reinterpret_cast<const char*>(&message), sizeof message};
}

TEST(NftEncoding, ABatchIsWholeAndOnlyItsLastMessageAsksForAnAnswer) {
  const NftBatch batch = *encode_fill(7, ArmedSet::rearmed, seconds(30), "round=r since=1");
  EXPECT_EQ(batch.first_sequence, 7U);
  EXPECT_EQ(batch.last_sequence, 9U);
  std::string_view rest = batch.bytes;
  std::vector<NetlinkMessage> messages;
  while (const auto message = next_message(rest)) messages.push_back(*message);
  EXPECT_TRUE(rest.empty());
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages.front().header.nlmsg_type, NFNL_MSG_BATCH_BEGIN);
  EXPECT_EQ(messages.back().header.nlmsg_type, NFNL_MSG_BATCH_END);
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(messages[i].header.nlmsg_seq, 7 + i);
    EXPECT_EQ((messages[i].header.nlmsg_flags & NLM_F_ACK) != 0, i == 2);
  }
}

TEST(NftAnswers, AnAcknowledgementCompletes) {
  const NftAnswer result = parse_nft_answer(answer(9, 0), 7, 9);
  EXPECT_TRUE(result.complete);
  EXPECT_FALSE(result.error);
}

TEST(NftAnswers, AnErrorInTheMiddleIsNotHiddenByTheLastOnesAcknowledgement) {
  const NftAnswer result = parse_nft_answer(answer(8, -ENOENT) + answer(9, 0), 7, 9);
  EXPECT_TRUE(result.complete);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->sys_errno, ENOENT);
}

TEST(NftAnswers, ARefusedBatchHasOneAnswerToItsBeginning) {
  const NftAnswer result = parse_nft_answer(answer(7, -EPERM), 7, 9);
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.error->sys_errno, EPERM);
}

TEST(NftAnswers, OthersArePassedOverAlsoWhereTheNumbersWrap) {
  EXPECT_FALSE(parse_nft_answer(answer(6, -EPERM) + answer(10, 0), 7, 9).complete);
  EXPECT_TRUE(parse_nft_answer(answer(1, 0), 0xfffffffe, 1).complete);
  EXPECT_FALSE(parse_nft_answer(answer(2, 0), 0xfffffffe, 1).complete);
}

TEST(NftAnswers, CutShortAnywhereIsAnErrorOrNothing) {
  const std::string whole = answer(8, -ENOENT) + answer(9, 0);
  for (std::size_t length = 1; length < whole.size(); ++length) {
    const NftAnswer result = parse_nft_answer(std::string_view(whole).substr(0, length), 7, 9);
    // Half of it is one whole message; anything else ends in the middle of one.
    ASSERT_TRUE(result.error) << length;
    EXPECT_EQ(result.complete, length != whole.size() / 2) << length;
  }
  EXPECT_FALSE(parse_nft_answer({}, 7, 9).complete);
}

TEST(NftAnswers, TheKernelsWordsComeWithIt) {
  std::string bytes = answer(9, -EINVAL);
  nlattr attribute{};
  attribute.nla_type = NLMSGERR_ATTR_MSG;
  attribute.nla_len = sizeof attribute + 4;
  bytes.append(reinterpret_cast<const char*>(&attribute), sizeof attribute).append("no!\0", 4);
  nlmsghdr header = *read_front<nlmsghdr>(bytes);
  header.nlmsg_len = static_cast<std::uint32_t>(bytes.size());
  header.nlmsg_flags |= NLM_F_ACK_TLVS;
  std::memcpy(bytes.data(), &header, sizeof header);
  EXPECT_EQ(parse_nft_answer(bytes, 7, 9).error->detail, "no!");
}

}  // namespace
}  // namespace lockstep::testing
