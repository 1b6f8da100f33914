#include "cli/podman_command.hpp"

#include <gtest/gtest.h>

namespace lockstep::cli {
namespace {

GroupMember member(const std::string& archive) {
  GroupMember member;
  member.id = MemberId("web");
  member.driver = Driver::podman;
  member.container = "shop-web";
  member.images = archive;
  member.podman = {"podman", "--runtime", "runc"};
  member.podman_options = {"--file-locks"};
  return member;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

struct Case {
  const char* name;
  CriuCommand command;
  std::string argv;
  std::string output;
  std::string log;
};

TEST(PodmanCommand, SaysWhatIsToBeDone) {
  const std::vector<Case> cases{
      {"checkpoint in place", podman_checkpoint(member(""), "c1", "/static", false, ""),
       "podman --runtime runc container checkpoint --tcp-established --keep --file-locks c1",
       "/static/lockstep-dump.out", "/static/dump.log"},
      {"left running", podman_checkpoint(member(""), "c1", "/static", true, ""),
       "podman --runtime runc container checkpoint --tcp-established --keep --leave-running --file-locks c1",
       "/static/lockstep-dump.out", "/static/dump.log"},
      {"exported", podman_checkpoint(member("/a.tar.gz"), "c1", "/static", false, "/a.tar.gz.lockstep.1"),
       "podman --runtime runc container checkpoint --tcp-established --keep --export /a.tar.gz.lockstep.1/a.tar.gz "
       "--compress gzip --file-locks c1",
       "/static/lockstep-dump.out", "/static/dump.log"},
      {"restore in place", podman_restore(member(""), "c1", "p1", "/static", "/static", ""),
       "podman --runtime runc container restore --tcp-established --keep --file-locks c1",
       "/static/lockstep-restore.out", "/static/restore.log"},
      {"imported", podman_restore(member("/a.tar.zst"), "c1", "p1", "/tmp/x", "/static", ""),
       "podman --runtime runc container restore --tcp-established --keep --import /a.tar.zst --pod p1 --file-locks",
       "/tmp/x/lockstep-restore.out", "/static/restore.log"},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(joined(each.command.argv), each.argv) << each.name;
    EXPECT_EQ(each.command.output, each.output) << each.name;
    EXPECT_EQ(each.command.log, each.log) << each.name;
    EXPECT_EQ(each.command.pod_fd, -1) << each.name;
  }
}

TEST(PodmanCommand, GoesThroughAnArchiveWhereTheImagesAreAFolder) {
  const auto behind_script = [](const CriuCommand& command) {
    EXPECT_EQ(command.argv.front(), "sh");
    return joined({command.argv.begin() + 4, command.argv.end()});
  };
  EXPECT_EQ(behind_script(podman_checkpoint(member("/saved"), "c1", "/static", false, "/saved.lockstep.1")),
            "/saved.lockstep.1 podman --runtime runc container checkpoint --tcp-established --keep --export "
            "/saved.lockstep.1/export.tar --compress none --file-locks c1");
  EXPECT_EQ(behind_script(podman_restore(member("/saved"), "c1", "p1", "/tmp/x", "/static", "/saved.lockstep.1")),
            "/saved.lockstep.1 /saved podman --runtime runc container restore --tcp-established --keep --import "
            "/saved.lockstep.1/export.tar --pod p1 --file-locks");
}

TEST(PodmanInspect, ReadsAContainer) {
  const auto container = parse_podman_container(R"([{
    "Id": "abc", "Name": "web", "Pod": "p1", "StaticDir": "/s", "OCIRuntime": "/usr/sbin/runc",
    "Config": {"Annotations": {"org.criu.config": "/c.conf"}},
    "State": {"Status": "running", "Running": true, "Pid": 42},
    "HostConfig": {"NetworkMode": "container:infra1"}}])");
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(container->id, "abc");
  EXPECT_EQ(container->name, "web");
  EXPECT_EQ(container->status, "running");
  EXPECT_TRUE(container->running);
  EXPECT_EQ(container->pid, 42);
  EXPECT_EQ(container->pod, "p1");
  EXPECT_EQ(container->network_of, "infra1");
  EXPECT_EQ(container->static_dir, "/s");
  EXPECT_EQ(container->runtime.name, "/usr/sbin/runc");
  EXPECT_EQ(container->runtime.criu_config, "/c.conf");
}

TEST(PodmanInspect, DoesNotTakeADeadContainersPidForALivingOne) {
  const auto container = parse_podman_container(
      R"([{"Id": "abc", "StaticDir": "/s", "State": {"Status": "exited", "Running": false, "Pid": 42},
           "HostConfig": {"NetworkMode": "bridge"}}])");
  ASSERT_TRUE(container);
  EXPECT_FALSE(container->running);
  EXPECT_EQ(container->network_of, "");
}

TEST(PodmanInspect, RefusesWhatItDoesNotUnderstand) {
  for (const char* json :
       {"", "no json", "[]", "5", "[1,2]", R"([{"StaticDir": "/s"}])", R"([{"Id": "a"}])",
        R"([{"Id": 5, "StaticDir": "/s"}])", R"([{"Id": "a", "StaticDir": "/s", "State": {"Running": true}}])",
        R"([{"Id": "a", "StaticDir": "/s", "State": {"Running": true, "Pid": 0}}])"}) {
    EXPECT_FALSE(parse_podman_container(json)) << json;
  }
  EXPECT_TRUE(parse_podman_container(R"([{"Id": "a", "StaticDir": "/s", "State": 5}])"));
}

TEST(PodmanInspect, ReadsAPod) {
  for (const char* json :
       {R"({"Id": "p1", "InfraContainerID": "i1"})", R"([{"Id": "p1", "InfraContainerID": "i1"}])"}) {
    const auto pod = parse_podman_pod(json);
    ASSERT_TRUE(pod) << json;
    EXPECT_EQ(pod->id, "p1");
    EXPECT_EQ(pod->infra, "i1");
  }
  EXPECT_FALSE(parse_podman_pod(R"({"Id": "p1"})"));
  EXPECT_FALSE(parse_podman_pod(R"({"InfraContainerID": "i1"})"));
}

TEST(PodmanInspect, ReadsAnArchivesContainer) {
  const auto container =
      parse_archived_container(R"({"id": "c", "name": "web", "pod": "p", "staticDir": "/s", "runtime": "crun"})",
                               R"({"annotations": {"org.criu.config": "/c.conf"}})");
  ASSERT_TRUE(container);
  EXPECT_EQ(container->id, "c");
  EXPECT_EQ(container->name, "web");
  EXPECT_EQ(container->pod, "p");
  EXPECT_EQ(container->static_dir, "/s");
  EXPECT_EQ(container->runtime.name, "crun");
  EXPECT_EQ(container->runtime.criu_config, "/c.conf");
  EXPECT_FALSE(parse_archived_container(R"({"name": "web"})", "{}"));
  EXPECT_FALSE(parse_archived_container(R"({"id": "c"})", "no json"));
}

}  // namespace
}  // namespace lockstep::cli
