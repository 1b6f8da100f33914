#include "tests/e2e/podman/shop.hpp"

#include <algorithm>
#include <stdexcept>

#include "tests/e2e/harness/cluster.hpp"

namespace lockstep::e2e {
namespace {

/// So slow that the processors are not what the test is about.
constexpr auto kRate = "2000";

std::size_t pods_of(const std::vector<ShopMember>& members) {
  return 1 + std::ranges::max_element(members, {}, &ShopMember::pod)->pod;
}

}  // namespace

Shop::Shop(std::vector<ShopMember> members)
    : members_(std::move(members)), cluster_(pods_of(members_), {program("lockstep-traffic")}) {
  std::filesystem::create_directories(dir() / "state");
  try {
    for (const ShopMember& member : members_) start_member(member);
    const auto faults = await_flow(snapshot());
    if (!faults.empty()) throw std::runtime_error("the application does not work by itself: " + faults.front());
  } catch (const std::exception&) {
    cluster_.tell();
    throw;
  }
}

void Shop::start_member(const ShopMember& member) {
  std::vector<std::string> command{program("lockstep-traffic")};
  if (&member == &members_.front()) {
    command.insert(command.end(), {"serve", "--port", "9000"});
  } else {
    command.insert(command.end(),
                   {"connect", "--connections", "2", "--to", PodmanCluster::address(members_.front().pod) + ":9000"});
  }
  command.insert(command.end(), {"--rate", kRate, "--status", "/shop/" + member.name + ".json", "--pidfile",
                                 "/shop/" + member.name + ".pid"});
  cluster_.start_member(member.pod, member.name, {"--volume", (dir() / "state").string() + ":/shop"}, command);
  const bool started =
      wait_until([&] { return std::filesystem::exists(dir() / "state" / (member.name + ".json")); }, 10s);
  if (!started)
    throw std::runtime_error(member.name + " does not start: " + podman().try_run({"logs", member.name}).err);
}

std::string Shop::write_group(const std::string& extra) const {
  std::string text = cluster_.group_header("shop") + extra + "members:\n";
  for (const ShopMember& member : members_) {
    text += "  - {id: " + member.name + ", container: " + member.name;
    if (!member.images.empty()) text += ", images: " + member.images;
    text += "}\n";
  }
  write_file(dir() / "group.yaml", text);
  return dir() / "group.yaml";
}

traffic::Snapshot Shop::snapshot() const {
  std::vector<std::string> clients;
  for (std::size_t i = 1; i < members_.size(); ++i) clients.push_back(dir() / "state" / (members_[i].name + ".json"));
  auto snapshot = traffic::take_snapshot(dir() / "state" / (members_.front().name + ".json"), clients);
  if (!snapshot) throw std::runtime_error(snapshot.error().message());
  return std::move(*snapshot);
}

std::size_t Shop::connections() const { return 2 * (members_.size() - 1); }

std::vector<std::string> Shop::await_flow(const traffic::Snapshot& before) const {
  std::vector<std::string> faults;
  (void)wait_until(
      [&] {
        const auto now = snapshot();
        faults = traffic::faults_of(now, connections());
        const auto stalled = traffic::stalled_since(before, now, 300);
        faults.insert(faults.end(), stalled.begin(), stalled.end());
        return faults.empty() || now.server.failed != 0;
      },
      10s);
  return faults;
}

std::vector<std::string> Shop::finish() const {
  for (std::size_t i = 1; i < members_.size(); ++i) podman().run({"kill", "--signal", "TERM", members_[i].name});
  std::vector<std::string> faults;
  (void)wait_until(
      [&] {
        const auto now = snapshot();
        faults = traffic::faults_of(now, connections());
        const auto open = traffic::unfinished(now);
        faults.insert(faults.end(), open.begin(), open.end());
        return faults.empty();
      },
      10s);
  return faults;
}

}  // namespace lockstep::e2e
