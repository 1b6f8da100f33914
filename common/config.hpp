/// Strict reading of YAML files: what is not known is an error, and every error names file, line and field and says
/// what was expected: `group.yaml:12: members[1].pid: expected a number from 1 to 4194304, got "x"`.
///
/// Getters take a key and a place for its value. A key that is absent leaves the place as it is, so that defaults are
/// written once, in the struct. The first mistake is kept and the reading goes on; `finish()` reports it. That keeps a
/// file's reader a flat list of its fields:
///
///     Result<BrokerConfig> load_broker_config(const std::string& path) {
///       auto file = Config::load(path);
///       if (!file) return Failure(file.error());
///       BrokerConfig config;
///       file->text("listen", config.listen);
///       file->duration("silence", config.silence, 100ms, 60s);
///       file->choice("lock", config.lock, {{"auto", Lock::any}, {"nftables", Lock::nftables}});
///       if (auto limits = file->section("limits")) limits->number("rounds", config.max_rounds, 1, 4096);
///       if (auto done = file->finish(); !done) return Failure(done.error());
///       return config;
///     }
///
/// Not thread-safe. No yaml-cpp type and none of its exceptions leaves config.cpp.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/result.hpp"

namespace lockstep {

/// "250ms", "10s", "5m", "1h": a whole number and its unit, no more than 24 days. A bare number is refused: nobody can
/// tell its unit.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// The shortest text that parse_duration turns back into the same: 90 s are "90s", 120 s are "2m".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

/// The candidate that `word` was most likely meant to be; empty when none is near.
[[nodiscard]] std::string_view nearest_word(std::string_view word, const std::vector<std::string_view>& candidates);

/// A mapping of a YAML file: the whole file, or a section of it. A section shares its file's list of mistakes, and may
/// outlive the Config that it came from.
class Config {
 public:
  /// Reads and parses a file of at most 1 MiB. not_found, system, or invalid with the parser's line and words. An
  /// empty file is an empty mapping.
  [[nodiscard]] static Result<Config> load(const std::string& path);
  /// The same from memory; `name` stands for the file in messages.
  [[nodiscard]] static Result<Config> parse(const std::string& yaml, std::string name);

  Config(Config&&) noexcept;
  Config& operator=(Config&&) noexcept;
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;
  ~Config();

  /// The key is there, with a value or without. Does not make the key known.
  [[nodiscard]] bool has(std::string_view key) const;
  /// The key's value is a list. Does not make the key known.
  [[nodiscard]] bool is_list(std::string_view key) const;
  /// An absent key is a mistake.
  void require(std::string_view key);

  /// Any scalar but null, as it is written; an empty text is a mistake.
  void text(std::string_view key, std::string& out);
  /// true or false (also yes/no, on/off).
  void flag(std::string_view key, bool& out);
  /// A whole number of min to max, both allowed.
  template <std::integral T>
  void number(std::string_view key, T& out, std::type_identity_t<T> min = std::numeric_limits<T>::min(),
              std::type_identity_t<T> max = std::numeric_limits<T>::max()) {
    if (const auto value = integer(key, wide(min), wide(max))) out = static_cast<T>(*value);
  }
  /// A duration with its unit, of min to max, both allowed.
  void duration(std::string_view key, std::chrono::milliseconds& out, std::chrono::milliseconds min,
                std::chrono::milliseconds max);
  /// A list of texts. With `or_one`, a single text counts as a list of one.
  void texts(std::string_view key, std::vector<std::string>& out, bool or_one = false);
  /// One of the words.
  template <class Enum>
  void choice(std::string_view key, Enum& out, std::initializer_list<std::pair<std::string_view, Enum>> words) {
    std::vector<std::string_view> names;
    for (const auto& word : words) names.push_back(word.first);
    if (const auto index = one_of(key, names)) out = (words.begin() + *index)->second;
  }
  /// A mapping inside; nothing when the key is absent (or its value is no mapping: a mistake).
  [[nodiscard]] std::optional<Config> section(std::string_view key);
  /// A list of mappings; empty when the key is absent.
  [[nodiscard]] std::vector<Config> sections(std::string_view key);

  /// For files of other programs, which have keys that are not ours to know: from now on, in the whole file, a key that no
  /// getter asks for is no mistake, and one without a value is as good as absent.
  void tolerate_others();

  /// The caller's own complaint about a key's value (or about the mapping itself: an empty key).
  void complain(std::string_view key, std::string what);

  /// The file's first mistake. Keys that no getter has asked for are mistakes too, and go first: a misspelt key is
  /// often the reason why another one is missing. Call it on the Config that came from load() or parse(), last.
  [[nodiscard]] Result<void> finish();

 private:
  struct File;
  struct Mapping;
  Config(std::shared_ptr<File> file, std::shared_ptr<Mapping> mapping);

  /// Wide enough for every integral type that a file may hold, up to the 63 bits that are ever needed.
  template <std::integral T>
  static std::int64_t wide(T value) {
    if constexpr (std::unsigned_integral<T> && sizeof(T) == sizeof(std::int64_t)) {
      constexpr auto top = static_cast<T>(std::numeric_limits<std::int64_t>::max());
      return static_cast<std::int64_t>(value < top ? value : top);
    } else {
      return static_cast<std::int64_t>(value);
    }
  }
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t min, std::int64_t max);
  std::optional<std::size_t> one_of(std::string_view key, const std::vector<std::string_view>& words);

  std::shared_ptr<File> file_;
  std::shared_ptr<Mapping> mapping_;
};

}  // namespace lockstep
