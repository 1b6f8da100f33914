/// An application under test: real programs, and clients that load them. Each of its parts, clients included, is a
/// member with a pod of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/apps/ledger.hpp"
#include "tests/e2e/apps/pods.hpp"

namespace lockstep::apps {

/// Lines that a member's log must not get once the load flows: they tell of a connection made anew, or of a resync.
struct Quiet {
  std::string member;
  std::string pattern;  ///< regular expression
};

class Application {
 public:
  explicit Application(Pods& pods) : pods_(pods) {}
  virtual ~Application() = default;
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  /// Starts all members, and returns when the load flows. Throws what went wrong.
  virtual void start() = 0;
  /// Ends the clients in order, and compares what the servers have with what was acknowledged.
  [[nodiscard]] virtual Faults finish() = 0;
  [[nodiscard]] virtual std::vector<Quiet> quiet() const = 0;

  [[nodiscard]] std::vector<Ledger>& ledgers() { return ledgers_; }

 protected:
  /// Starts lockstep-app-client, and waits until its servers have answered. `to`: addresses with ports.
  void launch_client(const std::string& member, std::size_t pod, const std::string& protocol,
                     const std::vector<std::string>& to, int connections, int rate);
  /// Has a client answer for what is under way, and end by itself.
  [[nodiscard]] Faults end_client(const std::string& member);
  [[nodiscard]] std::string address(std::size_t pod) const { return pods_.address(pod); }
  /// Throws when the log does not get a line with `text`.
  void await_log(const std::string& member, const std::string& text);
  /// Runs a command in the member's pod; throws when it fails. Returns its output.
  std::string ask(std::size_t pod, const std::vector<std::string>& command);
  [[nodiscard]] Ledger& ledger(const std::string& name);
  Ledger& add_ledger(const std::string& name, const std::filesystem::path& file);
  [[nodiscard]] Pods& pods() const { return pods_; }

 private:
  Pods& pods_;
  std::vector<Ledger> ledgers_;
};

/// One kind of application, and how its members live.
struct Kind {
  std::string name;  ///< "redis"
  std::size_t pods = 0;
  std::unique_ptr<Application> (*make)(Pods&) = nullptr;
  /// The files and folders of this machine that the image of its containers is made of; none: it is plain trees.
  std::vector<std::string> (*image)() = nullptr;

  [[nodiscard]] bool in_containers() const { return image != nullptr; }
  /// For people: "redis, in Podman pods".
  [[nodiscard]] std::string title() const { return name + (in_containers() ? ", in Podman pods" : ""); }
  /// For tests and options: "redis_in_podman".
  [[nodiscard]] std::string tag() const { return name + (in_containers() ? "_in_podman" : ""); }
  [[nodiscard]] std::unique_ptr<Pods> make_pods() const;
};

[[nodiscard]] const std::vector<Kind>& kinds();

std::unique_ptr<Application> make_redis_application(Pods& pods);
std::vector<std::string> redis_image();
std::unique_ptr<Application> make_memcached_application(Pods& pods);
std::unique_ptr<Application> make_nats_application(Pods& pods);
std::unique_ptr<Application> make_postgres_application(Pods& pods);
std::vector<std::string> postgres_image();
std::unique_ptr<Application> make_mpi_application(Pods& pods);

}  // namespace lockstep::apps
