#include "schemas/group_keys.hpp"

#include <chrono>
#include <vector>

#include "common/ids.hpp"

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// A lease much shorter than this would open a pod while its agent only waits for the processor.
constexpr milliseconds kShortestLease = 1s;
constexpr milliseconds kLongestWait = 1h;

void read_duration(Config& config, std::string_view key, std::uint32_t& out_ms, milliseconds min) {
  milliseconds value{out_ms};
  config.duration(key, value, min, kLongestWait);
  out_ms = static_cast<std::uint32_t>(value.count());
}

}  // namespace

void read_name(Config& config, std::string_view key, std::string& out) {
  config.require(key);
  config.text(key, out);
  if (!out.empty() && !is_valid_name(out)) {
    config.complain(key,
                    "\"" + out + "\" is no name: 1 to 64 letters, digits, '.', '_' or '-', not beginning with '.'");
  }
}

void read_container_id(Config& config, std::string_view key, std::string& out) {
  config.text(key, out);
  const bool is_id = out.size() <= kMaxNameLength && out.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_id) config.complain(key, "expected a container's id, or its beginning: up to 64 hexadecimal digits");
}

void read_deadlines(Config& config, Deadlines& deadlines) {
  auto section = config.section("deadlines");
  if (!section) return;
  read_duration(*section, "prepare", deadlines.prepare_ms, 100ms);
  read_duration(*section, "lock", deadlines.lock_ms, 100ms);
  read_duration(*section, "commit", deadlines.commit_ms, 100ms);
  read_duration(*section, "finish", deadlines.finish_ms, 100ms);
}

void read_order(Config& config, MemberOrder& order) {
  config.choice("order", order,
                {{"detect", MemberOrder::detect}, {"parallel", MemberOrder::parallel}, {"serial", MemberOrder::serial}});
}

void read_lease(Config& config, std::uint32_t& lease_ms) { read_duration(config, "lease", lease_ms, kShortestLease); }

void read_policy(Config& config, ConnectionPolicy& policy) {
  config.choice("external", policy.external,
                {{"close", ExternalPolicy::close}, {"keep", ExternalPolicy::keep}, {"refuse", ExternalPolicy::refuse}});
  config.choice("ambiguous", policy.ambiguous,
                {{"external", AmbiguousPolicy::external},
                 {"internal", AmbiguousPolicy::internal},
                 {"refuse", AmbiguousPolicy::refuse}});
  config.choice("revalidate", policy.revalidation,
                {{"strict", RevalidationPolicy::strict}, {"warn", RevalidationPolicy::warn}});
  std::vector<std::string> rules;
  config.texts("external_allow", rules, true);
  for (const std::string& text : rules) {
    if (const auto rule = parse_allow_rule(text)) {
      policy.external_allow.push_back(*rule);
    } else {
      config.complain("external_allow", rule.error().message());
    }
  }
}

}  // namespace lockstep
