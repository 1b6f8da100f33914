// Broker, agents and client: what their cores want done is done here.
#include <utility>

#include "tests/sim/world.hpp"

namespace lockstep::sim {
namespace {

PeerNumber number_of(const broker::PeerId& peer) { return std::stoi(peer.value.substr(1)); }

}  // namespace

// --- broker ---------------------------------------------------------------------------------------------------------

void World::start_broker() {
  broker_.stopped = {};
  broker_.doom.reset();
  broker_.published = 0;
  broker::CoreSettings settings;
  settings.name = "broker-" + std::to_string(++broker_.life);
  settings.silence = setting_.silence;
  broker_.core = std::make_unique<broker::BrokerCore>(settings, journal_, now_, 1'000'000 + steps_);
  note([&] { return settings.name + " starts"; });
  network_.broker_up(now_);
  broker_.core->recover(now_, broker_.out);
  perform_broker();
}

void World::perform_broker() {
  // As the shell does: what performing gives rise to comes after the rest.
  for (auto actions = broker_.out.take(); !actions.empty(); actions = broker_.out.take()) {
    for (const broker::Action& action : actions) {
      if (broker_.doom && broker_.doom->detail-- <= 0) {
        (void)broker_.out.take();
        return crash_broker(broker_.doom->length);
      }
      if (!perform(action)) return;
    }
  }
}

bool World::perform(const broker::Action& action) {
  if (const auto* send = std::get_if<broker::SendTo>(&action)) {
    rules_.leaves_broker(send->message);
    if (!network_.send_down(number_of(send->peer), send->message, now_)) {
      note([&] { return "broker can't reach " + send->peer.value + ": " + text_of(send->message); });
      broker_.core->on_unroutable(send->peer, now_, broker_.out);
    }
  } else if (const auto* publish = std::get_if<broker::Publish>(&action)) {
    if (publish->topic != kReleaseTopic) return true;
    Message message = publish->message;
    message.sequence = ++broker_.published;
    note([&] { return "broker publishes " + text_of(message); });
    rules_.leaves_broker(message);
    network_.publish(message, now_);
    broker_.core->set_published(broker_.published);
  } else if (const auto* archive = std::get_if<broker::Archive>(&action)) {
    const auto kept = journal_.end(archive->status);
    note([&] { return "broker archives " + text_of(archive->status) + (kept ? "" : ", in vain"); });
  } else if (const auto* line = std::get_if<broker::LogLine>(&action)) {
    note([&] { return "broker: " + line->text; });
  }
  return true;
}

// --- agents ---------------------------------------------------------------------------------------------------------

PeerNumber World::start_agent(int place) {
  const PeerNumber number = next_peer_++;
  const bool is_relay = place < 0;
  agent::CoreSettings settings;
  settings.hello.name = is_relay ? "relay" : setting_.agents[static_cast<std::size_t>(place)].name;
  settings.hello.role = is_relay ? Role::relay : Role::agent;
  settings.silence = setting_.silence;
  settings.in_doubt = setting_.in_doubt;
  Agent agent;
  agent.place = place;
  agent.pods = std::make_unique<AgentPods>(kernel_, number);
  if (!is_relay) {
    const AgentSetting& plan = setting_.agents[static_cast<std::size_t>(place)];
    settings.hello.boot_id = plan.boot_id;
    settings.hello.whole_node = plan.pods.empty();
    places_[static_cast<std::size_t>(place)] = number;
    for (const int pod : plan.pods)
      settings.hello.pods.push_back(setting_.pods[static_cast<std::size_t>(pod)].netns_inode);
  }
  agent.core = std::make_unique<agent::AgentCore>(settings, *agent.pods, now_);
  note([&] { return "agent p" + std::to_string(number) + " starts: " + settings.hello.name; });
  network_.attach(number, now_);
  Agent& entry = agents_.emplace(number, std::move(agent)).first->second;
  if (!is_relay) take_over_locks(entry);
  entry.core->start(now_, entry.out);
  perform_agent(number);
  return number;
}

void World::perform_agent(PeerNumber number) {
  Agent& agent = agents_.at(number);
  for (const agent::Action& action : agent.out.take()) {
    if (agent.doom && agent.doom->detail-- <= 0) return crash_agent(agent.place, agent.doom->length, false);
    perform(number, agent, action);
  }
  const bool is_idle_relay = agent.place < 0 && agent.served && agent.streams.empty();
  if (is_idle_relay) stop_agent(number, true, true, true);  // a relay ends with its hook
}

void World::take_over_locks(Agent& agent) {
  const AgentSetting& plan = setting_.agents[static_cast<std::size_t>(agent.place)];
  for (std::size_t pod = 0; pod < setting_.pods.size(); ++pod) {
    const PodId& id = setting_.pods[pod];
    const bool own = plan.pods.empty() ? id.boot_id == plan.boot_id : plan.pods.front() == static_cast<int>(pod);
    if (!own) continue;
    if (!agent.pods->take_over(id, agent::CoreSettings().found_lease)) continue;
    agent.core->take_over(id, kernel_.find(id)->round, now_, agent.out);
  }
}

void World::perform(PeerNumber number, Agent& agent, const agent::Action& action) {
  if (const auto* up = std::get_if<agent::ToBroker>(&action)) {
    rules_.leaves_agent(up->message);
    network_.send_up(number, up->message, now_);
  } else if (const auto* answer = std::get_if<agent::ToHook>(&action)) {
    network_.say_to_hook(answer->hook, answer->message, now_);
    if (!answer->last) return;
    agent.streams.erase(answer->hook);
    network_.close_by_agent(answer->hook, now_);
  } else if (const auto* watch = std::get_if<agent::WatchCriu>(&action)) {
    agent.criu_watches.insert(watch->pid);
  } else if (const auto* line = std::get_if<agent::LogLine>(&action)) {
    note([&] { return "agent p" + std::to_string(number) + ": " + line->text; });
  }
}

void World::stop_agent(PeerNumber number, bool graceful, bool sent_arrives, bool noticed) {
  Agent& agent = agents_.at(number);
  note([&] { return "agent p" + std::to_string(number) + (graceful ? " stops" : " dies"); });
  if (graceful) {
    agent.core->shut_down("its agent was stopped", agent.out);
    for (const agent::Action& action : agent.out.take()) perform(number, agent, action);
  }
  for (const StreamNumber stream : agent.streams) network_.close_by_agent(stream, now_);
  if (agent.place >= 0) places_[static_cast<std::size_t>(agent.place)].reset();
  rules_.agent_died(number);
  network_.detach(number, sent_arrives, noticed);
  agents_.erase(number);
}

// --- client ---------------------------------------------------------------------------------------------------------

void World::client_turn() {
  for (const Message& message : client_.on_time(now_)) network_.send_up(kClient, message, now_);
}

}  // namespace lockstep::sim
