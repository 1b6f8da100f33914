/// The connections of one round: what the members' tables showed at the lock, what each socket is to the group, and
/// what becomes of it. Pure; one thread. Members are named by their place in the round's plan.
///
///   dump     add_table() for each member -> classify() -> fill() each member's record, earlier() into another's
///   restore  add_record() for each member -> wanted(), to_close() for the orders -> add_found() -> differences()
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/revalidation.hpp"
#include "schemas/messages.hpp"

namespace lockstep::broker {

class ConnectionBook {
 public:
  /// What a policy has against the round.
  struct Objection {
    std::size_t member = 0;
    std::string reason;
  };

  explicit ConnectionBook(const OpenRound& plan);

  // Dump.
  /// `nat`: what translates connections of `sockets`, as far as the pod's agent sees it.
  void add_table(std::size_t member, const PodId& pod, std::vector<InterfaceAddress> addresses, SocketTable sockets,
                 const std::vector<NatEntry>& nat);
  /// To be called once, when every member's table is there. Labels every socket.
  [[nodiscard]] std::optional<Objection> classify();
  /// Puts the member's addresses, sockets and labels into its record; of a conditional one the addresses alone.
  void fill(std::size_t member, Record& record) const;
  /// What a conditional record lacks.
  [[nodiscard]] EarlierMember earlier(std::size_t member) const;

  // Restore.
  void add_record(std::size_t member, Record record);
  /// Its record has come and counts: it is not conditional, or another one has it among its earlier.
  [[nodiscard]] bool has_record(std::size_t member) const { return members_[member].recorded; }
  /// What comes back with the member, the connections to be closed included.
  [[nodiscard]] SocketTable wanted(std::size_t member) const;
  [[nodiscard]] std::vector<InterfaceAddress> addresses(std::size_t member) const;
  /// What has to be destroyed before the commit.
  [[nodiscard]] SocketTable to_close(std::size_t member) const;
  void add_found(std::size_t member, std::vector<InterfaceAddress> addresses, SocketTable sockets,
                 const ClosedConnections& closed);
  /// To be called when every member's table is there: all that is not as it was saved.
  [[nodiscard]] std::vector<ConnectionDifference> differences() const;
  /// The first of the members with a difference whose policy is strict; none: they are only to be reported.
  [[nodiscard]] std::optional<Objection> objection_to(const std::vector<ConnectionDifference>& differences) const;

  [[nodiscard]] const ConnectionCounts& counts(std::size_t member) const { return members_[member].counts; }
  /// Lets go of the tables, which may be large; the counts stay.
  void forget_tables();

 private:
  struct Member {
    MemberId id;
    ConnectionPolicy policy;  ///< resolved
    PodId pod;
    std::vector<InterfaceAddress> addresses;  ///< saved ones
    SocketTable sockets;
    SocketLabels labels;
    std::vector<MemberId> order;  ///< the members as the record lists them: what labels refer to
    std::vector<InterfaceAddress> found_addresses;
    SocketTable found;
    ConnectionCounts counts;
    bool recorded = false;     ///< as has_record() says
    bool conditional = false;  ///< its record has come, and does not count alone
    bool completed = false;    ///< another one's record has it among its earlier
  };

  void count(Member& member) const;
  [[nodiscard]] Member* find(const MemberId& id);

  std::vector<Member> members_;
  std::vector<NatEntry> nat_;  ///< of all members, until they are labelled
};

}  // namespace lockstep::broker
