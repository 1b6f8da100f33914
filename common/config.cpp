#include "common/config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <numeric>
#include <sstream>

#include "common/yaml_document.hpp"

namespace lockstep {

using std::chrono::milliseconds;

namespace {

constexpr std::size_t kMaxFileSize = std::size_t{1} << 20;
/// Nothing in a configuration is this long, and 32-bit milliseconds hold it.
constexpr std::int64_t kMaxDurationMs = std::int64_t{24} * 24 * 3600 * 1000;

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array<Unit, 4> kUnits{{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};

/// How many letters have to be added, dropped, changed or swapped with their neighbour to make `b` of `a`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  std::iota(cost[0].begin(), cost[0].end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 60;
  return "\"" + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "…\"" : "\"");
}

std::string joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + std::string(word);
  return text;
}

/// `foreign`: what stands there may be a secret at a wrong place.
std::string kind_of(const YAML::Node& node, bool foreign) {
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  if (node.IsNull()) return "nothing";
  return foreign ? "a text" : in_quotes(node.Scalar());
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
  const auto bad = [&](std::string why) {
    return fail(ErrorCode::invalid, "duration " + in_quotes(text), std::move(why));
  };
  std::int64_t amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error == std::errc::result_out_of_range) return bad("is longer than 24 days");
  if (error != std::errc{} || amount < 0) return bad("expected a number and its unit, such as 250ms, 10s, 5m or 1h");
  const auto known = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& each) { return each.name == unit; });
  if (known == kUnits.end()) {
    return bad(unit.empty() ? "the unit is missing: 250ms, 10s, 5m or 1h" : "the unit must be ms, s, m or h");
  }
  if (amount > kMaxDurationMs / known->ms) return bad("is longer than 24 days");
  return milliseconds(amount * known->ms);
}

std::string format_duration(milliseconds duration) {
  const std::int64_t ms = duration.count();
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit) {
    if (ms != 0 && ms % unit->ms == 0) return std::to_string(ms / unit->ms).append(unit->name);
  }
  return "0s";
}

std::string_view nearest_word(std::string_view word, const std::vector<std::string_view>& candidates) {
  constexpr std::size_t kLongest = 64;  // the comparison's cost grows with the square of the length
  std::string_view best;
  std::size_t best_distance = 1 + std::max<std::size_t>(1, word.size() / 3);
  if (word.size() > kLongest) return best;
  for (const auto& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

/// What all of a file's mappings share.
struct Config::File {
  std::string name;
  std::optional<Error> mistake;                    ///< the first one
  std::vector<std::shared_ptr<Mapping>> mappings;  ///< in the order in which they were asked for
  bool foreign = false;                            ///< another program's: see tolerate_others()
};

struct Config::Mapping {
  YAML::Node node;
  std::string path;                ///< "members[1]"; empty at the top
  std::vector<std::string> known;  ///< keys that a getter has asked for

  [[nodiscard]] std::string path_to(std::string_view key) const {
    if (key.empty()) return path;
    return path.empty() ? std::string(key) : path + "." + std::string(key);
  }
  struct Entry {
    YAML::Node key;
    YAML::Node value;
  };
  /// A key and its value; nothing when the key is absent. Never writes to the node, as its operator[] may.
  [[nodiscard]] std::optional<Entry> find(std::string_view key) const {
    if (!node.IsMap()) return std::nullopt;
    for (const auto& entry : node) {
      if (entry.first.IsScalar() && entry.first.Scalar() == key) return Entry{entry.first, entry.second};
    }
    return std::nullopt;
  }
  /// A key's value; the key is known from now on.
  [[nodiscard]] std::optional<YAML::Node> ask(std::string_view key) {
    if (std::find(known.begin(), known.end(), key) == known.end()) known.emplace_back(key);
    const auto entry = find(key);
    return entry ? std::optional(entry->value) : std::nullopt;
  }
};

namespace {

std::string place(const std::string& file, const YAML::Node& node, const std::string& path) {
  const int line = node.Mark().line;
  return file + (line >= 0 ? ":" + std::to_string(line + 1) : "") + (path.empty() ? "" : ": " + path);
}

Error mistake_at(const std::string& file, const YAML::Node& node, const std::string& path, std::string what) {
  return Error{ErrorCode::invalid, 0, place(file, node, path), std::move(what)};
}

/// The first key that occurs twice, is no plain text, or that no getter has asked for.
std::optional<Error> wrong_key(const std::string& file, const YAML::Node& node, const std::string& path,
                               const std::vector<std::string>& known, bool foreign) {
  std::vector<std::string_view> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) return mistake_at(file, entry.first, path, "a key must be a plain word");
    const std::string& key = entry.first.Scalar();
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
      return mistake_at(file, entry.first, path, "the key " + in_quotes(key) + " occurs twice");
    }
    seen.push_back(key);
    if (foreign || std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::vector<std::string_view> words(known.begin(), known.end());
    const std::string_view near = nearest_word(key, words);
    const std::string hint = near.empty() ? "known keys: " + joined(words) : "did you mean " + in_quotes(near) + "?";
    return mistake_at(file, entry.first, path, "unknown key " + in_quotes(key) + ", " + hint);
  }
  return std::nullopt;
}

/// A scalar with a value in it. (A plain, unquoted "~" or nothing at all is YAML's null.)
bool has_text(const YAML::Node& node) { return node.IsScalar() && !node.Scalar().empty(); }

/// Nothing, `null` or `""`.
bool is_empty(const YAML::Node& node) { return node.IsNull() || (node.IsScalar() && node.Scalar().empty()); }

}  // namespace

