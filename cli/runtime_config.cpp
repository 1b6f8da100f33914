#include "cli/runtime_config.hpp"

#include <unistd.h>

#include "cli/files.hpp"
#include "cli/machine/check.hpp"
#include "cli/machine/criu_config.hpp"
#include "cli/machine/setup_command.hpp"

namespace lockstep::cli {
namespace {

constexpr std::size_t kConfigLimit = 1024 * 1024;

std::optional<std::string> text_of(const std::string& path) {
  auto text = read_file(path, kConfigLimit);
  return text ? std::optional(std::move(*text)) : std::nullopt;
}

/// crun takes runc's file where it has none of its own.
std::string file_of(const std::string& runtime, const std::string& root) {
  const std::string own = criu_config_of(runtime, root);
  return runtime == "crun" && !text_of(own) && text_of(criu_config_of("runc", root)) ? criu_config_of("runc", root)
                                                                                     : own;
}

CriuConfigFiles with_default(const std::string& path, const std::string& root) {
  const auto own = text_of(path);
  const auto all = text_of(criu_default_config(root));
  return {path, own || all, all.value_or("") + "\n" + own.value_or("")};
}

}  // namespace

std::string criu_default_config(const std::string& root) { return root + "/etc/criu/default.conf"; }

CriuConfigFiles criu_config_files(const std::string& runtime, const std::string& root) {
  return with_default(file_of(runtime, root), root);
}

std::optional<RuntimeTrouble> runtime_trouble(const ContainerRuntime& container, const std::string& root) {
  const std::string runtime = container.name.substr(container.name.rfind('/') + 1);
  if (runtime != "runc" && runtime != "crun") return std::nullopt;
  const bool named = !container.criu_config.empty();
  const CriuConfigFiles files =
      named ? with_default(container.criu_config, root) : criu_config_files(runtime, root);
  const Check check = judge_runtime_config(runtime, files.path, files.there, files.text);
  if (check.health == Health::fail) {
    if (!named) return RuntimeTrouble{check.found, check.remedy};
    return RuntimeTrouble{
        check.found, "the container's annotation org.criu.config names that file: put into it what `" + check.remedy +
                         "` writes into " + criu_config_of(runtime, root)};
  }
  const std::string hook = hooks_in(read_criu_config(files.text)).front();
  if (::access(hook.c_str(), X_OK) == 0) return std::nullopt;
  return RuntimeTrouble{files.path + " runs " + hook + ", which is not there, or is no program",
                        "lockstep setup --runtime " + runtime};
}

}  // namespace lockstep::cli
