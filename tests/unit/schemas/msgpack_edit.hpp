/// Messages that no encoder of ours would make: an encoded one, with one part of it changed.
#pragma once

#include <cstddef>
#include <functional>
#include <msgpack.hpp>
#include <string>
#include <vector>

#include "schemas/codec.hpp"

namespace lockstep::test {

using Packer = msgpack::packer<msgpack::sbuffer>;
/// Writes what stands in the place of an element.
using Writer = std::function<void(Packer&)>;

/// Positions in a message: [version, type, round, group, member, sequence, body].
inline constexpr std::size_t kVersionPart = 0, kTypePart = 1, kRoundPart = 2, kMemberPart = 4, kSequencePart = 5, kBodyPart = 6;

inline std::string packed(const Writer& write) {
  msgpack::sbuffer buffer;
  Packer packer(buffer);
  write(packer);
  return {buffer.data(), buffer.size()};
}

/// The elements of an encoded array, each still encoded.
inline std::vector<std::string> elements_of(const std::string& bytes) {
  const msgpack::object_handle handle = msgpack::unpack(bytes.data(), bytes.size());
  std::vector<std::string> elements;
  for (std::uint32_t i = 0; i < handle.get().via.array.size; ++i) {
    elements.push_back(packed([&](Packer& out) { out.pack(handle.get().via.array.ptr[i]); }));
  }
  return elements;
}

inline std::string array_of(const std::vector<std::string>& elements) {
  std::string bytes = packed([&](Packer& out) { out.pack_array(static_cast<std::uint32_t>(elements.size())); });
  for (const std::string& element : elements) bytes += element;
  return bytes;
}

/// The message with element `at` replaced.
inline std::string with_part(const Message& message, std::size_t at, const std::string& bytes) {
  auto parts = elements_of(encode(message));
  parts.at(at) = bytes;
  return array_of(parts);
}

/// The message with field `at` of its body replaced.
inline std::string with_field(const Message& message, std::size_t at, const std::string& bytes) {
  auto fields = elements_of(elements_of(encode(message)).at(kBodyPart));
  fields.at(at) = bytes;
  return with_part(message, kBodyPart, array_of(fields));
}

}  // namespace lockstep::test
