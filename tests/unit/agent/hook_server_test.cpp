/// The unix socket that hooks come to, with real sockets in a folder of the test's own.
#include "agent/hook_server.hpp"

#include <gtest/gtest.h>
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>

#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::agent {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Fd connect_to(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << std::strerror(errno);
  return fd;
}

/// What a process leaves that was killed while it listened.
void leave_dead_socket(const std::string& path) {
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

Message an_event(std::size_t inodes = 0) {
  HookEvent event;
  event.action = HookAction::network_lock;
  event.socket_inodes.assign(inodes, std::uint64_t{1} << 40);
  return {RoundId("r"), GroupId("g"), MemberId("m"), 1, event};
}

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 5'000) == 1;
}

class Server : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = HookServer::listen(path_);
    ASSERT_TRUE(server) << server.error().message();
    server_.emplace(std::move(*server));
  }

  /// A hook that has connected, and its number at the server.
  std::pair<Fd, HookId> a_hook() {
    Fd fd = connect_to(path_);
    server_->accept_all();
    return {std::move(fd), server_->interests().back().hook};
  }

  /// Reads until the hook has said something or gone; waits a bounded time.
  HookInput input_of(HookId hook) {
    for (const auto& interest : server_->interests()) {
      while (interest.hook == hook && readable(interest.fd)) {
        HookInput input = server_->read(hook);
        if (input.closed || !input.messages.empty()) return input;
      }
    }
    return {};
  }

  test::TempDir dir_;
  std::string path_ = dir_ / "sub/agent.sock";
  std::optional<HookServer> server_;
};

TEST_F(Server, IsForItsOwnerOnly) {
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(Server, DoesNotListenWhereOthersCouldPutAnotherSocket) {
  std::filesystem::create_directory(dir_ / "open");
  ASSERT_EQ(::chmod((dir_ / "open").c_str(), 0777), 0);
  const auto server = HookServer::listen(dir_ / "open/agent.sock");
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, ErrorCode::refused);
  EXPECT_NE(server.error().message().find("chmod go-w"), std::string::npos) << server.error().message();
}

/// Connects as another user; the child's exit code tells how far it got: 0 connected and heard nothing bad, 1 turned away, 2
/// not even connected.
int connect_as(uid_t user, gid_t group, const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(group) != 0 || ::setuid(user) != 0) ::_exit(3);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(path);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ::_exit(2);
    pollfd entry{fd, POLLIN, 0};
    ::_exit(::poll(&entry, 1, 1'000) == 1 ? 1 : 0);  // readable: at its end
  }
  return child;
}

int outcome_of(pid_t child, HookServer& server, std::vector<std::string>& turned_away) {
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    for (std::string& why : server.accept_all()) turned_away.push_back(std::move(why));
    ::poll(nullptr, 0, 5);
  }
  return WEXITSTATUS(status);
}

TEST_F(Server, TurnsOtherUsersAwayWhateverTheModeOfItsFile) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
  std::vector<std::string> turned_away;
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  EXPECT_EQ(outcome_of(connect_as(65534, 65534, path_), *server_, turned_away), 2) << "its mode already";
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  EXPECT_EQ(outcome_of(connect_as(65534, 65534, path_), *server_, turned_away), 1);
  ASSERT_EQ(turned_away.size(), 1U);
  EXPECT_NE(turned_away[0].find("user 65534"), std::string::npos) << turned_away[0];
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(Server, ServesTheGroupThatItIsToldTo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
  server_.reset();
  const ::group* nogroup = ::getgrnam("nogroup");
  ASSERT_NE(nogroup, nullptr);
  auto server = HookServer::listen(path_, "nogroup");
  ASSERT_TRUE(server) << server.error().message();
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  std::vector<std::string> turned_away;
  EXPECT_EQ(outcome_of(connect_as(12345, nogroup->gr_gid, path_), *server, turned_away), 0);
  EXPECT_EQ(outcome_of(connect_as(12345, 54321, path_), *server, turned_away), 2);
  EXPECT_TRUE(turned_away.empty());
  EXPECT_FALSE(HookServer::listen(dir_ / "sub/other.sock", "no-such-group"));
}

