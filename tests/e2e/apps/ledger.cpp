#include "tests/e2e/apps/ledger.hpp"

#include <algorithm>
#include <array>
#include <fstream>

#include "tests/e2e/apps/client/ledger_file.hpp"

namespace lockstep::apps {
namespace {

constexpr std::size_t kMostFaults = 10;  // more tell nothing new

}  // namespace

void Ledger::read() {
  std::ifstream file(file_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(entries_ * sizeof(LedgerEntry)));
  std::array<LedgerEntry, 1024> block;
  while (file) {
    file.read(reinterpret_cast<char*>(block.data()), sizeof block);
    const auto whole = static_cast<std::size_t>(file.gcount()) / sizeof(LedgerEntry);
    for (std::size_t i = 0; i < whole; ++i) note(block[i].connection, block[i].sequence, block[i].time_us);
    entries_ += whole;
  }
}

void Ledger::note(std::uint32_t connection, std::uint32_t sequence, std::int64_t time_us) {
  std::uint32_t& last = last_[connection];
  if (sequence != last + 1 && faults_.size() < kMostFaults) {
    faults_.push_back(name_ + ": connection " + std::to_string(connection) + ": " + std::to_string(sequence) +
                      " was acknowledged after " + std::to_string(last));
  }
  last = sequence;
  std::int64_t& last_time = last_time_[connection];
  if (last_time != 0) longest_pause_ = std::max(longest_pause_, std::chrono::microseconds(time_us - last_time));
  last_time = time_us;
}

Faults compare(const std::string& where, std::uint32_t connection, std::uint32_t acknowledged,
               const std::vector<std::uint32_t>& found) {
  std::vector<std::uint32_t> times(acknowledged + 1, 0);
  std::size_t made_up = 0;
  for (const std::uint32_t number : found) {
    if (number >= 1 && number <= acknowledged) {
      ++times[number];
    } else {
      ++made_up;
    }
  }
  const auto lost = std::count(times.begin() + 1, times.end(), 0U);
  const auto doubled = std::count_if(times.begin() + 1, times.end(), [](std::uint32_t n) { return n > 1; });
  if (lost == 0 && doubled == 0 && made_up == 0) return {};
  return {where + ": connection " + std::to_string(connection) + ": of " + std::to_string(acknowledged) +
          " acknowledged writes " + std::to_string(lost) + " are lost, " + std::to_string(doubled) + " doubled, and " +
          std::to_string(made_up) + " were never acknowledged"};
}

}  // namespace lockstep::apps