Config::Config(std::shared_ptr<File> file, std::shared_ptr<Mapping> mapping)
    : file_(std::move(file)), mapping_(std::move(mapping)) {
  file_->mappings.push_back(mapping_);
}
Config::Config(Config&&) noexcept = default;
Config& Config::operator=(Config&&) noexcept = default;
Config::~Config() = default;

Result<Config> Config::load(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::system;
    return Failure(Error{code, errno, "open " + path, {}});
  }
  std::string yaml(kMaxFileSize + 1, '\0');
  stream.read(yaml.data(), static_cast<std::streamsize>(yaml.size()));
  if (stream.bad()) return Failure(Error{ErrorCode::system, errno, "read " + path, "is it a file?"});
  yaml.resize(static_cast<std::size_t>(stream.gcount()));
  if (yaml.size() > kMaxFileSize)
    return fail(ErrorCode::invalid, path, "is larger than 1 MiB; is this the right file?");
  return parse(yaml, path);
}

Result<Config> Config::parse(const std::string& yaml, std::string name) {
  auto file = std::make_shared<File>();
  file->name = std::move(name);
  auto top = std::make_shared<Mapping>();
  auto document = load_yaml_document(yaml, file->name);
  if (!document) return Failure(document.error());
  top->node = *document;
  if (!top->node.IsMap() && !top->node.IsNull()) {
    return Failure(mistake_at(file->name, top->node, {}, "expected \"key: value\" lines, got " + kind_of(top->node, false)));
  }
  return Config(std::move(file), std::move(top));
}

bool Config::has(std::string_view key) const { return mapping_->find(key).has_value(); }

bool Config::is_list(std::string_view key) const {
  const auto entry = mapping_->find(key);
  return entry && entry->value.IsSequence();
}

void Config::require(std::string_view key) {
  if (!mapping_->ask(key)) complain({}, "the key " + in_quotes(key) + " is missing");
}

void Config::complain(std::string_view key, std::string what) {
  if (file_->mistake) return;
  // The key's line, not its value's: an absent value has the mark of whatever follows.
  const auto entry = key.empty() ? std::nullopt : mapping_->find(key);
  file_->mistake =
      mistake_at(file_->name, entry ? entry->key : mapping_->node, mapping_->path_to(key), std::move(what));
}

void Config::tolerate_others() { file_->foreign = true; }

void Config::text(std::string_view key, std::string& out) {
  const auto node = mapping_->ask(key);
  if (!node || (file_->foreign && is_empty(*node))) return;
  if (!has_text(*node)) return complain(key, "expected a text, got " + kind_of(*node, file_->foreign));
  out = node->Scalar();
}

