#include "cli/connection_graph.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "cli/files.hpp"
#include "cli/images/record_check.hpp"
#include "cli/text_table.hpp"
#include "schemas/codec.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep::cli {
namespace {

/// Far ends that stand for nobody in particular, such as a listener's.
bool is_listener(const GraphEdge& edge) { return edge.label == ConnectionLabel::listening; }

std::string member_name(const ConnectionGraph& graph, int place) {
  return place < 0 ? "-" : graph.members[static_cast<std::size_t>(place)].value;
}

std::string label_text(const GraphEdge& edge) {
  std::string text(to_string(edge.label));
  if (edge.doubt != Doubt::none) text += " (" + std::string(to_string(edge.doubt)) + ")";
  return text;
}

/// A Graphviz string.
std::string dot_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

}  // namespace

Result<ConnectionGraph> read_graph(const std::vector<std::string>& folders) {
  std::vector<Record> records;
  for (const std::string& folder : folders) {
    auto bytes = read_file(folder + "/" + std::string(kRecordFile), kMaxFrame);
    if (!bytes) return fail_from(bytes.error(), "images folder " + folder);
    auto record = decode_record(*bytes);
    if (!record) return fail_from(record.error(), "images folder " + folder);
    if (!records.empty() && (record->round != records.front().round || record->group != records.front().group)) {
      return fail(
          ErrorCode::invalid, "images folder " + folder,
          "is of round " + record->round.value + ", " + folders.front() + " of round " + records.front().round.value);
    }
    records.push_back(std::move(*record));
  }
  std::vector<Record*> open;
  for (Record& record : records) open.push_back(&record);
  if (const auto problems = images::complete_records(folders, open); !problems.empty()) {
    return fail(ErrorCode::invalid, "images folder " + problems.front());
  }
  return make_graph(records);
}

ConnectionGraph make_graph(const std::vector<Record>& records) {
  ConnectionGraph graph;
  if (records.empty()) return graph;
  graph.round = records.front().round;
  graph.group = records.front().group;
  graph.members = records.front().members;
  std::unordered_map<MemberId, std::size_t> places;
  for (std::size_t i = 0; i < graph.members.size(); ++i) places.emplace(graph.members[i], i);
  std::vector<bool> here(graph.members.size());
  for (const Record& record : records) {
    if (const auto place = places.find(record.member); place != places.end()) here[place->second] = true;
  }
  for (const Record& record : records) {
    const auto place = places.find(record.member);
    if (place == places.end()) continue;
    for (std::size_t i = 0; i < record.sockets.size(); ++i) {
      const SocketLabel& label = record.labels[i];
      const auto self = static_cast<std::int32_t>(place->second);
      // The same connection stands in the other end's record too.
      const bool other_tells_it =
          label.has_peer() &&
          (label.peer_member < self || (label.peer_member == self && label.peer_socket < static_cast<std::int32_t>(i)));
      if (other_tells_it && here[static_cast<std::size_t>(label.peer_member)]) continue;
      graph.edges.push_back({place->second, label.peer_member, record.sockets[i], label.label, label.doubt});
    }
  }
  std::ranges::stable_sort(graph.edges, {}, is_listener);
  return graph;
}

std::string graph_text(const ConnectionGraph& graph) {
  TextTable table({"member", "peer", "connection", "state", "label", "unread", "unsent"});
  std::map<std::string, std::size_t> counts;
  for (const GraphEdge& edge : graph.edges) {
    ++counts[std::string(to_string(edge.label))];
    table.add({graph.members[edge.member].value, member_name(graph, edge.peer), connection_text(edge.socket),
               std::string(to_string(edge.socket.state)), label_text(edge),
               is_listener(edge) ? "-" : std::to_string(edge.socket.receive_queue),
               is_listener(edge) ? "-" : std::to_string(edge.socket.send_queue)});
  }
  std::string text = table.text() + "\nround " + graph.round.value + " of group " + graph.group.value + ":";
  for (const auto& [label, count] : counts) text += " " + std::to_string(count) + " " + label + ",";
  text.back() = '\n';
  return text;
}

std::string graph_json(const ConnectionGraph& graph) {
  using Json = nlohmann::ordered_json;
  Json json = {{"round", graph.round.value},
               {"group", graph.group.value},
               {"members", Json::array()},
               {"connections", Json::array()}};
  for (const MemberId& member : graph.members) json["members"].push_back(member.value);
  for (const GraphEdge& edge : graph.edges) {
    const bool listener = is_listener(edge);
    json["connections"].push_back({{"member", graph.members[edge.member].value},
                                   {"peer", edge.peer < 0 ? Json(nullptr) : Json(member_name(graph, edge.peer))},
                                   {"local", endpoint_text(edge.socket.local)},
                                   {"remote", listener ? Json(nullptr) : Json(endpoint_text(edge.socket.remote))},
                                   {"state", to_string(edge.socket.state)},
                                   {"label", to_string(edge.label)},
                                   {"doubt", edge.doubt == Doubt::none ? Json(nullptr) : Json(to_string(edge.doubt))},
                                   {"receive_queue_bytes", listener ? Json(nullptr) : Json(edge.socket.receive_queue)},
                                   {"send_queue_bytes", listener ? Json(nullptr) : Json(edge.socket.send_queue)}});
  }
  return json.dump(2) + "\n";
}

std::string graph_dot(const ConnectionGraph& graph) {
  std::map<std::pair<std::string, std::string>, std::size_t> inner;
  std::map<std::pair<std::string, std::string>, std::size_t> outer;
  for (const GraphEdge& edge : graph.edges) {
    if (is_listener(edge)) continue;
    const std::string& member = graph.members[edge.member].value;
    if (edge.peer >= 0) {
      ++inner[{member, member_name(graph, edge.peer)}];
    } else {
      Endpoint host = edge.socket.remote;
      ++outer[{member, address_text(host.family, host.address)}];
    }
  }
  std::string dot = "graph " + dot_string(graph.group.value) +
                    " {\n  label=" + dot_string("round " + graph.round.value) + ";\n  node [shape=box];\n";
  for (const MemberId& member : graph.members) dot += "  " + dot_string(member.value) + ";\n";
  const auto number = [](std::size_t count) { return count == 1 ? std::string() : std::to_string(count); };
  for (const auto& [ends, count] : inner) {
    dot += "  " + dot_string(ends.first) + " -- " + dot_string(ends.second) + " [label=" + dot_string(number(count)) +
           "];\n";
  }
  for (const auto& [ends, count] : outer) {
    dot += "  " + dot_string("outside " + ends.second) + " [label=" + dot_string(ends.second) +
           ", shape=ellipse, style=dashed];\n";
    dot += "  " + dot_string(ends.first) + " -- " + dot_string("outside " + ends.second) +
           " [label=" + dot_string(number(count)) + ", style=dashed];\n";
  }
  return dot + "}\n";
}

}  // namespace lockstep::cli
