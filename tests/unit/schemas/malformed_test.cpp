/// Bytes that are no message of ours are refused, or at least harmless.
#include <gtest/gtest.h>

#include "tests/unit/schemas/msgpack_edit.hpp"
#include "tests/unit/schemas/samples.hpp"

namespace lockstep {
namespace {

using test::array_of;
using test::elements_of;
using test::packed;
using test::with_field;
using test::with_part;

class Malformed : public ::testing::TestWithParam<Message> {};

std::string name_of(const ::testing::TestParamInfo<Message>& info) { return std::string(type_name(info.param.body)); }

INSTANTIATE_TEST_SUITE_P(Types, Malformed, ::testing::ValuesIn(test::every_message()), name_of);

TEST_P(Malformed, TruncatedAtAnyByteIsRefused) {
  const std::string bytes = encode(GetParam());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode(std::string_view(bytes).substr(0, size))) << size << " of " << bytes.size() << " bytes";
  }
}

TEST_P(Malformed, AnyByteChangedIsRefusedOrAnotherValidMessage) {
  const std::string bytes = encode(GetParam());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int flip = 1; flip < 256; ++flip) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      const auto message = decode(changed);
      if (!message) continue;
      EXPECT_TRUE(decode(encode(*message))) << "byte " << at << " xor " << flip;
    }
  }
}

TEST_P(Malformed, BytesBehindTheMessageAreRefused) {
  EXPECT_FALSE(decode(encode(GetParam()) + '\xc0'));
  EXPECT_FALSE(decode(encode(GetParam()) + encode(GetParam())));
}

TEST_P(Malformed, FieldsThatALaterVersionMayAddAreIgnored) {
  const std::string later = packed([](auto& out) { out.pack(std::vector<std::string>{"new", "field"}); });
  auto parts = elements_of(encode(GetParam()));
  auto fields = elements_of(parts[test::kBodyPart]);
  fields.push_back(later);
  parts[test::kBodyPart] = array_of(fields);
  parts.push_back(later);
  const auto message = decode(array_of(parts));
  ASSERT_TRUE(message) << message.error().message();
  EXPECT_EQ(encode(*message), encode(GetParam()));
}

TEST_P(Malformed, AMissingFieldIsRefused) {
  auto fields = elements_of(elements_of(encode(GetParam()))[test::kBodyPart]);
  if (fields.empty()) return;
  fields.pop_back();
  EXPECT_FALSE(decode(with_part(GetParam(), test::kBodyPart, array_of(fields))));
}

TEST_P(Malformed, AFieldOfAnotherKindIsRefused) {
  const auto fields = elements_of(elements_of(encode(GetParam()))[test::kBodyPart]);
  for (std::size_t at = 0; at < fields.size(); ++at) {
    EXPECT_FALSE(decode(with_field(GetParam(), at, packed([](auto& out) { out.pack(1.5); })))) << at;
    EXPECT_FALSE(decode(with_field(GetParam(), at, packed([](auto& out) { out.pack_nil(); })))) << at;
    EXPECT_FALSE(decode(with_field(GetParam(), at, packed([](auto& out) { out.pack_map(0); })))) << at;
  }
}

Message any() { return {RoundId("r"), GroupId("g"), MemberId("m"), 1, Heartbeat{}}; }

TEST(Envelope, OfAnotherVersionIsRefusedByName) {
  for (const std::uint64_t version : {0ULL, 1ULL, 3ULL, 255ULL, 1ULL << 40}) {
    const auto message = decode(with_part(any(), test::kVersionPart, packed([&](auto& out) { out.pack(version); })));
    ASSERT_FALSE(message) << version;
    if (version != 0) {
      EXPECT_NE(message.error().message().find("protocol version " + std::to_string(version)), std::string::npos);
    }
  }
}

TEST(Envelope, OfAnUnknownTypeIsRefused) {
  for (const std::uint64_t type : {std::uint64_t{std::variant_size_v<Body>}, std::uint64_t{99}, ~std::uint64_t{0}}) {
    EXPECT_FALSE(decode(with_part(any(), test::kTypePart, packed([&](auto& out) { out.pack(type); })))) << type;
  }
}

