#include "agent/exemption.hpp"

#include <gtest/gtest.h>

namespace lockstep::agent {
namespace {

TEST(Exemption, GivesNamesTheirAddress) {
  EXPECT_EQ(with_address("tcp://localhost:7600").value(), "tcp://127.0.0.1:7600");
  for (const std::string same : {"tcp://10.0.0.1:7600", "tcp://[fd00::1]:7600", "ipc:///run/broker.sock"}) {
    EXPECT_EQ(with_address(same).value(), same);
  }
  const auto unknown = with_address("tcp://no-such-host.invalid:7600");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message().find("no-such-host.invalid"), std::string::npos) << unknown.error().message();
}

}  // namespace
}  // namespace lockstep::agent
