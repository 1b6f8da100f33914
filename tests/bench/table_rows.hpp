/// What the benchmarks' results say, as rows of one table. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::bench {

/// What the project has set out to reach.
struct Target {
  double limit = 0;
  std::string text;
};

struct TableRow {
  std::string what;
  std::string peers;  ///< what others cost, measured earlier on one machine of 2 processors
  std::string floor;  ///< what the least that would do costs, in the same run
  std::string ours;
  std::string ratio;  ///< ours to the floor
  std::string target;
  std::optional<bool> met;  ///< nothing where there is no target
};

/// Rows for all results that are there: `results` is the union of the programs' JSON objects, and under "benchmarks"
/// the list of all results of Google Benchmark programs.
[[nodiscard]] std::vector<TableRow> table_rows(const nlohmann::json& results);

}  // namespace lockstep::bench
