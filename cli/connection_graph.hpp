/// The connections of a finished round, from the records in its members' images folders: who is connected with whom, and
/// with whom else. Pure but for read_graph().
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

/// One edge. An internal connection is there once, with both of its ends.
struct GraphEdge {
  std::size_t member = 0;       ///< place in ConnectionGraph::members
  int peer = -1;                ///< the same for the other end; -1: not a member of the round
  Socket socket;                ///< the member's end
  ConnectionLabel label = ConnectionLabel::external;
  Doubt doubt = Doubt::none;
};

struct ConnectionGraph {
  RoundId round;
  GroupId group;
  std::vector<MemberId> members;
  std::vector<GraphEdge> edges;
};

/// Reads the records of the folders. invalid or not_found, naming the folder, when one is missing or damaged, or when
/// they are not of one round.
[[nodiscard]] Result<ConnectionGraph> read_graph(const std::vector<std::string>& folders);
/// The graph of records that belong to one round.
[[nodiscard]] ConnectionGraph make_graph(const std::vector<Record>& records);

/// A row for each edge, listeners last, then the counts.
[[nodiscard]] std::string graph_text(const ConnectionGraph& graph);
[[nodiscard]] std::string graph_json(const ConnectionGraph& graph);
/// For Graphviz: members as boxes, far ends of external connections as ellipses, as many connections as there are
/// between the same two as one edge with their number.
[[nodiscard]] std::string graph_dot(const ConnectionGraph& graph);

}  // namespace lockstep::cli
