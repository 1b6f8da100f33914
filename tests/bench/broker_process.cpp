#include "tests/bench/broker_process.hpp"

#include <stdexcept>
#include <utility>

#include "tests/bench/tcp.hpp"

namespace lockstep::bench {
namespace {

std::string write_config(const e2e::TempDir& dir, std::uint16_t router, std::uint16_t publisher, bool encrypted) {
  const auto endpoint = [](std::uint16_t port) { return "tcp://127.0.0.1:" + std::to_string(port); };
  const auto path = dir / "broker.yaml";
  e2e::write_file(path, "listen: " + endpoint(router) + "\npublish: " + endpoint(publisher) +
                            "\njournal: " + path.string() +
                            ".db\nkeys: " + (encrypted ? (dir / "keys").string() : std::string("none")) + "\n");
  return path.string();
}

}  // namespace

BrokerProcess::BrokerProcess(bool encrypted) : router_port_(free_port()), publisher_port_(free_port()) {
  if (encrypted) make_keys();
  child_.emplace(Child::start(
      {neighbour("lockstep-broker"), "--config", write_config(dir_, router_port_, publisher_port_, encrypted)},
      (dir_ / "broker.log").string()));
  (void)connect_to(router_port_);
  (void)connect_to(publisher_port_);
}

void BrokerProcess::make_keys() {
  const std::string folder = (dir_ / "keys").string();
  const auto made = init_key_folder(folder);
  const auto own = made ? load_broker_key(folder) : Result<KeyPair>(Failure(made.error()));
  if (!own) throw std::runtime_error(own.error().message());
  const auto allow = [&](KeyEntry entry) {
    const auto pair = make_key_pair();
    if (!pair) throw std::runtime_error(pair.error().message());
    entry.public_key = pair->public_key;
    if (auto allowed = allow_key(folder, entry); !allowed) throw std::runtime_error(allowed.error().message());
    return PeerKey{std::move(entry), pair->secret_key, own->public_key, {}};
  };
  operator_ = allow({"operator", KeyRole::operator_, {}, {}, {}});
  agent_ = allow({"agents", KeyRole::agent, "bench", {}, {}});
}

std::string BrokerProcess::log_tail() const { return e2e::tail_of(dir_ / "broker.log", 5); }

}  // namespace lockstep::bench
