#include "tests/unit/connections/random_world.hpp"

#include <tuple>

#include "tests/unit/connections/tables.hpp"

namespace lockstep::broker::testing {
namespace {

struct Step {
  Event event = Event::direct_v4;
  std::size_t from = 0;  ///< members, modulo their number
  std::size_t to = 0;
  std::uint16_t sent = 0;      ///< by the client, arrived
  std::uint16_t answered = 0;  ///< by the server, arrived
  std::uint16_t unseen = 0;    ///< of these, not yet seen acknowledged by their sender
};

class Builder {
 public:
  Builder(std::size_t pods, std::size_t members) : pods_(pods) {
    world_.members.resize(members);
    for (std::size_t i = 0; i < members; ++i) {
      World::Member& member = world_.members[i];
      member.pod = PodId{"boot", pod_of(i) + 1};
      // The last two are the same in every pod.
      for (const std::string& text : {own(i), own_v6(i), std::string("172.17.0.1"), std::string("fe80::1")}) {
        const Endpoint endpoint = at(text, 0);
        member.addresses.push_back({"eth0", endpoint.family, endpoint.address, 24});
      }
      add(i, listener(at("0.0.0.0", 80)), {ConnectionLabel::listening, {}});
    }
  }

  void play(Step step) {
    ++step_;
    step.from %= world_.members.size();
    step.to %= world_.members.size();
    const auto port = static_cast<std::uint16_t>(20000 + step_);
    const Endpoint client = at(own(step.from), port);
    const Endpoint server = at(own(step.to), 80);
    const Endpoint outside = at("192.0.2.7", port);
    const Endpoint service = at("10.96.0.1", port);
    const Endpoint node = at("192.168.0.1", port);
    switch (step.event) {
      case Event::direct_v4: return both(step, {client, server}, {server, client}, ConnectionLabel::internal);
      case Event::direct_v6: return direct_v6(step, port);
      case Event::own_address:
      case Event::loopback: return inside_pod(step, port);
      case Event::service_port_reused:
        if (step.sent == 0) step.sent = 1;
        one(step.from, counted(socket(client, outside), step.sent + 70'000U, 5));
        [[fallthrough]];
      case Event::service:
        if (step.sent == 0) step.sent = 1;  // idle ones are ambiguous, and have tests of their own
        return both(step, {client, service}, {at(own(step.to), 80), client}, ConnectionLabel::internal_service);
      case Event::service_with_conntrack:
        world_.nat.push_back({client, service, server, client});
        return both(step, {client, service}, {server, client}, ConnectionLabel::internal_service);
      case Event::outgoing: return one(step.from, counted(socket(client, outside), step.sent, step.answered));
      case Event::incoming: return one(step.to, counted(socket(server, outside), step.sent, step.answered));
      case Event::service_to_outside: return one(step.from, counted(socket(client, service), step.sent, step.answered));
      case Event::masqueraded: return apart(step, {client, server}, {server, node});
      case Event::masqueraded_unheard: {
        const Endpoint unheard = at(own(step.to), static_cast<std::uint16_t>(port + 20000));
        return apart(step, {client, unheard}, {unheard, node});
      }
      case Event::missing_end: return add(step.from, socket(client, server), {ConnectionLabel::external, {}, true});
      case Event::not_accepted: return not_accepted(step, client, server);
      case Event::foreign_owner: {
        // Mirrored, but the far socket stands in a pod that does not own the address.
        add(step.from, socket(client, at("10.0.0.250", 80)), {ConnectionLabel::external, {}, true});
        if (pod_of(step.from) == pod_of(step.to)) return;
        return add(step.to, socket(at("10.0.0.250", 80), client), {ConnectionLabel::external, {}, true});
      }
    }
  }

  World take() { return std::move(world_); }

 private:
  [[nodiscard]] std::size_t pod_of(std::size_t member) const { return member % pods_; }
  [[nodiscard]] std::string own(std::size_t member) const { return "10.0.0." + std::to_string(pod_of(member) + 1); }
  [[nodiscard]] std::string own_v6(std::size_t member) const { return "fd00::" + std::to_string(pod_of(member) + 1); }

  void add(std::size_t member, const Socket& socket, const Truth& truth) {
    world_.members[member].sockets.push_back(socket);
    world_.members[member].truth.push_back(truth);
  }

  void one(std::size_t member, const Socket& socket) { add(member, socket, {ConnectionLabel::external, {}}); }

  /// The next socket of a member.
  [[nodiscard]] SocketRef next(std::size_t member) const {
    return {static_cast<std::uint32_t>(member), static_cast<std::uint32_t>(world_.members[member].sockets.size())};
  }

  /// Two sockets with the counts of one connection: the sender knows of all that has arrived but `unseen`.
  [[nodiscard]] std::pair<Socket, Socket> ends(const Step& step, const Tuple& client, const Tuple& server) const {
    const std::uint32_t unseen = std::min(step.unseen, step.sent);
    return {counted(socket(client.local, client.remote), 1 + step.sent - unseen, step.answered, unseen),
            counted(socket(server.local, server.remote), step.answered, step.sent)};
  }

  void both(const Step& step, const Tuple& client, const Tuple& server, ConnectionLabel label) {
    const auto [first, second] = ends(step, client, server);
    const SocketRef here = next(step.from);
    SocketRef there = next(step.to);
    if (step.from == step.to) ++there.position;
    add(step.from, first, {label, there});
    add(step.to, second, {label, here});
  }

  void apart(const Step& step, const Tuple& client, const Tuple& server) {
    const auto [first, second] = ends(step, client, server);
    add(step.from, first, {ConnectionLabel::external, {}, true});
    add(step.to, second, {ConnectionLabel::external, {}, true});
  }

  void direct_v6(const Step& step, std::uint16_t port) {
    const Endpoint client = at(own_v6(step.from), port);
    const Endpoint server = at(own_v6(step.to), 443);
    both(step, {client, server}, {server, client}, ConnectionLabel::internal);
  }

  /// The same tuple in every pod, once for each pair of containers in it.
  void inside_pod(const Step& step, std::uint16_t port) {
    const char* address = step.event == Event::loopback ? "127.0.0.1" : "172.17.0.1";
    const Endpoint client = at(address, port);
    const Endpoint server = at(address, 9000);
    for (std::size_t member = 0; member < std::min(pods_, world_.members.size()); ++member) {
      Step inside = step;
      inside.from = member;
      inside.to = member + pods_ < world_.members.size() ? member + pods_ : member;
      both(inside, {client, server}, {server, client}, ConnectionLabel::internal);
    }
  }

  void not_accepted(const Step& step, const Endpoint& client, const Endpoint& server) {
    Socket waiting = socket(server, client);
    waiting.inode = 0;
    add(step.from, socket(client, server), {ConnectionLabel::half_open, {}});
    add(step.to, waiting, {ConnectionLabel::half_open, {}});
  }

  World world_;
  std::size_t pods_;
  std::size_t step_ = 0;
};

}  // namespace

std::vector<MemberSockets> World::views() const {
  std::vector<MemberSockets> result;
  for (const Member& member : members) result.push_back({member.pod, member.sockets, member.addresses});
  return result;
}

rc::Gen<World> random_world() {
  const auto step = rc::gen::map(
      rc::gen::tuple(rc::gen::inRange(0, kEvents), rc::gen::inRange<std::size_t>(0, 8),
                     rc::gen::inRange<std::size_t>(0, 8), rc::gen::arbitrary<std::uint16_t>(),
                     rc::gen::arbitrary<std::uint16_t>(), rc::gen::inRange<std::uint16_t>(0, 100)),
      [](const auto& parts) {
        return std::apply([](int event, auto... rest) { return Step{static_cast<Event>(event), rest...}; }, parts);
      });
  return rc::gen::map(rc::gen::tuple(rc::gen::inRange<std::size_t>(1, 5), rc::gen::inRange<std::size_t>(1, 8),
                                     rc::gen::container<std::vector<Step>>(step)),
                      [](const std::tuple<std::size_t, std::size_t, std::vector<Step>>& parts) {
                        Builder builder(std::get<0>(parts), std::get<1>(parts));
                        for (const Step& one : std::get<2>(parts)) builder.play(one);
                        return builder.take();
                      });
}

}  // namespace lockstep::broker::testing
