#include "common/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

namespace lockstep {

Result<void> setup_log(const std::string& program, const std::string& level) {
  const auto wanted = spdlog::level::from_str(level);
  // from_str() answers "off" for what it does not know.
  if (wanted == spdlog::level::off && level != "off") {
    return fail(ErrorCode::invalid, "log_level '" + level + "'", "use debug, info, warning, error or off");
  }
  auto logger = std::make_shared<spdlog::logger>(program, std::make_shared<spdlog::sinks::stderr_sink_st>());
  logger->set_level(wanted);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(logger);
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %n %l %v", spdlog::pattern_time_type::utc);
  return {};
}

}  // namespace lockstep