void Config::flag(std::string_view key, bool& out) {
  const auto node = mapping_->ask(key);
  if (!node) return;
  const std::string word = node->IsScalar() ? node->Scalar() : "";
  if (word == "true" || word == "yes" || word == "on") {
    out = true;
  } else if (word == "false" || word == "no" || word == "off") {
    out = false;
  } else {
    complain(key, "expected true or false, got " + kind_of(*node, file_->foreign));
  }
}

std::optional<std::int64_t> Config::integer(std::string_view key, std::int64_t min, std::int64_t max) {
  const auto node = mapping_->ask(key);
  if (!node) return std::nullopt;
  const std::string digits = node->IsScalar() ? node->Scalar() : "";
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = error == std::errc{} && end == digits.data() + digits.size();
  if (whole && value >= min && value <= max) return value;
  complain(key,
           "expected a number from " + std::to_string(min) + " to " + std::to_string(max) + ", got " + kind_of(*node, file_->foreign));
  return std::nullopt;
}

void Config::duration(std::string_view key, milliseconds& out, milliseconds min, milliseconds max) {
  const auto node = mapping_->ask(key);
  if (!node) return;
  if (!has_text(*node)) return complain(key, "expected a duration such as 10s, got " + kind_of(*node, file_->foreign));
  const auto value = parse_duration(node->Scalar());
  if (!value) return complain(key, value.error().message());
  if (*value < min || *value > max) {
    return complain(key, "expected a duration from " + format_duration(min) + " to " + format_duration(max) + ", got " +
                             kind_of(*node, file_->foreign));
  }
  out = *value;
}

void Config::texts(std::string_view key, std::vector<std::string>& out, bool or_one) {
  const auto node = mapping_->ask(key);
  if (!node) return;
  if (or_one && has_text(*node)) {
    out.assign(1, node->Scalar());
    return;
  }
  if (!node->IsSequence()) {
    return complain(key,
                    std::string("expected a ") + (or_one ? "text or a " : "") + "list of texts, got " + kind_of(*node, file_->foreign));
  }
  std::vector<std::string> values;
  for (const auto& each : *node) {
    if (!has_text(each)) {
      return complain(key, "item " + std::to_string(values.size()) + ": expected a text, got " + kind_of(each, file_->foreign));
    }
    values.push_back(each.Scalar());
  }
  out = std::move(values);
}

std::optional<std::size_t> Config::one_of(std::string_view key, const std::vector<std::string_view>& words) {
  const auto node = mapping_->ask(key);
  if (!node) return std::nullopt;
  const std::string word = node->IsScalar() ? node->Scalar() : "";
  const auto found = std::find(words.begin(), words.end(), word);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  complain(key, "expected one of " + joined(words) + ", got " + kind_of(*node, file_->foreign));
  return std::nullopt;
}

std::optional<Config> Config::section(std::string_view key) {
  const auto node = mapping_->ask(key);
  if (!node || (file_->foreign && is_empty(*node))) return std::nullopt;
  if (!node->IsMap()) {
    complain(key, "expected \"key: value\" pairs, got " + kind_of(*node, file_->foreign));
    return std::nullopt;
  }
  return Config(file_, std::make_shared<Mapping>(Mapping{*node, mapping_->path_to(key), {}}));
}

std::vector<Config> Config::sections(std::string_view key) {
  std::vector<Config> list;
  const auto node = mapping_->ask(key);
  if (!node || (file_->foreign && is_empty(*node))) return list;
  if (!node->IsSequence()) {
    complain(key, "expected a list, got " + kind_of(*node, file_->foreign));
    return list;
  }
  for (const auto& each : *node) {
    const std::string path = mapping_->path_to(key) + "[" + std::to_string(list.size()) + "]";
    auto mapping = std::make_shared<Mapping>(Mapping{each, path, {}});
    list.push_back(Config(file_, std::move(mapping)));
    if (!each.IsMap()) list.back().complain({}, "expected \"key: value\" pairs, got " + kind_of(each, file_->foreign));
  }
  return list;
}

Result<void> Config::finish() {
  for (const auto& mapping : file_->mappings) {
    if (!mapping->node.IsMap()) continue;
    if (auto wrong = wrong_key(file_->name, mapping->node, mapping->path, mapping->known, file_->foreign))
      return Failure(std::move(*wrong));
  }
  if (file_->mistake) return Failure(*file_->mistake);
  return {};
}

}  // namespace lockstep
