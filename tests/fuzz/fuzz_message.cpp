// Messages from peers: decode(). What is taken must come out the same again when it is sent on.
#include "schemas/codec.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  const auto message = decode(fuzz::view_of(data, size));
  if (!message) return 0;
  const std::string sent = encode(*message);
  const auto again = decode(sent);
  fuzz::expect(again.has_value(), "what has been decoded can be encoded and decoded");
  fuzz::expect(encode(*again) == sent, "it is the same then");
  (void)type_name(message->body);
  return 0;
}
