#include "cli/display.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "common/fd.hpp"
#include "tests/unit/cli/samples.hpp"

namespace lockstep::cli {
namespace {

std::string content_of(const Fd& file) {
  std::string text(100'000, '\0');
  text.resize(static_cast<std::size_t>(::pread(file.get(), text.data(), text.size(), 0)));
  return text;
}

TEST(PhaseWord, FollowsAMemberThroughADump) {
  MemberStatus member;
  const auto word = [&] { return std::string(phase_word(Operation::dump, true, member)); };
  EXPECT_EQ(word(), "starting");
  std::vector<std::string> words;
  for (auto& times : member.phases) {
    times.arrived_us = 1;
    words.push_back(word());
    times.ready_us = 2;
    words.push_back(word());
    times.released_us = 3;
    words.push_back(word());
  }
  EXPECT_EQ(words, (std::vector<std::string>{"preparing", "prepared, waits", "freezing", "frozen, locking",
                                             "locked, waits", "dumping", "dumped, voting", "voted, waits", "committed",
                                             "unlocking", "unlocked, waits", "running"}));
  member.criu = CriuOutcome::succeeded;
  EXPECT_EQ(word(), "done, running");
  EXPECT_EQ(phase_word(Operation::dump, false, member), "done");
  member.criu = CriuOutcome::failed;
  EXPECT_EQ(word(), "failed");
}

TEST(Display, SaysEachChangeOnceWhereThereIsNoTerminal) {
  const Fd file(::memfd_create("display", 0));
  Display display(Display::Mode::plain, file.get());
  RoundStatus status;
  status.members = {fresh_member("server"), fresh_member("b")};
  display.update(status, milliseconds(1));
  display.update(status, milliseconds(2));
  display.note("a word");
  status.members[1].phases[0].arrived_us = 1;
  display.update(status, milliseconds(1503));
  EXPECT_EQ(content_of(file),
            "  0.001 s  server  starting\n  0.001 s  b       starting\na word\n  1.503 s  b       preparing\n");
}

TEST(Display, RedrawsItsLinesOnATerminal) {
  const Fd file(::memfd_create("display", 0));
  Display display(Display::Mode::live, file.get());
  RoundStatus status;
  status.members = {fresh_member("a"), fresh_member("b")};
  display.update(status, milliseconds(1));
  display.update(status, milliseconds(2));
  display.note("a word");
  const std::string picture = "\033[2Ka    0.001 s  starting\n\033[2Kb    0.001 s  starting\n";
  const std::string second = "\033[2Ka    0.002 s  starting\n\033[2Kb    0.002 s  starting\n";
  EXPECT_EQ(content_of(file), picture + "\033[2A" + second + "\033[2A\033[Ja word\n" + second);
}

TEST(Display, IsQuietWhenAsked) {
  const Fd file(::memfd_create("display", 0));
  Display display(Display::mode_for(file.get(), true, 2), file.get());
  display.update(sample_dump(), milliseconds(1));
  display.note("a word");
  EXPECT_EQ(content_of(file), "");
  EXPECT_EQ(Display::mode_for(file.get(), false, 2), Display::Mode::plain);
}

}  // namespace
}  // namespace lockstep::cli
