// Records in images folders: decode_record(). The first byte says whether the input is the whole file, or a body that
// gets the right header: no fuzzer finds a checksum.
#include <zlib.h>

#include "schemas/codec.hpp"
#include "tests/fuzz/input.hpp"

namespace {

std::string with_header(std::string_view body) {
  // The magic word and the version are those of an empty record; the length and the checksum follow.
  std::string file = lockstep::encode_record({}).substr(0, 17);
  const auto checksum =
      static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size()));
  for (const std::uint32_t number : {static_cast<std::uint32_t>(body.size()), checksum}) {
    for (const int shift : {24, 16, 8, 0}) file.push_back(static_cast<char>(number >> shift));
  }
  return file.append(body);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  fuzz::Pieces input(fuzz::view_of(data, size));
  const bool whole_file = input.byte() == 0;
  const fuzz::Copy file(whole_file ? std::string(input.rest()) : with_header(input.rest()));
  const auto record = decode_record(file.view());
  if (!record) return 0;
  const std::string written = encode_record(*record);
  const auto again = decode_record(written);
  fuzz::expect(again.has_value(), "what has been read can be written and read");
  fuzz::expect(encode_record(*again) == written, "it is the same then");
  return 0;
}
