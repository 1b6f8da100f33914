// Frames of the unix socket: FrameReader. The pieces of the input are what single reads bring; however a stream is cut,
// its frames are the same.
#include "common/frame_stream.hpp"
#include "schemas/codec.hpp"
#include "tests/fuzz/input.hpp"

namespace {

constexpr std::size_t kSmallLimit = 1000;  // both sides of it are to be reached

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  fuzz::Pieces input(fuzz::view_of(data, size));
  const std::size_t limit = input.byte() % 2 == 0 ? kMaxFrame : kSmallLimit;
  FrameReader in_pieces(limit);
  std::vector<std::string> frames;
  std::string stream;
  bool good = true;
  while (good && !input.empty()) {
    const std::string_view piece = input.piece();
    stream.append(piece);
    good = in_pieces.feed(piece, frames).has_value();
  }
  FrameReader at_once(limit);
  std::vector<std::string> same;
  const bool same_good = at_once.feed(stream, same).has_value();
  fuzz::expect(good == same_good, "a stream is good or bad however it is cut");
  fuzz::expect(frames == same, "so are its frames");
  if (good) fuzz::expect(in_pieces.mid_frame() == at_once.mid_frame(), "so is its end");
  std::size_t taken = 0;
  for (const std::string& frame : frames) {
    fuzz::expect(!frame.empty() && frame.size() <= limit, "a frame keeps to the limit");
    taken += frame.size() + kFrameHeader;
  }
  fuzz::expect(taken <= stream.size(), "frames hold what has come");
  return 0;
}