TEST(Envelope, WithANegativeNumberIsRefused) {
  for (const std::size_t part : {test::kVersionPart, test::kTypePart, test::kSequencePart}) {
    EXPECT_FALSE(decode(with_part(any(), part, packed([](auto& out) { out.pack(-1); })))) << part;
  }
}

TEST(Envelope, ThatIsNoArrayOfSevenIsRefused) {
  for (const std::string& bytes : {std::string(), std::string("\x00", 1), std::string("\xc1"), std::string("\x90"),
                                   packed([](auto& out) { out.pack("hello"); }), packed([](auto& out) { out.pack_map(0); }),
                                   std::string("GET / HTTP/1.1\r\n\r\n"), std::string(1000, '\xff')}) {
    EXPECT_FALSE(decode(bytes));
  }
  for (std::size_t size = 0; size < 7; ++size) {
    auto parts = elements_of(encode(any()));
    parts.resize(size);
    EXPECT_FALSE(decode(array_of(parts))) << size;
  }
}

TEST(Names, ThatAreNotNamesAreRefused) {
  for (const std::string& name : {std::string("a b"), std::string("../x"), std::string(".hidden"), std::string("a/b"),
                                  std::string("a\0b", 3), std::string("a\n"), std::string("\xc3\xa4"), std::string(65, 'a')}) {
    const std::string bytes = packed([&](auto& out) { out.pack(name); });
    for (std::size_t part = test::kRoundPart; part <= test::kMemberPart; ++part) {
      EXPECT_FALSE(decode(with_part(any(), part, bytes))) << name;
    }
  }
  EXPECT_TRUE(decode(with_part(any(), test::kMemberPart, packed([](auto& out) { out.pack(std::string(64, 'a')); }))));
}

TEST(Enums, OutOfRangeAreRefused) {
  struct Row {
    Message message;
    std::size_t field;
    std::uint64_t last;  ///< the largest value there is
  };
  const Message envelope = any();
  const auto with = [&](Body body) {
    Message message = envelope;
    message.body = std::move(body);
    return message;
  };
  for (const Row& row : {Row{with(Hello{}), 0, 2}, Row{with(HookEvent{}), 0, 6}, Row{with(HookGone{}), 0, 6},
                         Row{with(Order{}), 0, 4}, Row{with(Order{}), 1, 1}, Row{with(Release{}), 2, 1},
                         Row{with(Pending{}), 0, 4}, Row{with(Ready{}), 0, 4}, Row{with(OpenRound{}), 0, 1},
                         Row{with(RoundStatus{}), 2, 3}, Row{with(Answer{}), 0, 1}}) {
    const auto value = [](std::uint64_t number) { return packed([&](auto& out) { out.pack(number); }); };
    EXPECT_TRUE(decode(with_field(row.message, row.field, value(row.last)))) << type_name(row.message.body);
    EXPECT_FALSE(decode(with_field(row.message, row.field, value(row.last + 1)))) << type_name(row.message.body);
    EXPECT_FALSE(decode(with_field(row.message, row.field, value(256)))) << "must not wrap around";
  }
}

TEST(Sockets, OfNoFamilyOrStateAreRefused) {
  Message message = any();
  const auto with_socket = [&](auto change) {
    Socket socket = test::a_socket();
    change(socket);
    message.body = Ready{Phase::lock, true, {}, {}, {socket}};
    return encode(message);
  };
  EXPECT_TRUE(decode(with_socket([](Socket&) {})));
  for (const int family : {0, 1, 5, 7, 10}) {
    EXPECT_FALSE(decode(with_socket([&](Socket& socket) { socket.local.family = static_cast<IpFamily>(family); })));
  }
  for (const int state : {0, 13, 255}) {
    EXPECT_FALSE(decode(with_socket([&](Socket& socket) { socket.state = static_cast<TcpState>(state); })));
  }
}

}  // namespace
}  // namespace lockstep
