#include "tests/bench/zmtp.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace lockstep::bench::zmtp {
namespace {

// Flags of a frame, its first byte.
constexpr unsigned kMore = 1;
constexpr unsigned kLong = 2;  // the size has eight bytes instead of one
constexpr unsigned kCommand = 4;

// Places in a greeting.
constexpr std::size_t kMajorAt = 10;
constexpr std::size_t kMinorAt = 11;
constexpr std::size_t kMechanismAt = 12;
constexpr std::size_t kMechanismSize = 20;

constexpr char kMajor = 3;
constexpr std::size_t kLongestShort = 255;

std::string big_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xff);
  return text;
}

std::uint64_t from_big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

std::string frame(unsigned flags, std::string_view body) {
  const bool is_long = body.size() > kLongestShort;
  std::string bytes(1, static_cast<char>(flags | (is_long ? kLong : 0)));
  bytes += big_endian(body.size(), is_long ? 8 : 1);
  return bytes.append(body);
}

char minor_of(std::string_view mechanism) { return mechanism == kPlain ? 1 : 0; }

std::string command(std::string_view name, std::string_view data) {
  return frame(kCommand, std::string(1, static_cast<char>(name.size())).append(name).append(data));
}

}  // namespace

std::string greeting(std::string_view mechanism) {
  std::string bytes(kGreetingSize, '\0');
  bytes.front() = '\xff';
  bytes[9] = '\x7f';
  bytes[kMajorAt] = kMajor;
  bytes[kMinorAt] = minor_of(mechanism);
  bytes.replace(kMechanismAt, mechanism.size(), mechanism);
  return bytes;
}

int negotiated_minor(std::string_view peer, std::string_view wanted) {
  const bool sound = peer.size() == kGreetingSize && peer[0] == '\xff' && peer[kMajorAt] >= kMajor;
  if (!sound) throw std::runtime_error("the peer does not speak ZMTP 3");
  const std::string_view mechanism = peer.substr(kMechanismAt, kMechanismSize);
  if (mechanism.substr(0, mechanism.find('\0')) != wanted) throw std::runtime_error("the peer wants another mechanism");
  const char own = minor_of(wanted);
  return peer[kMajorAt] > kMajor ? own : std::min(peer[kMinorAt], own);
}

std::string metadata(std::string_view socket_type) {
  constexpr std::string_view kProperty = "Socket-Type";
  std::string data(1, static_cast<char>(kProperty.size()));
  return data.append(kProperty).append(big_endian(socket_type.size(), 4)).append(socket_type);
}

std::string ready_command(std::string_view socket_type) { return command("READY", metadata(socket_type)); }

std::string subscription(std::string_view topic, int minor) {
  return minor == 0 ? message(subscription_payload(topic)) : command("SUBSCRIBE", topic);
}

std::string subscription_payload(std::string_view topic) { return std::string(1, '\x01').append(topic); }

std::string command(std::string_view body) { return frame(kCommand, body); }

std::string message(std::string_view payload) { return frame(0, payload); }

void Parser::append(std::string_view bytes) {
  buffer_.erase(0, std::exchange(taken_, 0));
  buffer_.append(bytes);
}

std::optional<Frame> Parser::next() {
  const std::string_view left = std::string_view(buffer_).substr(taken_);
  if (left.empty()) return std::nullopt;
  const auto flags = static_cast<unsigned char>(left.front());
  const std::size_t header = (flags & kLong) != 0 ? 9 : 2;
  if (left.size() < header) return std::nullopt;
  const std::uint64_t size = from_big_endian(left.substr(1, header - 1));
  if (left.size() - header < size) return std::nullopt;
  taken_ += header + size;
  return Frame{(flags & kCommand) != 0, (flags & kMore) != 0, left.substr(header, size)};
}

}  // namespace lockstep::bench::zmtp
