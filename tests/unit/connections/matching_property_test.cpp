/// What has to hold of the matching in every random world (random_world.hpp). RapidCheck prints the seed of a failure;
/// RC_PARAMS="seed=… max_success=…" repeats it.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "broker/core/revalidation.hpp"
#include "tests/unit/connections/random_world.hpp"

namespace lockstep::broker {
namespace {

using testing::random_world;
using testing::Truth;
using testing::World;

bool is_internal(const SocketLabel& label) {
  return label.label == ConnectionLabel::internal || label.label == ConnectionLabel::internal_service;
}

SocketRef peer_of(const SocketLabel& label) {
  return {static_cast<std::uint32_t>(label.peer_member), static_cast<std::uint32_t>(label.peer_socket)};
}

RC_GTEST_PROP(MatchingProperty, LabelsAreTheTruth, ()) {
  const World world = *random_world();
  const Matching result = match_connections(world.views(), world.nat);
  for (std::size_t i = 0; i < world.members.size(); ++i) {
    RC_ASSERT(result.labels[i].size() == world.members[i].sockets.size());
    for (std::size_t j = 0; j < world.members[i].truth.size(); ++j) {
      const Truth& truth = world.members[i].truth[j];
      const SocketLabel& label = result.labels[i][j];
      if (truth.never_internal_only) {
        RC_ASSERT(!is_internal(label));
        continue;
      }
      RC_ASSERT(label.label == truth.label);
      if (is_internal(label)) RC_ASSERT(peer_of(label) == truth.peer);
    }
  }
}

RC_GTEST_PROP(MatchingProperty, PeersNameEachOther, ()) {
  const World world = *random_world();
  const Matching result = match_connections(world.views(), world.nat);
  std::size_t ends = 0;
  for (std::uint32_t i = 0; i < result.labels.size(); ++i) {
    for (std::uint32_t j = 0; j < result.labels[i].size(); ++j) {
      const SocketLabel& label = result.labels[i][j];
      ends += is_internal(label) ? 1 : 0;
      if (!label.has_peer()) continue;
      const SocketLabel& other = result.labels.at(peer_of(label).member).at(peer_of(label).position);
      RC_ASSERT(other.label == label.label);
      RC_ASSERT(peer_of(other) == (SocketRef{i, j}));
    }
  }
  RC_ASSERT(ends == 2 * result.pairs.size());
}

RC_GTEST_PROP(MatchingProperty, OrderDoesNotMatter, ()) {
  const World world = *random_world();
  std::mt19937 random(*rc::gen::arbitrary<unsigned>());
  // order[i]: which member of the world stands at place i; and so for each table.
  std::vector<std::uint32_t> order(world.members.size());
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), random);
  World shuffled;
  shuffled.nat = world.nat;
  std::shuffle(shuffled.nat.begin(), shuffled.nat.end(), random);
  std::vector<std::vector<std::uint32_t>> sockets;
  for (const std::uint32_t member : order) {
    World::Member& copy = shuffled.members.emplace_back(world.members[member]);
    auto& places = sockets.emplace_back(copy.sockets.size());
    std::iota(places.begin(), places.end(), 0U);
    std::shuffle(places.begin(), places.end(), random);
    for (std::size_t j = 0; j < places.size(); ++j) copy.sockets[j] = world.members[member].sockets[places[j]];
  }
  const Matching before = match_connections(world.views(), world.nat);
  const Matching after = match_connections(shuffled.views(), shuffled.nat);
  RC_ASSERT(before.pairs.size() == after.pairs.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t j = 0; j < sockets[i].size(); ++j) {
      SocketLabel label = after.labels[i][j];
      if (label.has_peer()) {
        const SocketRef peer = peer_of(label);
        label.peer_member = static_cast<std::int32_t>(order[peer.member]);
        label.peer_socket = static_cast<std::int32_t>(sockets[peer.member][peer.position]);
      }
      RC_ASSERT(label == before.labels[order[i]][sockets[i][j]]);
    }
  }
}

RC_GTEST_PROP(MatchingProperty, TheSameAgainIsTheSame, ()) {
  const World world = *random_world();
  const Matching first = match_connections(world.views(), world.nat);
  RC_ASSERT(match_connections(world.views(), world.nat).labels == first.labels);
}

RC_GTEST_PROP(MatchingProperty, WithoutOneMemberNothingIsInternalWithIt, ()) {
  World world = *random_world();
  const auto gone = *rc::gen::inRange<std::size_t>(0, world.members.size());
  world.members[gone].sockets.clear();
  const Matching result = match_connections(world.views(), world.nat);
  for (std::size_t i = 0; i < world.members.size(); ++i) {
    if (i == gone) continue;
    for (std::size_t j = 0; j < world.members[i].sockets.size(); ++j) {
      const Truth& truth = world.members[i].truth[j];
      const bool one_end_gone = truth.peer.member == gone;
      if (one_end_gone) RC_ASSERT(!is_internal(result.labels[i][j]));
    }
  }
}

RC_GTEST_PROP(MatchingProperty, WhatIsToComeBackAndDoesFitsTheRecord, ()) {
  const World world = *random_world();
  const Matching result = match_connections(world.views(), world.nat);
  const ConnectionPolicy policy = resolve({}, {});
  std::vector<SocketTable> tables;
  std::vector<SavedMember> saved;
  for (std::size_t i = 0; i < world.members.size(); ++i) {
    const SocketTable& table = world.members[i].sockets;
    saved.push_back({MemberId("m" + std::to_string(i)), table, result.labels[i], policy});
    auto& restored = tables.emplace_back();
    for (std::size_t j = 0; j < table.size(); ++j) {
      if (treatment_of(table[j], result.labels[i][j], policy) == Treatment::restore) restored.push_back(table[j]);
    }
  }
  std::vector<FoundMember> found;
  for (std::size_t i = 0; i < tables.size(); ++i) found.push_back({tables[i], world.members[i].addresses});
  RC_ASSERT(revalidate(saved, found).empty());
  for (SocketTable& table : tables) {
    if (table.empty()) continue;
    table.pop_back();
    found[static_cast<std::size_t>(&table - tables.data())].sockets = table;
    RC_ASSERT(!revalidate(saved, found).empty());
    return;
  }
}

}  // namespace
}  // namespace lockstep::broker
