#include "broker/core/match_board.hpp"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace lockstep::broker {

void settle(std::vector<MatchEdge> edges, MatchBoard& board) {
  const auto ends = [](const MatchEdge& edge) { return std::tie(edge.client, edge.server); };
  const auto key = [&](const MatchEdge& edge) { return std::tuple_cat(ends(edge), std::tie(edge.label, edge.doubt)); };
  std::sort(edges.begin(), edges.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  edges.erase(std::unique(edges.begin(), edges.end(), [&](const auto& a, const auto& b) { return ends(a) == ends(b); }),
              edges.end());
  std::unordered_map<SocketId, std::uint32_t> degree;
  for (const MatchEdge& edge : edges) {
    ++degree[edge.client];
    ++degree[edge.server];
  }
  for (const MatchEdge& edge : edges) {
    if (degree[edge.client] == 1 && degree[edge.server] == 1) {
      board.join(edge.client, edge.server, edge.label, edge.doubt);
    } else {
      board.set(edge.client, ConnectionLabel::ambiguous, Doubt::several_candidates);
      board.set(edge.server, ConnectionLabel::ambiguous, Doubt::several_candidates);
    }
  }
}

}  // namespace lockstep::broker
