#include "cli/verify_report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/text_table.hpp"
#include "schemas/endpoint_text.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {
namespace {

using images::Flow;
using images::TcpEnd;
using Json = nlohmann::ordered_json;

constexpr std::size_t kShownConnections = 200;

std::string counted(std::size_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string name_of(const CutMember& member) { return member.id.empty() ? member.images : member.id.value; }

std::string end_text(const CutSummary& summary, std::size_t member, const TcpEnd& end) {
  return printable(name_of(summary.members[member])) + " " + endpoint_text(end.local);
}

std::string in_flight_text(const Flow& flow) { return flow.misfit.empty() ? std::to_string(flow.in_flight) : "-"; }

std::string table_text(const CutSummary& summary) {
  std::vector<const CutConnection*> rows;
  for (const auto& connection : summary.connections) rows.push_back(&connection);
  std::stable_partition(rows.begin(), rows.end(), [](const CutConnection* row) { return !row->check.fits(); });
  TextTable table(
      {"a", "b", "states", "a sent", "b received", "in flight", "b sent", "a received", "in flight", "fits"});
  for (std::size_t i = 0; i < rows.size() && i < kShownConnections; ++i) {
    const CutConnection& row = *rows[i];
    const Flow& forth = row.check.forth;
    const Flow& back = row.check.back;
    table.add({end_text(summary, row.a, row.a_end), end_text(summary, row.b, row.b_end),
               std::string(to_string(row.a_end.state)) + "/" + std::string(to_string(row.b_end.state)),
               std::to_string(forth.sent), std::to_string(forth.received), in_flight_text(forth),
               std::to_string(back.sent), std::to_string(back.received), in_flight_text(back),
               row.check.fits() ? "yes" : "NO"});
  }
  std::string text = table.text();
  if (rows.size() > kShownConnections) {
    text += "and " + std::to_string(rows.size() - kShownConnections) + " more; --output json lists all\n";
  }
  return text + "(sent, received: sequence numbers; in flight: bytes, which are sent again after a restore)\n";
}

std::string misfit_lines(const CutSummary& summary) {
  std::string text;
  std::size_t shown = 0;
  for (const auto& row : summary.connections) {
    if (row.check.fits() || ++shown > kShownConnections) continue;
    const std::string a = end_text(summary, row.a, row.a_end);
    const std::string b = end_text(summary, row.b, row.b_end);
    if (!row.check.misfit.empty()) text += a + " and " + b + ": " + row.check.misfit + "\n";
    if (!row.check.forth.misfit.empty()) text += a + " to " + b + ": " + row.check.forth.misfit + "\n";
    if (!row.check.back.misfit.empty()) text += b + " to " + a + ": " + row.check.back.misfit + "\n";
  }
  return text;
}

std::string others_text(const CutSummary& summary) {
  std::string text = std::to_string(summary.external) + " external";
  if (summary.ambiguous != 0) text += ", " + std::to_string(summary.ambiguous) + " ambiguous";
  if (summary.opening != 0) text += ", " + std::to_string(summary.opening) + " opening";
  if (summary.closed != 0) text += ", " + std::to_string(summary.closed) + " closed";
  return text;
}

Json flow_json(const Flow& flow) {
  return {{"acknowledged", flow.acknowledged},
          {"sent", flow.sent},
          {"received", flow.received},
          {"in_flight_bytes", flow.in_flight},
          {"unsent_bytes", flow.unsent},
          {"unread_bytes", flow.unread},
          {"gap_bytes", flow.gap},
          {"misfit", flow.misfit.empty() ? Json(nullptr) : Json(flow.misfit)}};
}

Json end_json(const CutSummary& summary, std::size_t member, const TcpEnd& end) {
  return {{"member", name_of(summary.members[member])},
          {"local", endpoint_text(end.local)},
          {"remote", endpoint_text(end.remote)},
          {"state", to_string(end.state)},
          {"inode", end.inode}};
}

}  // namespace

std::string cut_line(const CutSummary& summary) {
  const std::size_t misfits = summary.misfits();
  const std::size_t internal = summary.connections.size();
  const std::string round = summary.round.empty() ? "images of no known round"
                                                  : "round " + summary.round.value + " of group " + summary.group.value;
  if (summary.consistent()) {
    return round + ": consistent: " + counted(summary.members.size(), "member", "members") + ", " +
           counted(internal, "internal connection fits", "internal connections fit") + ", " +
           counted(summary.bytes_in_flight(), "byte", "bytes") + " in flight, " + others_text(summary);
  }
  std::string why;
  if (misfits != 0) {
    why = std::to_string(misfits) + " of " + counted(internal, "internal connection", "internal connections") +
          (misfits == 1 ? " does not fit" : " do not fit");
  }
  if (!summary.problems.empty()) {
    why += (why.empty() ? "" : ", ") + printable(summary.problems.front());
    if (summary.problems.size() > 1) {
      why += ", and " + counted(summary.problems.size() - 1, "more problem", "more problems");
    }
  }
  return round + ": NOT consistent: " + why;
}

std::string cut_text(const CutSummary& summary) {
  std::string text = summary.connections.empty() ? "no internal connections\n" : table_text(summary);
  text += others_text(summary) + "\n";
  if (const std::string misfits = misfit_lines(summary); !misfits.empty()) text += "\n" + misfits;
  if (!summary.problems.empty()) text += "\n";
  for (const auto& problem : summary.problems) text += printable(problem) + "\n";
  if (!summary.remarks.empty()) text += "\n";
  for (const auto& remark : summary.remarks) text += "remark: " + printable(remark) + "\n";
  return text + "\n" + cut_line(summary) + "\n";
}

std::string cut_json(const CutSummary& summary, int exit_code) {
  Json json = {{"round", summary.round.empty() ? Json(nullptr) : Json(summary.round.value)},
               {"group", summary.group.empty() ? Json(nullptr) : Json(summary.group.value)},
               {"consistent", summary.consistent()},
               {"exit_code", exit_code},
               {"internal", summary.connections.size()},
               {"misfits", summary.misfits()},
               {"in_flight_bytes", summary.bytes_in_flight()},
               {"external", summary.external},
               {"ambiguous", summary.ambiguous},
               {"opening", summary.opening},
               {"closed", summary.closed},
               {"members", Json::array()},
               {"connections", Json::array()},
               {"problems", summary.problems},
               {"remarks", summary.remarks}};
  for (const auto& member : summary.members) {
    json["members"].push_back({{"id", member.id.empty() ? Json(nullptr) : Json(member.id.value)},
                               {"images", member.images},
                               {"connections", member.connections}});
  }
  for (const auto& row : summary.connections) {
    json["connections"].push_back({{"a", end_json(summary, row.a, row.a_end)},
                                   {"b", end_json(summary, row.b, row.b_end)},
                                   {"translated", row.translated},
                                   {"fits", row.check.fits()},
                                   {"misfit", row.check.misfit.empty() ? Json(nullptr) : Json(row.check.misfit)},
                                   {"a_to_b", flow_json(row.check.forth)},
                                   {"b_to_a", flow_json(row.check.back)}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lockstep::cli
