#include "tests/e2e/apps/pods.hpp"

#include "tests/e2e/harness/files.hpp"

namespace lockstep::apps {

pid_t Pods::pid(const std::string& member) const { return std::stoi(e2e::read_file(pidfile(member))); }

void Pods::launch(const Launch& launch) {
  std::filesystem::create_directories(data(launch.member));
  if (!launch.user.empty()) e2e::must_run({"chown", launch.user + ":", data(launch.member)});
  start(launch);
  members_.push_back({launch.member, launch.pod});
}

e2e::CommandResult Pods::run(std::size_t pod, const std::vector<std::string>& command,
                             std::chrono::milliseconds limit) const {
  return e2e::run_command(command, limit, netns(pod));
}

std::string Pods::command_to_keep_data(const std::string& member) const {
  std::filesystem::create_directories(kept() / "data");
  return command_at_frozen({"cp", "-a", data(member), kept() / "data"});
}

void Pods::put_data_back() const {
  std::filesystem::remove_all(all_data());
  std::filesystem::rename(kept() / "data", all_data());
}

std::string command_at_frozen(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + ("\"" + word + "\"");
  return "  - {at: frozen, run: [" + list + "], timeout: 60s}\n";
}

std::uint64_t image_bytes_in(const std::filesystem::path& folder) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".img") bytes += entry.file_size();
  }
  return bytes;
}

}  // namespace lockstep::apps
