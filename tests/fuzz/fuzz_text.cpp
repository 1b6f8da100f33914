// Short texts that people and peers write: rules, addresses, endpoints, durations, hooks' times. What is understood and
// written out again means the same.
#include "common/config.hpp"
#include "common/endpoints.hpp"
#include "schemas/allow_rule.hpp"
#include "schemas/endpoint_text.hpp"
#include "schemas/hook_times.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  const std::string_view text = fuzz::view_of(data, size);
  if (const auto rule = parse_allow_rule(text)) {
    const auto again = parse_allow_rule(allow_rule_text(*rule));
    fuzz::expect(again && *again == *rule, "a rule's text is the rule");
    (void)matches(*rule, Endpoint{});
  }
  if (const auto address = parse_address(text)) {
    const auto again = parse_address(address_text(address->family, address->address));
    fuzz::expect(again && *again == *address, "an address's text is the address");
    (void)is_loopback(*address);
    (void)endpoint_text(*address);
  }
  if (const auto endpoint = parse_endpoint(text)) {
    const auto again = parse_endpoint(endpoint->text());
    fuzz::expect(again && *again == *endpoint, "an endpoint's text is the endpoint");
    (void)is_loopback(*endpoint);
    if (const auto publish = publish_endpoint_of(*endpoint)) {
      fuzz::expect(parse_endpoint(publish->text()).has_value(), "what is derived from an endpoint is one");
    }
  }
  if (const auto duration = parse_duration(text)) {
    const auto again = parse_duration(format_duration(*duration));
    fuzz::expect(again && *again == *duration, "a duration's text is the duration");
  }
  (void)nearest_word(text, {"member", "members", "images", "lease"});
  if (const auto times = parse_log_line(text)) {
    const std::string line = to_log_line(*times);
    const auto again = parse_log_line(line);
    fuzz::expect(again && to_log_line(*again) == line, "a line's times are the line");
  }
  return 0;
}
