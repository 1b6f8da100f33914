#include "common/frame_stream.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <utility>

#include "common/fd.hpp"

namespace lockstep {
namespace {

using std::string_literals::operator""s;

std::pair<Fd, Fd> socket_pair() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

TEST(FrameReader, CutsAStreamIntoFrames) {
  FrameReader reader(100);
  std::vector<std::string> frames;
  ASSERT_TRUE(reader.feed("\0\0\0\3abc\0\0\0\1x"s, frames));
  EXPECT_EQ(frames, (std::vector<std::string>{"abc", "x"}));
  EXPECT_FALSE(reader.mid_frame());
}

TEST(FrameReader, WaitsForTheRestHoweverItIsCut) {
  FrameReader reader(100);
  std::vector<std::string> frames;
  const std::string stream = "\0\0\0\3abc\0\0\0\2de"s;
  for (const char byte : stream) ASSERT_TRUE(reader.feed({&byte, 1}, frames));
  EXPECT_EQ(frames, (std::vector<std::string>{"abc", "de"}));
}

TEST(FrameReader, TellsThatAFrameHasBegun) {
  FrameReader reader(100);
  std::vector<std::string> frames;
  ASSERT_TRUE(reader.feed("\0"s, frames));
  EXPECT_TRUE(reader.mid_frame());
  ASSERT_TRUE(reader.feed("\0\0\3ab"s, frames));
  EXPECT_TRUE(reader.mid_frame());
  EXPECT_TRUE(frames.empty());
}

TEST(FrameReader, RefusesEmptyAndOversizedFramesByTheHeaderAlone) {
  for (const std::string& header : {"\0\0\0\0"s, "\0\0\0\x65"s, "\xff\xff\xff\xff"s}) {
    FrameReader reader(100);
    std::vector<std::string> frames;
    const auto fed = reader.feed(header, frames);
    ASSERT_FALSE(fed);
    EXPECT_EQ(fed.error().code, ErrorCode::invalid);
  }
}

TEST(FrameReader, TakesTheLargestFrame) {
  FrameReader reader(100);
  std::vector<std::string> frames;
  ASSERT_TRUE(reader.feed("\0\0\0\x64"s + std::string(100, 'a'), frames));
  EXPECT_EQ(frames, (std::vector<std::string>{std::string(100, 'a')}));
}

TEST(FrameReader, ReturnsAtOnceFromABlockingSocketThatIsEmpty) {
  const auto [ours, theirs] = socket_pair();
  FrameReader reader(100);
  const auto batch = reader.read_available(ours.get());
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->frames.empty());
  EXPECT_FALSE(batch->closed);
}

TEST(FrameReader, TellsTheEndAndWhatCameBeforeIt) {
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(write_frame(theirs.get(), "last words", Clock::now() + seconds(1)));
  theirs.reset();
  FrameReader reader(100);
  auto batch = reader.read_available(ours.get());
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->frames, std::vector<std::string>{"last words"});
  if (!batch->closed) batch = reader.read_available(ours.get());
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->closed);
}

TEST(FrameReader, TakesAResetForTheEnd) {
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(write_frame(ours.get(), "never read", Clock::now() + seconds(1)));
  theirs.reset();
  FrameReader reader(100);
  const auto batch = reader.read_available(ours.get());
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->closed);
}

TEST(FrameReader, TakesABoundedShareOfWhatAPeerSends) {
  auto [ours, theirs] = socket_pair();
  const std::string frame(60'000, 'x');
  std::thread sender([&, end = std::move(theirs)] {
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(write_frame(end.get(), frame, Clock::now() + seconds(10)));
  });
  FrameReader reader(frame.size());
  std::size_t received = 0;
  for (bool closed = false; !closed;) {
    pollfd entry{ours.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, 10'000), 1);
    const auto batch = reader.read_available(ours.get());
    ASSERT_TRUE(batch);
    EXPECT_LE(batch->frames.size() * frame.size(), kMaxReadAtOnce + 2 * frame.size());
    received += batch->frames.size();
    closed = batch->closed;
  }
  EXPECT_EQ(received, 100U);
  sender.join();
}

TEST(FrameWriter, KeepsWhatTheSocketDoesNotTakeAndSendsItLater) {
  const auto [ours, theirs] = socket_pair();
  FrameWriter writer(std::size_t{8} << 20);
  const std::string frame(std::size_t{3} << 20, 'y');
  ASSERT_TRUE(writer.queue(frame));
  ASSERT_TRUE(writer.flush(ours.get()));
  EXPECT_GT(writer.pending(), 0U);
  ASSERT_TRUE(writer.queue("tail"));
  FrameReader reader(frame.size());
  std::vector<std::string> frames;
  while (frames.size() < 2) {
    auto batch = reader.read_available(theirs.get());
    ASSERT_TRUE(batch);
    frames.insert(frames.end(), batch->frames.begin(), batch->frames.end());
    ASSERT_TRUE(writer.flush(ours.get()));
  }
  EXPECT_EQ(writer.pending(), 0U);
  EXPECT_EQ(frames[0], frame);
  EXPECT_EQ(frames[1], "tail");
}

TEST(FrameWriter, RefusesWhatDoesNotFitAndKeepsTheRestWhole) {
  FrameWriter writer(20);
  ASSERT_TRUE(writer.queue("0123456789"));
  const auto refused = writer.queue("0123456789");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::refused);
  EXPECT_EQ(writer.pending(), 14U);
}

TEST(FrameWriter, TellsThatThePeerIsGone) {
  auto [ours, theirs] = socket_pair();
  theirs.reset();
  FrameWriter writer(100);
  ASSERT_TRUE(writer.queue("hello"));
  const auto flushed = writer.flush(ours.get());
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, ErrorCode::unavailable);
}

TEST(WriteFrame, SendsLargeFramesToASlowReader) {
  auto [ours, theirs] = socket_pair();
  const std::string frame(std::size_t{4} << 20, 'z');
  std::thread sender(
      [&, end = std::move(theirs)] { EXPECT_TRUE(write_frame(end.get(), frame, Clock::now() + seconds(10))); });
  FrameReader reader(frame.size());
  std::vector<std::string> frames;
  while (frames.empty()) {
    pollfd entry{ours.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, 10'000), 1);
    auto batch = reader.read_available(ours.get());
    ASSERT_TRUE(batch);
    frames = std::move(batch->frames);
  }
  EXPECT_EQ(frames.front(), frame);
  sender.join();
}

TEST(WriteFrame, GivesUpAtTheDeadline) {
  const auto [ours, theirs] = socket_pair();
  const std::string frame(std::size_t{4} << 20, 'z');
  const auto sent = write_frame(ours.get(), frame, Clock::now() + milliseconds(20));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::timeout);
}

TEST(WriteFrame, RefusesAnEmptyFrame) {
  const auto [ours, theirs] = socket_pair();
  const auto sent = write_frame(ours.get(), "", Clock::now() + seconds(1));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::invalid);
}

TEST(PeerCredentials, NamesTheProcessAtTheOtherEnd) {
  const auto [ours, theirs] = socket_pair();
  const auto peer = peer_credentials(ours.get());
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->uid, ::geteuid());
  EXPECT_EQ(peer->gid, ::getegid());
}

}  // namespace
}  // namespace lockstep
