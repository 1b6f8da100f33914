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

  struct Member {
    std::string id;
    std::size_t pod = 0;
  };
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  [[nodiscard]] std::vector<Ledger>& ledgers() { return ledgers_; }
  /// What the member has on the disk: its data, its log.
  [[nodiscard]] std::filesystem::path data(const std::string& member) const;
  [[nodiscard]] std::filesystem::path log(const std::string& member) const { return data(member) / (member + ".log"); }
  [[nodiscard]] pid_t pid(const std::string& member) const;

 protected:
  struct Launch {
    std::string member;
    std::size_t pod = 0;
    std::vector<std::string> command;
    std::string user = {};  ///< empty: root
  };
  /// Starts a member in its data folder.
  void launch(const Launch& launch);
  /// Starts lockstep-app-client, and waits until its servers have answered. `to`: addresses with ports.
  void launch_client(const std::string& member, std::size_t pod, const std::string& protocol,
                     const std::vector<std::string>& to, int connections, int rate);
  /// Has a client answer for what is under way, and end by itself.
  [[nodiscard]] Faults end_client(const std::string& member);
  /// Throws when the log does not get a line with `text`.
  void await_log(const std::string& member, const std::string& text);
  /// Runs a command in the member's pod; throws when it fails. Returns its output.
  std::string ask(std::size_t pod, const std::vector<std::string>& command);
  [[nodiscard]] Ledger& ledger(const std::string& name);
  Ledger& add_ledger(const std::string& name, const std::filesystem::path& file);
  [[nodiscard]] Pods& pods() { return pods_; }

 private:
  Pods& pods_;
  std::vector<Member> members_;
  std::vector<e2e::Process> processes_;
  std::vector<Ledger> ledgers_;
};

/// One kind of application.
struct Kind {
  std::string name;  ///< "redis"
  std::size_t pods = 0;
  std::unique_ptr<Application> (*make)(Pods&) = nullptr;
};

[[nodiscard]] const std::vector<Kind>& kinds();

std::unique_ptr<Application> make_redis_application(Pods& pods);
std::unique_ptr<Application> make_memcached_application(Pods& pods);
std::unique_ptr<Application> make_nats_application(Pods& pods);
std::unique_ptr<Application> make_postgres_application(Pods& pods);
std::unique_ptr<Application> make_mpi_application(Pods& pods);

}  // namespace lockstep::apps
