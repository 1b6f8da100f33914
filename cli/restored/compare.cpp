#include "cli/restored/compare.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace lockstep::cli {
namespace {

using images::SavedFile;
using images::SavedLimit;
using images::SavedProcess;
using std::chrono::nanoseconds;
using Kind = RestoreDifference::Kind;

/// What the kernel calls them in /proc/PID/limits, by RLIMIT_'s numbers.
constexpr std::array<std::string_view, 16> kLimitNames{
    "Max cpu time",       "Max file size",     "Max data size",         "Max stack size",
    "Max core file size", "Max resident set",  "Max processes",         "Max open files",
    "Max locked memory",  "Max address space", "Max file locks",        "Max pending signals",
    "Max msgqueue size",  "Max nice priority", "Max realtime priority", "Max realtime timeout"};

/// What the reading of two clocks one after the other may come to, and more.
constexpr nanoseconds kSlack = std::chrono::seconds(1);

std::string number_text(std::uint64_t limit) { return limit == kUnlimited ? "unlimited" : std::to_string(limit); }

std::string limit_text(std::uint64_t soft, std::uint64_t hard) {
  return number_text(soft) + (soft == hard ? "" : " (hard: " + number_text(hard) + ")");
}

std::string seconds_text(nanoseconds time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f s", std::chrono::duration<double>(time).count());
  return text.data();
}

std::string_view last_part(std::string_view path) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  return path.substr(path.rfind('/') + 1);
}

class Comparison {
 public:
  Comparison(const images::ProcessImages& saved, const LiveTree& live, nanoseconds since)
      : saved_(saved), live_(live), since_(since) {}

  std::vector<RestoreDifference> run() {
    for (const SavedProcess& saved : saved_.processes) {
      // One that is not there any more has ended since: its own affair.
      const auto live = std::ranges::find(live_.processes, saved.pid, &LiveProcess::own_pid);
      if (live == live_.processes.end()) continue;
      process_ = &*live;
      check_limits(saved);
      check_files(saved);
    }
    check_clocks();
    return std::move(found_);
  }

 private:
  void add(Kind kind, std::string what, std::string saved, std::string found, std::string remedy) {
    found_.push_back(
        {kind, process_->pid, process_->name, std::move(what), std::move(saved), std::move(found), std::move(remedy)});
  }

  void check_limits(const SavedProcess& saved) {
    for (std::size_t i = 0; i < std::min(saved.limits.size(), kLimitNames.size()); ++i) {
      const SavedLimit& was = saved.limits[i];
      const auto is = std::ranges::find(process_->limits, kLimitNames[i], &Limit::name);
      if (is == process_->limits.end() || (is->soft == was.soft && is->hard == was.hard)) continue;
      const bool lowered = is->hard < was.hard;
      add(Kind::limit, std::string(kLimitNames[i].substr(4)), limit_text(was.soft, was.hard),
          limit_text(is->soft, is->hard),
          lowered ? "raise the restorer's hard limit, or give it CAP_SYS_RESOURCE; prlimit(1) sets it meanwhile"
                  : "CRIU has not lowered it: somebody has changed it since");
    }
  }

  void check_files(const SavedProcess& saved) {
    for (const SavedFile& was : saved.files) {
      const auto is = process_->files.find(was.fd);
      if (is == process_->files.end() || last_part(is->second.path) != last_part(was.name)) continue;
      if (is->second.size >= was.size) continue;
      add(Kind::file, was.name + " (descriptor " + std::to_string(was.fd) + ")", std::to_string(was.size) + " bytes",
          std::to_string(is->second.size) + " bytes",
          was.is_place ? "its writer had got so far: it was cut off after the dump, or by a rotation before it"
                       : "it was cut off after the dump: bring its files back as they were then (commands: at: frozen)");
    }
  }

  void check_clocks() {
    if (live_.processes.empty() || !live_.clocks) return;
    process_ = &live_.processes.front();
    if (saved_.clocks) {
      check_clock("CLOCK_MONOTONIC", saved_.clocks->monotonic, live_.clocks->monotonic);
      check_clock("CLOCK_BOOTTIME", saved_.clocks->boottime, live_.clocks->boottime);
    } else if (saved_.uptime && live_.clocks->boottime + kSlack < *saved_.uptime) {
      add(Kind::clock, "CLOCK_BOOTTIME", seconds_text(*saved_.uptime), seconds_text(live_.clocks->boottime),
          "it has gone backwards, since the machine of the dump was up for longer and had no time namespaces: restart "
          "what "
          "relies on monotonic time");
    }
  }

  void check_clock(const char* name, nanoseconds was, nanoseconds is) {
    if (is < was) {
      add(Kind::clock, name, seconds_text(was), seconds_text(is),
          "it has gone backwards: CRIU has made no time namespace (kernel's CONFIG_TIME_NS), and timers come late");
    } else if (is > was + since_ + kSlack) {
      add(Kind::clock, name, seconds_text(was), seconds_text(is),
          "it has jumped ahead: CRIU has made no time namespace (kernel's CONFIG_TIME_NS), and timeouts are over");
    }
  }

  const images::ProcessImages& saved_;
  const LiveTree& live_;
  nanoseconds since_;
  const LiveProcess* process_ = nullptr;
  std::vector<RestoreDifference> found_;
};

}  // namespace

std::string_view to_string(RestoreDifference::Kind kind) {
  switch (kind) {
    case Kind::limit: return "limit";
    case Kind::file: return "file";
    case Kind::clock: return "clock";
  }
  return "?";
}

std::string RestoreDifference::text() const {
  return "process " + std::to_string(pid) + " (" + process + "): " + what + " " + found + ", was " + saved + ": " +
         remedy;
}

std::vector<RestoreDifference> compare_restored(const images::ProcessImages& saved, const LiveTree& live,
                                                milliseconds since) {
  return Comparison(saved, live, since).run();
}

}  // namespace lockstep::cli
