/// Bytes to messages and back, within limits.
///
/// A message is one msgpack array [version, type, round, group, member, sequence, body], a body the array of its
/// struct's fields in the order of `fields()`. More fields than known are ignored, fewer than there have always been
/// are refused. Decoding never throws, never reads outside `bytes`, and allocates in proportion to the frame (40 bytes
/// for each of its bytes, and 48 MiB at most on top), whatever the bytes announce.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep {

/// The largest frame that is sent or accepted, in bytes: room for a table of 200,000 sockets. A broker refuses more
/// before it allocates (ZMQ_MAXMSGSIZE), an agent before it reads.
inline constexpr std::size_t kMaxFrame = std::size_t{24} << 20;
inline constexpr std::size_t kMaxSockets = 200'000;   ///< entries of a table, NAT entries, inodes of a tree
inline constexpr std::size_t kMaxMembers = 4'096;     ///< members of one round, agents and rounds in a status
inline constexpr std::size_t kMaxText = 4'096;        ///< bytes of any text but a record

/// How many NAT entries a Ready can carry beside so many sockets: an entry for each, but for the very largest tables,
/// which fill the frame.
[[nodiscard]] constexpr std::size_t room_for_nat(std::size_t sockets) {
  constexpr std::size_t kRest = std::size_t{1} << 20;  // all that is neither
  constexpr std::size_t kSocketBytes = 105;            // with every number at its largest
  constexpr std::size_t kEntryBytes = 93;
  const std::size_t taken = kRest + sockets * kSocketBytes;
  return taken < kMaxFrame ? std::min(kMaxSockets, (kMaxFrame - taken) / kEntryBytes) : 0;
}

[[nodiscard]] std::string encode(const Message& message);
/// Of the current version, or of an older one from `oldest` on: what has been kept on a disk.
[[nodiscard]] Result<Message> decode(std::string_view bytes, std::uint8_t oldest = kProtocolVersion);

/// A record as a file: a magic word and version, the length, a CRC-32 of the rest; torn or altered files are told.
[[nodiscard]] std::string encode_record(const Record& record);
[[nodiscard]] Result<Record> decode_record(std::string_view bytes);

/// Encodes the records of one round. Every one of them lists all members; that list is encoded once.
class RecordWriter {
 public:
  explicit RecordWriter(const std::vector<MemberId>& members);
  /// As encode_record(), with the round's list in place of `record.members`.
  [[nodiscard]] std::string write(const Record& record) const;

 private:
  std::string members_;
};

}  // namespace lockstep
