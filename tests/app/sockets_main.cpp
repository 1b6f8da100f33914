/// lockstep-sockets: an application that brings its sockets into the states that a test wants, and holds them there.
///
/// It obeys the lines of a file that only grows, and tells the state of every socket in another one:
///   listen NAME PORT        on all addresses, IPv4 and IPv6; connections are accepted as NAME.1, NAME.2, …
///   accept NAME on|off      at first on; off: connections wait in the listener's queue
///   connect NAME 10.0.0.1:80
///   send NAME BYTES         so many more bytes, as fast as the kernel takes them
///   read NAME on|off        at first on
///   shutdown NAME           sending, once all is sent
///   close NAME
///
/// It is made to be dumped by CRIU: one thread, plain sockets, and no file held open.
#include <poll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/app/endpoint.hpp"
#include "tests/app/held_socket.hpp"

namespace lockstep::traffic {
namespace {

/// Commands are looked for this often.
constexpr int kTurnMs = 5;

struct Listener {
  std::string name;
  std::vector<Fd> sockets;
  int accepted = 0;
  bool accepting = true;
};

class Program {
 public:
  Program(std::string commands, std::string status) : commands_(std::move(commands)), status_(std::move(status)) {}
  void turn();

 private:
  void obey_new_commands();
  void obey(const std::string& line);
  void accept_new();
  void wait() const;
  void tell();
  [[nodiscard]] HeldSocket* find(const std::string& name);

  std::string commands_, status_;
  std::streamoff read_to_ = 0;
  int obeyed_ = 0;
  std::vector<std::string> failures_;
  std::vector<Listener> listeners_;
  std::vector<HeldSocket> sockets_;
  std::string told_;
};

void Program::turn() {
  obey_new_commands();
  accept_new();
  for (HeldSocket& socket : sockets_) socket.work();
  tell();
  wait();
}

void Program::obey_new_commands() {
  std::ifstream file(commands_);
  file.seekg(read_to_);
  for (std::string line; std::getline(file, line) && !file.eof();) {  // an end without a newline is being written
    read_to_ += static_cast<std::streamoff>(line.size()) + 1;
    obey(line);
    ++obeyed_;
  }
}

void Program::obey(const std::string& line) {
  std::istringstream words(line);
  std::string verb, name, what;
  words >> verb >> name >> what;
  if (verb == "listen") {
    auto listening = listen_on(static_cast<std::uint16_t>(std::stoi(what)), false);
    if (!listening) return failures_.push_back(line + ": " + listening.error().message());
    return listeners_.push_back({name, std::move(*listening)});
  }
  if (verb == "connect") {
    auto socket = connect_to(what);
    if (!socket) return failures_.push_back(line + ": " + socket.error().message());
    sockets_.emplace_back(name, std::move(*socket));
    return;
  }
  if (verb == "close" && std::erase_if(listeners_, [&](const Listener& each) { return each.name == name; }) > 0) return;
  const auto listener = std::ranges::find(listeners_, name, &Listener::name);
  if (verb == "accept" && listener != listeners_.end()) {
    listener->accepting = what == "on";
    return;
  }
  HeldSocket* socket = find(name);
  if (socket == nullptr) return failures_.push_back(line + ": no such socket");
  if (verb == "send") return socket->send(std::stoull(what));
  if (verb == "read") return socket->read(what == "on");
  if (verb == "shutdown") return socket->shut_down();
  if (verb == "close") return socket->close();
  failures_.push_back(line + ": no such command");
}

void Program::accept_new() {
  for (Listener& listener : listeners_) {
    if (!listener.accepting) continue;
    for (const Fd& socket : listener.sockets) {
      Fd accepted(::accept4(socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!accepted) continue;
      sockets_.emplace_back(listener.name + "." + std::to_string(++listener.accepted), std::move(accepted));
    }
  }
}

void Program::wait() const {
  std::vector<pollfd> polled;
  for (const HeldSocket& socket : sockets_) {
    // One of whom nothing is wanted could only hang up, without end.
    if (socket.fd() >= 0 && socket.events() != 0) polled.push_back({socket.fd(), socket.events(), 0});
  }
  ::poll(polled.data(), polled.size(), kTurnMs);
}

void Program::tell() {
  nlohmann::ordered_json json = {{"obeyed", obeyed_}, {"failures", failures_}, {"sockets", nlohmann::json::array()}};
  for (const HeldSocket& socket : sockets_) {
    json["sockets"].push_back({{"name", socket.name()},
                               {"state", socket.state()},
                               {"error", socket.error()},
                               {"local", socket.local()},
                               {"peer", socket.peer()},
                               {"sent", socket.sent()},
                               {"received", socket.received()},
                               {"unread", socket.unread()},
                               {"unacknowledged", socket.unacknowledged()},
                               {"end_of_file", socket.end_of_file()},
                               {"corrupt", socket.corrupt()}});
  }
  std::string text = json.dump();
  if (text == told_) return;
  const std::string part = status_ + ".part";
  std::ofstream(part) << text;
  std::rename(part.c_str(), status_.c_str());
  told_ = std::move(text);
}

HeldSocket* Program::find(const std::string& name) {
  const auto found = std::ranges::find(sockets_, name, &HeldSocket::name);
  return found == sockets_.end() ? nullptr : &*found;
}

}  // namespace
}  // namespace lockstep::traffic

int main(int argc, char** argv) {
  std::string commands, status, pidfile;
  CLI::App app("Holds TCP sockets in the states that it is told.");
  app.add_option("--commands", commands, "file to read commands from, as it grows")->required();
  app.add_option("--status", status, "file to tell the sockets' states in, as JSON")->required();
  app.add_option("--pidfile", pidfile, "file to write the pid to")->required();
  CLI11_PARSE(app, argc, argv);
  lockstep::traffic::Program program(commands, status);
  program.turn();
  const std::string part = pidfile + ".part";
  std::ofstream(part) << ::getpid() << '\n';
  std::rename(part.c_str(), pidfile.c_str());
  while (true) program.turn();
}
