/// What a supervisor learns of an agent, with real sockets in a folder of the test's own.
#include "agent/probe.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

#include "agent/hook_server.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::agent {
namespace {

class Probe : public ::testing::Test {
 protected:
  test::TempDir dir_;
  std::string path_ = dir_.path() + "/node.sock";
};

/// The agent's loop, until one connection has come and gone.
void serve_one(HookServer& server) {
  for (bool gone = false; !gone;) {
    for (const HookServer::Interest& interest : server.interests()) {
      pollfd entry{interest.fd, POLLIN, 0};
      if (::poll(&entry, 1, 10) != 1) continue;
      if (interest.hook == 0) {
        server.accept_all();
        continue;
      }
      gone = server.read(interest.hook).closed;
      if (gone) server.drop(interest.hook);
    }
  }
}

TEST_F(Probe, PassesWhereTheLoopTurns) {
  auto server = HookServer::listen(path_);
  ASSERT_TRUE(server) << server.error().message();
  std::thread loop([&] { serve_one(*server); });
  const auto passed = probe_socket(path_, milliseconds(5'000));
  loop.join();
  EXPECT_TRUE(passed) << passed.error().message();
}

TEST_F(Probe, FailsWhereNobodyLooksAtTheSocket) {
  const auto server = HookServer::listen(path_);
  ASSERT_TRUE(server) << server.error().message();
  const auto passed = probe_socket(path_, milliseconds(50));
  ASSERT_FALSE(passed);
  EXPECT_EQ(passed.error().code, ErrorCode::timeout);
}

TEST_F(Probe, FailsWhereNobodyListens) {
  const auto passed = probe_socket(path_, milliseconds(50));
  ASSERT_FALSE(passed);
  EXPECT_EQ(passed.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace lockstep::agent
