#include "agent/hook/coordinator_file.hpp"

// Streams would bring their locales into the static hook, which cost more than all its work.
#define JSON_NO_IO 1
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace lockstep::hook {
namespace {

using Json = nlohmann::json;

/// What that tool takes where a file names only the other one of the two.
constexpr const char* kDefaultAddress = "127.0.0.1";
constexpr const char* kDefaultPort = "8080";
constexpr std::size_t kMaxNames = 4'096;

Failure wrong(const std::string& name, const std::string& what) { return fail(ErrorCode::invalid, name, what); }

Result<Json> parse(std::string_view text, const std::string& name) {
  Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded() || !json.is_object()) return wrong(name, "not a JSON object");
  return json;
}

/// A text or a whole number, as text; empty when the key is absent.
Result<std::string> text_at(const Json& json, const char* key, const std::string& name) {
  const auto value = json.find(key);
  if (value == json.end()) return std::string();
  if (value->is_string()) return value->get<std::string>();
  if (value->is_number_unsigned()) return std::to_string(value->get<std::uint64_t>());
  return wrong(name, std::string(key) + " must be a text");
}

Result<std::string> broker_in(const Json& json, const std::string& name) {
  auto address = text_at(json, "address", name);
  auto port = text_at(json, "port", name);
  if (!address) return Failure(address.error());
  if (!port) return Failure(port.error());
  if (address->empty() && port->empty()) return std::string();
  if (address->empty()) *address = kDefaultAddress;
  if (port->empty()) *port = kDefaultPort;
  const bool bare_ipv6 = address->find(':') != std::string::npos && address->front() != '[';
  return "tcp://" + (bare_ipv6 ? "[" + *address + "]" : *address) + ":" + *port;
}

Result<MemberId> id_from(std::string_view text, const std::string& name) {
  if (is_valid_name(text)) return MemberId(std::string(text));
  return wrong(name, "the id \"" + std::string(text.substr(0, kMaxNameLength)) +
                         "\" must be 1 to 64 letters, digits, '.', '_' or '-', not beginning with '.'");
}

using Links = std::map<std::string, std::set<std::string>>;

/// The key that stands for `id`: the longest one that it begins with, since containers may be named by the beginnings
/// of their ids. Empty where there is none.
std::string key_of(const Links& links, std::string_view id) {
  for (std::string begin(id.substr(0, kMaxNameLength)); !begin.empty(); begin.pop_back()) {
    if (links.contains(begin)) return begin;
  }
  return {};
}

/// The same for a dependency, which may be shorter than the key of whom it means.
std::string key_for(const Links& links, const std::string& dependency) {
  if (std::string found = key_of(links, dependency); !found.empty()) return found;
  const auto first = links.lower_bound(dependency);
  if (first == links.end() || !first->first.starts_with(dependency)) return dependency;
  const auto second = std::next(first);
  const bool two = second != links.end() && second->first.starts_with(dependency);
  return two ? dependency : first->first;
}

Result<Links> links_in(const Json& json, const std::string& name) {
  Links named;
  const auto map = json.find("dependencies");
  if (map == json.end() || !map->is_object()) return wrong(name, "dependencies must be an object of lists");
  std::size_t count = 0;
  for (const auto& [key, list] : map->items()) {
    if (!list.is_array()) return wrong(name, "the dependencies of " + key + " must be a list");
    std::set<std::string>& others = named[key];
    for (const Json& other : list) {
      if (!other.is_string()) return wrong(name, "the dependencies of " + key + " must be texts");
      if (const auto& text = other.get_ref<const std::string&>(); !text.empty()) others.insert(text);
      if (++count > kMaxNames) return wrong(name, "more than " + std::to_string(kMaxNames) + " dependencies");
    }
  }
  Links links;
  for (const auto& [key, others] : named) {
    for (const std::string& other : others) {
      const std::string peer = key_for(named, other);
      links[key].insert(peer);
      links[peer].insert(key);
    }
  }
  for (const auto& [key, others] : named) links[key];
  return links;
}

}  // namespace

Result<CoordinatorEntry> parse_coordinator_file(std::string_view text, const std::string& name) {
  const auto json = parse(text, name);
  if (!json) return Failure(json.error());
  CoordinatorEntry entry;
  const auto own = text_at(*json, "id", name);
  const auto list = text_at(*json, "dependencies", name);
  auto broker = broker_in(*json, name);
  if (!own) return Failure(own.error());
  if (!list) return Failure(list.error());
  if (!broker) return Failure(broker.error());
  auto id = id_from(*own, name);
  if (!id) return Failure(id.error());
  std::set<MemberId> set{*id};
  for (std::string_view rest = *list; !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (end > 0) {
      auto other = id_from(rest.substr(0, end), name);
      if (!other) return Failure(other.error());
      set.insert(std::move(*other));
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (set.size() > kMaxNames) return wrong(name, "more than " + std::to_string(kMaxNames) + " dependencies");
  entry.id = std::move(*id);
  entry.dependencies.assign(set.begin(), set.end());
  entry.broker = std::move(*broker);
  return entry;
}

Result<CoordinatorEntry> parse_coordinator_config(std::string_view text, const std::string& name,
                                                  std::string_view who) {
  const auto json = parse(text, name);
  if (!json) return Failure(json.error());
  CoordinatorEntry entry;
  auto broker = broker_in(*json, name);
  if (!broker) return Failure(broker.error());
  entry.broker = std::move(*broker);
  const auto links = links_in(*json, name);
  if (!links) return Failure(links.error());
  const std::string own = key_of(*links, who);
  if (own.empty()) return entry;
  std::set<std::string> set{own};
  for (std::vector<std::string> open{own}; !open.empty();) {
    const std::string at = std::move(open.back());
    open.pop_back();
    for (const std::string& next : links->at(at)) {
      if (set.insert(next).second) open.push_back(next);
    }
  }
  for (const std::string& each : set) {
    auto id = id_from(each, name);
    if (!id) return Failure(id.error());
    entry.dependencies.push_back(std::move(*id));
  }
  entry.id = MemberId(own);
  return entry;
}

}  // namespace lockstep::hook
