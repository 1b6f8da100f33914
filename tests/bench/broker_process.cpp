#include "tests/bench/broker_process.hpp"

#include "tests/bench/tcp.hpp"

namespace lockstep::bench {
namespace {

std::string write_config(const e2e::TempDir& dir, std::uint16_t router, std::uint16_t publisher) {
  const auto endpoint = [](std::uint16_t port) { return "tcp://127.0.0.1:" + std::to_string(port); };
  const auto path = dir / "broker.yaml";
  e2e::write_file(path, "listen: " + endpoint(router) + "\npublish: " + endpoint(publisher) + "\njournal: " + path.string() + ".db\n");
  return path.string();
}

}  // namespace

BrokerProcess::BrokerProcess()
    : router_port_(free_port()),
      publisher_port_(free_port()),
      child_(Child::start({neighbour("lockstep-broker"), "--config", write_config(dir_, router_port_, publisher_port_)},
                          (dir_ / "broker.log").string())) {
  (void)connect_to(router_port_);
  (void)connect_to(publisher_port_);
}

std::string BrokerProcess::log_tail() const { return e2e::tail_of(dir_ / "broker.log", 5); }

}  // namespace lockstep::bench
