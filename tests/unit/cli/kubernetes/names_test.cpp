#include "cli/kubernetes/names.hpp"

#include <gtest/gtest.h>

namespace lockstep::cli {
namespace {

TEST(KubernetesNames, LabelsAndSubdomainsAreWhatKubernetesTakes) {
  struct Case {
    std::string name;
    bool label;
    bool subdomain;
  };
  const std::vector<Case> cases{
      {"web", true, true},
      {"web-0", true, true},
      {"0", true, true},
      {"", false, false},
      {"Web", false, false},
      {"web_0", false, false},
      {"-web", false, false},
      {"web-", false, false},
      {"a.b", false, true},
      {"a..b", false, false},
      {".a", false, false},
      {"a.", false, false},
      {"a.-b", false, false},
      {"..", false, false},
      {"a/b", false, false},
      {"a b", false, false},
      {"é", false, false},
      {std::string("a\0b", 3), false, false},
      {std::string(63, 'a'), true, true},
      {std::string(64, 'a'), false, true},
      {std::string(253, 'a'), false, true},
      {std::string(254, 'a'), false, false},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(is_dns_label(each.name), each.label) << each.name;
    EXPECT_EQ(is_dns_subdomain(each.name), each.subdomain) << each.name;
  }
}

TEST(KubernetesNames, WhateverIsEncodedIsOneSegment) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"web-0.a_b~C9", "web-0.a_b~C9"},
      {"a/b", "a%2Fb"},
      {"a?b#c&d=e", "a%3Fb%23c%26d%3De"},
      {"%2f", "%252f"},
      {"..", "%2E%2E"},
      {".", "%2E"},
      {"", ""},
      {"\xff\n é", "%FF%0A%20%C3%A9"},
  };
  for (const auto& [text, encoded] : cases) EXPECT_EQ(percent_encoded(text), encoded) << text;
}

}  // namespace
}  // namespace lockstep::cli
