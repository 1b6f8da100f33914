#include "schemas/codec.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <msgpack.hpp>
#include <type_traits>
#include <utility>
#include <zlib.h>

namespace lockstep {
namespace {

// --- writing --------------------------------------------------------------------------------------------------------

/// A growing string as msgpack's output.
struct Buffer {
  std::string bytes;
  void write(const char* data, std::size_t size) { bytes.append(data, size); }
};

using Packer = msgpack::packer<Buffer>;

template <class T>
concept HasFields = requires(T& value) { T::fields(value); };

template <class T>
struct IsName : std::false_type {};
template <class Tag>
struct IsName<Name<Tag>> : std::true_type {};

template <class T>
void write(Packer& out, const T& value);

template <class T>
void write_array(Packer& out, const T& values) {
  out.pack_array(static_cast<std::uint32_t>(values.size()));
  for (const auto& value : values) write(out, value);
}

void write_bytes(Packer& out, std::string_view bytes) {
  out.pack_str(static_cast<std::uint32_t>(bytes.size()));
  out.pack_str_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}

template <class T>
void write(Packer& out, const T& value) {
  if constexpr (std::is_enum_v<T>) {
    out.pack(static_cast<std::uint64_t>(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    out.pack(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    // Cut rather than sent in vain: reasons are put together from other texts, and a longer one would be refused.
    write_bytes(out, std::string_view(value).substr(0, kMaxText));
  } else if constexpr (IsName<T>::value) {
    write_bytes(out, value.value);
  } else if constexpr (std::is_same_v<T, Blob>) {
    out.pack_bin(static_cast<std::uint32_t>(value.bytes.size()));
    out.pack_bin_body(value.bytes.data(), static_cast<std::uint32_t>(value.bytes.size()));
  } else if constexpr (std::is_same_v<T, PodId>) {
    out.pack_array(2);
    write_bytes(out, value.boot_id);
    out.pack(value.netns_inode);
  } else if constexpr (std::is_same_v<T, std::array<std::uint8_t, 16>>) {
    out.pack_bin(16);
    out.pack_bin_body(reinterpret_cast<const char*>(value.data()), 16);
  } else if constexpr (HasFields<const T>) {
    std::apply(
        [&](const auto&... field) {
          out.pack_array(sizeof...(field));
          (write(out, field), ...);
        },
        T::fields(value));
  } else {
    write_array(out, value);
  }
}

// --- reading --------------------------------------------------------------------------------------------------------

using Object = msgpack::object;

/// `old`: structs have the fields that they had in the oldest version that is still read.
template <class T>
[[nodiscard]] bool read(const Object& in, T& value, bool old = false);

[[nodiscard]] bool read_text(const Object& in, std::string& text, std::size_t limit) {
  if (in.type != msgpack::type::STR || in.via.str.size > limit) return false;
  text.assign(in.via.str.ptr, in.via.str.size);
  return true;
}

template <std::integral T>
[[nodiscard]] bool read_integer(const Object& in, T& value) {
  if (in.type == msgpack::type::POSITIVE_INTEGER) {
    value = static_cast<T>(in.via.u64);
    return std::in_range<T>(in.via.u64);
  }
  if (in.type == msgpack::type::NEGATIVE_INTEGER) {
    value = static_cast<T>(in.via.i64);
    return std::in_range<T>(in.via.i64);
  }
  return false;
}

/// The range of each enum that travels.
constexpr std::uint64_t last(Operation) { return static_cast<std::uint64_t>(Operation::restore); }
constexpr std::uint64_t last(Phase) { return static_cast<std::uint64_t>(Phase::resume); }
constexpr std::uint64_t last(HookAction) { return static_cast<std::uint64_t>(HookAction::post_restore); }
constexpr std::uint64_t last(Verdict) { return static_cast<std::uint64_t>(Verdict::abort); }
constexpr std::uint64_t last(Role) { return static_cast<std::uint64_t>(Role::client); }
constexpr std::uint64_t last(RoundState) { return static_cast<std::uint64_t>(RoundState::aborted); }
constexpr std::uint64_t last(MemberOrder) { return static_cast<std::uint64_t>(MemberOrder::serial); }
constexpr std::uint64_t last(CriuOutcome) { return static_cast<std::uint64_t>(CriuOutcome::failed); }
constexpr std::uint64_t last(CommandMoment) { return static_cast<std::uint64_t>(CommandMoment::resume); }
constexpr std::uint64_t last(CommandState) { return static_cast<std::uint64_t>(CommandState::failed); }
constexpr std::uint64_t last(TcpState) { return static_cast<std::uint64_t>(TcpState::new_syn_recv); }
constexpr std::uint64_t last(ConnectionLabel) { return static_cast<std::uint64_t>(ConnectionLabel::ambiguous); }
constexpr std::uint64_t last(Doubt) { return static_cast<std::uint64_t>(Doubt::peer_unseen); }
constexpr std::uint64_t last(ExternalPolicy) { return static_cast<std::uint64_t>(ExternalPolicy::refuse); }
constexpr std::uint64_t last(AmbiguousPolicy) { return static_cast<std::uint64_t>(AmbiguousPolicy::refuse); }
constexpr std::uint64_t last(RevalidationPolicy) { return static_cast<std::uint64_t>(RevalidationPolicy::warn); }
constexpr std::uint64_t last(IpFamily) { return static_cast<std::uint64_t>(IpFamily::v6); }

template <class E>
[[nodiscard]] bool read_enum(const Object& in, E& value) {
  std::uint64_t number = 0;
  if (!read_integer(in, number)) return false;
  if (number > last(value)) return false;
  value = static_cast<E>(number);
  if constexpr (std::is_same_v<E, IpFamily>) return value == IpFamily::v4 || value == IpFamily::v6;
  if constexpr (std::is_same_v<E, TcpState>) return number != 0;
  return true;
}

template <class T>
constexpr std::size_t count_limit() {
  using Item = typename T::value_type;
  constexpr bool each_socket = std::is_same_v<Item, Socket> || std::is_same_v<Item, SocketLabel> ||
                               std::is_same_v<Item, NatEntry> || std::is_same_v<Item, std::uint64_t>;
  return each_socket ? kMaxSockets : kMaxMembers;
}

template <class T>
[[nodiscard]] bool read_vector(const Object& in, T& values, bool old) {
  if (in.type != msgpack::type::ARRAY || in.via.array.size > count_limit<T>()) return false;
  values.clear();
  // No reserve(): elements of one byte each would get the room of whole structs before the first is found wrong.
  for (std::uint32_t i = 0; i < in.via.array.size; ++i) {
    if (!read(in.via.array.ptr[i], values.emplace_back(), old)) return false;
  }
  return true;
}

template <class T>
[[nodiscard]] bool read_fields(const Object& in, T& value, bool old) {
  if (in.type != msgpack::type::ARRAY) return false;
  return std::apply(
      [&](auto&... field) {
        std::size_t there = sizeof...(field);
        if constexpr (requires { T::kOldFields; }) {
          if (old) there = T::kOldFields;
          if (old && in.via.array.size != there) return false;
        }
        if (in.via.array.size < there) return false;
        [[maybe_unused]] std::uint32_t index = 0;
        [[maybe_unused]] const auto read_next = [&](auto& part) {
          const std::uint32_t at = index++;
          return at >= there || read(in.via.array.ptr[at], part, old);
        };
        return (read_next(field) && ...);
      },
      T::fields(value));
}

template <class T>
[[nodiscard]] bool read(const Object& in, T& value, [[maybe_unused]] bool old) {
  if constexpr (std::is_same_v<T, bool>) {
    if (in.type != msgpack::type::BOOLEAN) return false;
    value = in.via.boolean;
    return true;
  } else if constexpr (std::is_enum_v<T>) {
    return read_enum(in, value);
  } else if constexpr (std::is_integral_v<T>) {
    return read_integer(in, value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return read_text(in, value, kMaxText);
  } else if constexpr (IsName<T>::value) {
    return read_text(in, value.value, kMaxNameLength) && (value.empty() || is_valid_name(value.value));
  } else if constexpr (std::is_same_v<T, Blob>) {
    if (in.type != msgpack::type::BIN) return false;
    value.bytes.assign(in.via.bin.ptr, in.via.bin.size);
    return true;
  } else if constexpr (std::is_same_v<T, PodId>) {
    return in.type == msgpack::type::ARRAY && in.via.array.size >= 2 &&
           read_text(in.via.array.ptr[0], value.boot_id, kMaxNameLength) &&
           read_integer(in.via.array.ptr[1], value.netns_inode);
  } else if constexpr (std::is_same_v<T, std::array<std::uint8_t, 16>>) {
    if (in.type != msgpack::type::BIN || in.via.bin.size != value.size()) return false;
    std::memcpy(value.data(), in.via.bin.ptr, value.size());
    return true;
  } else if constexpr (std::is_same_v<T, std::array<PhaseTimes, kPhasesPerRound>>) {
    if (in.type != msgpack::type::ARRAY || in.via.array.size != value.size()) return false;
    for (std::uint32_t i = 0; i < value.size(); ++i) {
      if (!read(in.via.array.ptr[i], value[i], old)) return false;
    }
    return true;
  } else if constexpr (HasFields<T>) {
    return read_fields(in, value, old);
  } else {
    return read_vector(in, value, old);
  }
}

/// msgpack's own limits; without them (they default to 2^32 - 1) five bytes can ask for gigabytes. An array can't have
/// more elements than there are bytes.
msgpack::unpack_limit unpack_limits(std::size_t frame) {
  return msgpack::unpack_limit(/*array=*/std::min(kMaxSockets, frame), /*map=*/0, /*str=*/kMaxText, /*bin=*/kMaxFrame,
                               /*ext=*/0, /*depth=*/8);
}

/// Takes one object from the begin of `bytes`, and hands it to `use`.
template <class Use>
[[nodiscard]] bool with_next_object(std::string_view& bytes, const Use& use) {
  try {
    std::size_t size = 0;
    const msgpack::object_handle handle =
        msgpack::unpack(bytes.data(), bytes.size(), size, nullptr, nullptr, unpack_limits(bytes.size()));
    bytes.remove_prefix(size);
    return use(handle.get());
  } catch (const std::exception&) {  // what msgpack throws for truncated, unknown and oversized input
    return false;
  }
}

/// Decodes exactly one object that fills `bytes`.
template <class Use>
[[nodiscard]] bool with_object(std::string_view bytes, const Use& use) {
  return with_next_object(bytes, use) && bytes.empty();
}

/// Reads body number `type`, trying the variant's alternatives in turn at compile time.
template <std::size_t Index = 0>
[[nodiscard]] bool read_body(std::size_t type, const Object& in, Body& body, bool old) {
  if constexpr (Index == std::variant_size_v<Body>) {
    return false;
  } else {
    if (type != Index) return read_body<Index + 1>(type, in, body, old);
    return read(in, body.emplace<Index>(), old);
  }
}

}  // namespace

std::string encode(const Message& message) {
  Buffer buffer;
  Packer out(buffer);
  out.pack_array(7);
  out.pack(kProtocolVersion);
  out.pack(static_cast<std::uint64_t>(message.body.index()));
  write(out, message.round);
  write(out, message.group);
  write(out, message.member);
  out.pack(message.sequence);
  std::visit([&](const auto& body) { write(out, body); }, message.body);
  return std::move(buffer.bytes);
}

Result<Message> decode(std::string_view bytes, std::uint8_t oldest) {
  if (bytes.size() > kMaxFrame) return fail(ErrorCode::invalid, "decode message", "frame larger than the limit");
  Message message;
  std::uint64_t version = 0;
  const bool whole = with_object(bytes, [&](const Object& object) {
    if (object.type != msgpack::type::ARRAY || object.via.array.size < 7) return false;
    const Object* part = object.via.array.ptr;
    if (!read(part[0], version) || version > kProtocolVersion || version < oldest) return false;
    std::uint64_t type = 0;
    return read(part[1], type) && read(part[2], message.round) && read(part[3], message.group) &&
           read(part[4], message.member) && read(part[5], message.sequence) &&
           read_body(type, part[6], message.body, version == kOldestKeptVersion);
  });
  if (whole) return message;
  if (version != 0 && (version > kProtocolVersion || version < oldest)) {
    return fail(
        ErrorCode::invalid, "decode message",
        "protocol version " + std::to_string(version) + ", this side speaks " + std::to_string(kProtocolVersion));
  }
  return fail(ErrorCode::invalid, "decode message", "malformed, or over a limit");
}

// --- records --------------------------------------------------------------------------------------------------------

namespace {

constexpr std::string_view kRecordMagic = "LOCKSTEP-RECORD\n";
constexpr std::uint8_t kRecordVersion = 3;
constexpr std::uint8_t kOldestRecordVersion = 2;  // had no conditional ones
/// magic, version, length of the body, CRC-32 of the body; the numbers in network byte order. The body is the record's
/// fields and, after them, the list of members.
constexpr std::size_t kRecordHeader = kRecordMagic.size() + 1 + 4 + 4;

std::uint32_t checksum(std::string_view bytes) {
  return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

void append_u32(std::string& out, std::uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(value >> shift));
}

std::uint32_t take_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8U | static_cast<std::uint8_t>(bytes[static_cast<std::size_t>(i)]);
  return value;
}

/// Labels are read by their place: each socket has one, and a peer is a member of the round or none.
bool labels_fit(const SocketLabels& labels, const SocketTable& sockets, std::size_t members) {
  if (labels.size() != sockets.size()) return false;
  return std::ranges::all_of(labels, [&](const SocketLabel& label) {
    return label.peer_member >= -1 && label.peer_member < static_cast<std::int64_t>(members) && label.peer_socket >= -1;
  });
}

bool labels_fit(const Record& record) {
  const std::size_t members = record.members.size();
  return labels_fit(record.labels, record.sockets, members) &&
         std::ranges::all_of(record.earlier, [&](const EarlierMember& earlier) {
           return labels_fit(earlier.labels, earlier.sockets, members);
         });
}

}  // namespace

RecordWriter::RecordWriter(const std::vector<MemberId>& members) {
  Buffer list;
  Packer out(list);
  lockstep::write(out, members);
  members_ = std::move(list.bytes);
}

std::string RecordWriter::write(const Record& record) const {
  Buffer fields;
  Packer out(fields);
  lockstep::write(out, record);
  const std::string body = std::move(fields.bytes) + members_;
  std::string file(kRecordMagic);
  file.reserve(kRecordHeader + body.size());
  file.push_back(static_cast<char>(kRecordVersion));
  append_u32(file, static_cast<std::uint32_t>(body.size()));
  append_u32(file, checksum(body));
  return file + body;
}

std::string encode_record(const Record& record) { return RecordWriter(record.members).write(record); }

Result<Record> decode_record(std::string_view bytes) {
  const std::string operation = "read record";
  if (bytes.size() > kMaxFrame) return fail(ErrorCode::invalid, operation, "larger than the limit");
  if (bytes.size() < kRecordHeader || !bytes.starts_with(kRecordMagic)) {
    return fail(ErrorCode::invalid, operation, "not a record of lockstep");
  }
  const auto version = static_cast<std::uint8_t>(bytes[kRecordMagic.size()]);
  if (version > kRecordVersion || version < kOldestRecordVersion) {
    return fail(ErrorCode::invalid, operation, "written by another version of lockstep");
  }
  const std::string_view numbers = bytes.substr(kRecordMagic.size() + 1);
  std::string_view body = bytes.substr(kRecordHeader);
  if (take_u32(numbers) != body.size() || take_u32(numbers.substr(4)) != checksum(body)) {
    return fail(ErrorCode::invalid, operation, "damaged: length or checksum does not match");
  }
  Record record;
  const bool whole =
      with_next_object(body,
                       [&](const Object& object) { return read(object, record, version == kOldestRecordVersion); }) &&
      with_object(body, [&](const Object& object) { return read(object, record.members); });
  if (!whole) {
    return fail(ErrorCode::invalid, operation, "damaged: fields are missing or over a limit");
  }
  if (!labels_fit(record)) return fail(ErrorCode::invalid, operation, "damaged: labels and sockets do not belong together");
  return record;
}

}  // namespace lockstep
