#include "cli/criu_process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <thread>

#include "cli/files.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

using namespace std::chrono_literals;

class CriuProcessTest : public testing::Test {
 protected:
  CriuCommand shell(const std::string& script) const {
    CriuCommand command;
    command.argv = {"sh", "-c", script};
    command.output = folder_ / "out";
    return command;
  }
  static std::optional<ProcessExit> wait(CriuProcess& process) {
    pollfd end{process.pidfd(), POLLIN, 0};
    ::poll(&end, 1, 10'000);
    return process.poll();
  }
  test::TempDir folder_;
};

TEST_F(CriuProcessTest, TellsHowItEnded) {
  auto process = CriuProcess::start(shell("echo out; echo err >&2; exit 3"));
  ASSERT_TRUE(process) << process.error().message();
  const auto exit = wait(*process);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 3);
  EXPECT_FALSE(exit->ok());
  EXPECT_EQ(exit->text(), "exit code 3");
  EXPECT_EQ(test::read_file(folder_ / "out"), "out\nerr\n");
  EXPECT_EQ(process->poll()->code, 3);  // asked again
}

TEST_F(CriuProcessTest, HasItsEnvironmentAndNoStdin) {
  auto command = shell("echo $LOCKSTEP_ROUND:$HOME; cat");
  command.environment = {"LOCKSTEP_ROUND=r1", "HOME=/changed"};
  auto process = CriuProcess::start(command);
  ASSERT_TRUE(process);
  ASSERT_TRUE(wait(*process)->ok());
  EXPECT_EQ(test::read_file(folder_ / "out"), "r1:/changed\n");
}

TEST_F(CriuProcessTest, GetsThePodUnderItsNumberAndNothingElse) {
  const Fd pod(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  auto command = shell("stat -Lc %i /proc/self/fd/3; ls /proc/$$/fd | tr '\\n' ' '");
  command.pod_fd = pod.get();
  auto process = CriuProcess::start(command);
  ASSERT_TRUE(process);
  ASSERT_TRUE(wait(*process)->ok());
  struct stat info {};
  ASSERT_EQ(::fstat(pod.get(), &info), 0);
  EXPECT_EQ(test::read_file(folder_ / "out"), std::to_string(info.st_ino) + "\n0 1 2 3 ");
}

TEST_F(CriuProcessTest, RunsInAGroupOfItsOwnWithNoSignalBlocked) {
  sigset_t blocked;
  sigset_t previous;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &previous);
  auto process = CriuProcess::start(shell("sleep 60 & wait"));
  ::pthread_sigmask(SIG_SETMASK, &previous, nullptr);
  ASSERT_TRUE(process);
  EXPECT_EQ(::getpgid(process->pid()), process->pid());
  EXPECT_FALSE(process->poll());
  process->signal_group(SIGTERM);
  const auto exit = wait(*process);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->signal, SIGTERM);
  EXPECT_EQ(exit->text(), "killed by signal 15 (Terminated)");
}

TEST_F(CriuProcessTest, DiesWithItsOwner) {
  pid_t pid = 0;
  {
    auto process = CriuProcess::start(shell("sleep 60"));
    ASSERT_TRUE(process);
    pid = process->pid();
    const CriuProcess moved(std::move(*process));
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(CriuProcessTest, SaysThatAProgramIsMissing) {
  auto command = shell("");
  command.argv = {"/nonexistent/criu"};
  const auto process = CriuProcess::start(command);
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code, ErrorCode::not_found);
  EXPECT_EQ(process.error().message(), "start /nonexistent/criu: No such file or directory");
}

TEST(RunProgram, GivesWhatItPrints) {
  const auto printed = run_program({"sh", "-c", "echo 'Version: 4.2'; exit 1"}, 10s);
  ASSERT_TRUE(printed);
  EXPECT_EQ(printed->output, "Version: 4.2\n");
  EXPECT_EQ(printed->exit.code, 1);
}

TEST(RunProgram, DoesNotWaitForEver) {
  const auto printed = run_program({"sleep", "60"}, 50ms);
  ASSERT_FALSE(printed);
  EXPECT_EQ(printed.error().code, ErrorCode::timeout);
}

TEST(RunProgram, EndsWithASignalThatIsBlocked) {
  sigset_t term;
  sigset_t before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &term, &before), 0);
  std::jthread sender([thread = ::pthread_self()] {
    std::this_thread::sleep_for(100ms);
    ::pthread_kill(thread, SIGTERM);
  });
  const auto begun = Clock::now();
  const auto printed = run_program({"sleep", "60"}, 60s);
  EXPECT_LT(Clock::now() - begun, 10s);
  const timespec none{};
  EXPECT_EQ(::sigtimedwait(&term, nullptr, &none), SIGTERM) << "whoever has blocked it still finds it";
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_FALSE(printed);
  EXPECT_EQ(printed.error().code, ErrorCode::refused);
}

TEST(Files, AreReplacedWhole) {
  test::TempDir folder;
  ASSERT_TRUE(replace_file(folder / "f", "one"));
  ASSERT_TRUE(replace_file(folder / "f", "two"));
  EXPECT_EQ(test::read_file(folder / "f"), "two");
  EXPECT_FALSE(replace_file(folder / "no/f", "x"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  ASSERT_TRUE(remove_file(folder / "f"));
  ASSERT_TRUE(remove_file(folder / "f"));
}

TEST(Files, AreReadWithinLimits) {
  test::TempDir folder;
  test::write_file(folder / "f", std::string(100, 'a') + std::string(100, 'b'));
  EXPECT_EQ(read_file(folder / "f", 200)->size(), 200U);
  EXPECT_FALSE(read_file(folder / "f", 199));
  EXPECT_EQ(*read_tail(folder / "f", 100), std::string(100, 'b'));
  EXPECT_EQ(read_tail(folder / "f", 1000)->size(), 200U);
  EXPECT_EQ(read_file(folder / "none", 1).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace lockstep::cli
