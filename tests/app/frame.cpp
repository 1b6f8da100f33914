#include "tests/app/frame.hpp"

#include <cstring>

namespace lockstep::traffic {
namespace {

/// Spreads neighbouring numbers over all 64 bits.
std::uint64_t scramble(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x100000001b3U;
  return hash ^ (hash >> 32);
}

std::uint64_t mix_bytes(std::uint64_t hash, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + at, sizeof word);
    hash = mix(hash, word);
  }
  return hash;
}

std::uint64_t checksum_of(FrameHeader header, const std::byte* payload) {
  header.checksum = 0;
  return mix_bytes(mix_bytes(0xcbf29ce484222325U, &header, sizeof header), payload, header.length);
}

std::uint32_t direction_of(Side sender) { return sender == Side::server ? kFromServer : 0; }

}  // namespace

void append_frame(std::vector<std::byte>& out, std::uint32_t connection, std::uint64_t sequence, std::uint32_t flags) {
  std::uint64_t seed = scramble((std::uint64_t{connection} << 32 | flags) ^ scramble(sequence));
  FrameHeader header{.magic = kMagic,
                     .connection = connection,
                     .sequence = sequence,
                     .length = static_cast<std::uint32_t>(seed % (kMaxPayload / 8 + 1)) * 8,
                     .flags = flags,
                     .checksum = 0};
  const std::size_t start = out.size();
  out.resize(start + sizeof header + header.length);
  std::byte* payload = out.data() + start + sizeof header;
  for (std::size_t at = 0; at < header.length; at += sizeof seed) {
    seed = scramble(seed);
    std::memcpy(payload + at, &seed, sizeof seed);
  }
  header.checksum = checksum_of(header, payload);
  std::memcpy(out.data() + start, &header, sizeof header);
}

std::span<std::byte> StreamVerifier::space() { return std::span(buffer_).subspan(filled_); }

std::size_t StreamVerifier::commit(std::size_t size) {
  filled_ += size;
  std::size_t at = 0;
  std::size_t frames = 0;
  while (framed_ && filled_ - at >= sizeof(FrameHeader)) {
    FrameHeader header;
    std::memcpy(&header, buffer_.data() + at, sizeof header);
    if (header.magic != kMagic || header.length > kMaxPayload || header.length % 8 != 0) {
      ++counters_.corrupt;
      framed_ = false;
      break;
    }
    if (filled_ - at < sizeof header + header.length) break;
    check(header, buffer_.data() + at + sizeof header);
    at += sizeof header + header.length;
    ++frames;
  }
  if (!framed_) at = filled_;
  std::memmove(buffer_.data(), buffer_.data() + at, filled_ - at);
  filled_ -= at;
  return frames;
}

void StreamVerifier::check(const FrameHeader& header, const std::byte* payload) {
  if (connection_ == 0) connection_ = header.connection;
  if (header.checksum != checksum_of(header, payload) || header.connection != connection_ ||
      (header.flags & kFromServer) != direction_of(sender_)) {
    ++counters_.corrupt;
    return;
  }
  // Nothing may follow a goodbye: whatever does has been sent twice.
  if (goodbye_) {
    ++counters_.doubled;
    return;
  }
  ++counters_.received;
  check_sequence(header.sequence);
  goodbye_ = (header.flags & kGoodbye) != 0;
}

void StreamVerifier::check_sequence(std::uint64_t sequence) {
  if (sequence == expected_) {
    ++expected_;
    return;
  }
  if (sequence > expected_) {
    gaps_.push_back({expected_, sequence - 1});
    counters_.lost += sequence - expected_;
    expected_ = sequence + 1;
    return;
  }
  for (Gap& gap : gaps_) {
    if (sequence < gap.first || sequence > gap.last) continue;
    const Gap rest{sequence + 1, gap.last};
    gap.last = sequence - 1;
    if (rest.first <= rest.last) gaps_.push_back(rest);
    --counters_.lost;
    ++counters_.out_of_order;
    return;
  }
  ++counters_.doubled;
}

}  // namespace lockstep::traffic