TEST_F(Server, TakesAwayItsFileWhenItEnds) {
  HookServer moved(std::move(*server_));
  server_.reset();
  EXPECT_TRUE(std::filesystem::exists(path_)) << "a moved-from server owns nothing";
  { const HookServer last(std::move(moved)); }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Server, IsInConflictWithASecondOne) {
  const auto second = HookServer::listen(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_NE(second.error().message().find(path_), std::string::npos);
  server_->accept_all();  // the probe of the second one
  const auto [fd, hook] = a_hook();
  EXPECT_NE(hook, 0U) << "and the first goes on";
}

TEST_F(Server, ReplacesTheFileOfADeadOne) {
  server_.reset();
  leave_dead_socket(path_);
  const auto again = HookServer::listen(path_);
  ASSERT_TRUE(again) << again.error().message();
  (void)connect_to(path_);
}

TEST_F(Server, RefusesAPathThatNoSocketCanHave) {
  const auto server = HookServer::listen(dir_ / std::string(120, 'x'));
  ASSERT_FALSE(server);
  EXPECT_NE(server.error().message().find("107"), std::string::npos);
}

TEST_F(Server, BreaksOffWhoeverDoesNotComeToTheEndOfAMessage) {
  const auto [silent, silent_hook] = a_hook();
  const auto [slow, slow_hook] = a_hook();
  const auto [good, good_hook] = a_hook();
  ASSERT_TRUE(write_frame(good.get(), encode(an_event()), Clock::now() + seconds(5)));
  ASSERT_EQ(input_of(good_hook).messages.size(), 1U);
  ASSERT_EQ(::send(slow.get(), "\0\0\1", 3, 0), 3);
  server_->break_off_slow(Clock::now() + seconds(9));
  EXPECT_FALSE(server_->read(slow_hook).closed);
  server_->break_off_slow(Clock::now() + seconds(11));
  EXPECT_TRUE(input_of(slow_hook).closed);
  EXPECT_TRUE(input_of(silent_hook).closed);
  EXPECT_FALSE(server_->read(good_hook).closed) << "it waits for its answer, however long that takes";
}

TEST_F(Server, HandsOutMessagesInOrder) {
  const auto [fd, hook] = a_hook();
  for (std::uint64_t i = 1; i <= 3; ++i) {
    Message message = an_event();
    message.sequence = i;
    ASSERT_TRUE(write_frame(fd.get(), encode(message), Clock::now() + seconds(5)));
  }
  const HookInput input = input_of(hook);
  ASSERT_EQ(input.messages.size(), 3U);
  EXPECT_EQ(input.messages[2].sequence, 3U);
  EXPECT_FALSE(input.closed);
}

TEST_F(Server, TellsThatAHookHasGoneWithWhatItSaidBefore) {
  auto [fd, hook] = a_hook();
  ASSERT_TRUE(write_frame(fd.get(), encode(an_event()), Clock::now() + seconds(5)));
  fd.reset();
  HookInput input = input_of(hook);
  EXPECT_EQ(input.messages.size(), 1U);
  if (!input.closed) input = input_of(hook);
  EXPECT_TRUE(input.closed);
  EXPECT_EQ(input.problem, "");
  server_->drop(hook);
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(Server, EndsAHookThatIsNotToBeUnderstood) {
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(4, '\0'), std::string(4, '\xff'),
                                   std::string("\x00\x00\x00\x03xyz", 7), std::string("\x01\x80\x00\x01", 4)}) {
    const auto [fd, hook] = a_hook();
    ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    const HookInput input = input_of(hook);
    EXPECT_TRUE(input.closed);
    EXPECT_FALSE(input.problem.empty());
    server_->drop(hook);
  }
}

TEST_F(Server, WaitsForTheRestOfAHalfMessageWithoutBlocking) {
  const auto [fd, hook] = a_hook();
  const std::string frame = encode(an_event());
  const std::string half = std::string("\0\0\0", 3) + static_cast<char>(frame.size()) + frame.substr(0, 5);
  ASSERT_EQ(::send(fd.get(), half.data(), half.size(), 0), static_cast<ssize_t>(half.size()));
  ASSERT_TRUE(readable(server_->interests().back().fd));
  EXPECT_TRUE(server_->read(hook).messages.empty());
  ASSERT_EQ(::send(fd.get(), frame.data() + 5, frame.size() - 5, 0), static_cast<ssize_t>(frame.size() - 5));
  EXPECT_EQ(input_of(hook).messages.size(), 1U);
}

TEST_F(Server, GoesOnWritingWhenASlowHookReadsAgain) {
  const auto [fd, hook] = a_hook();
  const Message large = an_event(200'000);
  server_->send(hook, large, false);
  ASSERT_TRUE(server_->interests().back().wants_write) << "more than a socket takes at once";
  FrameReader reader(kMaxFrame);
  std::vector<std::string> frames;
  const TimePoint end = Clock::now() + seconds(10);
  while (frames.empty() && Clock::now() < end && readable(fd.get())) {
    auto batch = reader.read_available(fd.get());
    ASSERT_TRUE(batch);
    frames = std::move(batch->frames);
    server_->flush(hook);
  }
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0], encode(large));
  EXPECT_FALSE(server_->interests().back().wants_write);
}

TEST_F(Server, BreaksOffWithAHookThatNeverReads) {
  const auto [fd, hook] = a_hook();
  const Message large = an_event(200'000);
  server_->send(hook, large, false);
  for (int i = 0; i < 1'000 && server_->interests().back().wants_write; ++i) server_->send(hook, large, false);
  EXPECT_FALSE(server_->interests().back().wants_write) << "what waits for one hook is bounded";
  EXPECT_TRUE(input_of(hook).closed);
}

TEST_F(Server, TellsThatAHookHasGoneWhenItIsFoundOutByWriting) {
  auto [fd, hook] = a_hook();
  fd.reset();
  server_->send(hook, an_event(), false);
  EXPECT_TRUE(input_of(hook).closed);
}

TEST_F(Server, ClosesTheConnectionBehindTheLastMessage) {
  const auto [fd, hook] = a_hook();
  server_->send(hook, an_event(), true);
  EXPECT_EQ(server_->connections(), 0U);
  FrameReader reader(kMaxFrame);
  ASSERT_TRUE(readable(fd.get()));
  const auto batch = reader.read_available(fd.get());
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->frames.size(), 1U) << "whole, and then the end";
}

TEST_F(Server, TakesNoOffenceAtHooksItDoesNotKnow) {
  server_->send(99, an_event(), true);
  server_->flush(99);
  server_->drop(99);
  EXPECT_TRUE(server_->read(99).messages.empty());
}

TEST(Adopted, ConnectionIsServedAloneWithoutAListener) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const Fd ours(pair[0]);
  auto server = HookServer::adopt(Fd(pair[1]));
  ASSERT_TRUE(server) << server.error().message();
  ASSERT_EQ(server->interests().size(), 1U);
  const HookId hook = server->interests()[0].hook;
  ASSERT_TRUE(write_frame(ours.get(), encode(an_event()), Clock::now() + seconds(5)));
  EXPECT_EQ(server->read(hook).messages.size(), 1U);
  EXPECT_FALSE(HookServer::adopt(Fd(-1)));
}

}  // namespace
}  // namespace lockstep::agent
