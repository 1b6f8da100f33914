/// Reading the ledgers of clients (client/ledger_file.hpp): what was acknowledged, in which order, with which pauses.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lockstep::apps {

/// What is wrong, in words; empty when nothing is.
using Faults = std::vector<std::string>;
inline void add(Faults& faults, const Faults& more) { faults.insert(faults.end(), more.begin(), more.end()); }

class Ledger {
 public:
  /// `name`: for faults.
  Ledger(std::string name, std::filesystem::path file) : name_(std::move(name)), file_(std::move(file)) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  /// Takes in what has been added since the last time.
  void read();
  /// For each connection, the number that was acknowledged last.
  [[nodiscard]] const std::map<std::uint32_t, std::uint32_t>& last() const { return last_; }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  /// Numbers that did not follow the one before them on their connection.
  [[nodiscard]] const Faults& faults() const { return faults_; }
  /// The longest time between two entries of one connection that ended after forget_pauses().
  [[nodiscard]] std::chrono::microseconds longest_pause() const { return longest_pause_; }
  void forget_pauses() { longest_pause_ = {}; }
  /// After a rollback: the file is another one.
  void begin_anew() { *this = Ledger(name_, file_); }

 private:
  void note(std::uint32_t connection, std::uint32_t sequence, std::int64_t time_us);

  std::string name_;
  std::filesystem::path file_;
  std::uint64_t entries_ = 0;
  std::map<std::uint32_t, std::uint32_t> last_;
  std::map<std::uint32_t, std::int64_t> last_time_;
  std::chrono::microseconds longest_pause_{};
  Faults faults_;
};

/// The numbers found on a server for one connection, against those that were acknowledged: 1, 2, 3 … up to the last
/// one, each once.
[[nodiscard]] Faults compare(const std::string& where, std::uint32_t connection, std::uint32_t acknowledged,
                             const std::vector<std::uint32_t>& found);

}  // namespace lockstep::apps
