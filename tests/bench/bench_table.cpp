/// lockstep-bench-table [--markdown] FILE…: the JSON results of all benchmark programs as one table.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/text_table.hpp"
#include "tests/bench/table_rows.hpp"

namespace {

using lockstep::bench::TableRow;
using nlohmann::json;

const std::vector<std::string> kHeader{"what", "peers, measured earlier", "floor", "lockstep", "ratio", "at most",
                                       "met"};

std::vector<std::string> cells_of(const TableRow& row) {
  return {row.what, row.peers, row.floor, row.ours, row.ratio, row.target, row.met ? (*row.met ? "yes" : "NO") : ""};
}

std::string markdown_line(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += " " + cell + " |";
  return line + "\n";
}

std::string markdown(const std::vector<TableRow>& rows) {
  std::string text = markdown_line(kHeader) + markdown_line(std::vector<std::string>(kHeader.size(), "---"));
  for (const TableRow& row : rows) text += markdown_line(cells_of(row));
  return text;
}

std::string plain(const std::vector<TableRow>& rows) {
  lockstep::cli::TextTable table(kHeader);
  for (const TableRow& row : rows) table.add(cells_of(row));
  return table.text();
}

/// All files' results in one object. Every Google Benchmark program brings a list of the same name.
json read_all(const std::vector<std::string>& paths) {
  json all = json::object();
  for (const std::string& path : paths) {
    std::ifstream file(path);
    json one = json::parse(file, nullptr, false);
    if (!one.is_object()) throw std::runtime_error(path + " holds no JSON object");
    json benchmarks = all.value("benchmarks", json::array());
    for (const json& benchmark : one.value("benchmarks", json::array())) benchmarks.push_back(benchmark);
    all.update(one);
    all["benchmarks"] = std::move(benchmarks);
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Makes one table of the benchmarks' JSON results.", "lockstep-bench-table");
  std::vector<std::string> paths;
  bool as_markdown = false;
  app.add_option("FILE", paths, "What a benchmark program has printed with --json, or --benchmark_out")->required();
  app.add_flag("--markdown", as_markdown, "A Markdown table");
  CLI11_PARSE(app, argc, argv);
  try {
    const std::vector<TableRow> rows = lockstep::bench::table_rows(read_all(paths));
    std::fputs((as_markdown ? markdown(rows) : plain(rows)).c_str(), stdout);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep-bench-table: %s\n", error.what());
    return 1;
  }
  return 0;
}
