/// Entries of an image as the messages of schemas/criu_images.proto.
#pragma once

#include <optional>
#include <utility>

#include "cli/images/image_file.hpp"

namespace lockstep::images {

/// The next entry; nothing at the end of the file.
template <class Entry>
[[nodiscard]] Result<std::optional<Entry>> next_entry(ImageFile& file) {
  const auto bytes = file.next();
  if (!bytes) return Failure(bytes.error());
  if (!*bytes) return std::optional<Entry>();
  Entry entry;
  // ImageFile's limit keeps the size within an int.
  if (!entry.ParseFromArray((*bytes)->data(), static_cast<int>((*bytes)->size()))) {
    return file.damaged("has an entry that is no protobuf message");
  }
  return std::optional<Entry>(std::move(entry));
}

}  // namespace lockstep::images
