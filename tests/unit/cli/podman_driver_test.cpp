/// The driver with a Podman that answers questions: a script that prints one file for each thing it knows. What it
/// exports is the folder "in", or spoilt, or never done; of what it imports it lists the names.
#include "cli/podman_driver.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cli/criu_process.hpp"
#include "cli/images_folder.hpp"
#include "common/netns.hpp"
#include "schemas/codec.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

constexpr const char* kPodman =
    R"(#!/bin/sh
case "$1 $2" in
  "container checkpoint")
    while [ "$1" != --export ]; do shift; done
    [ -e "${0%/*}/spoilt" ] && { echo c1; echo spoilt > "$2"; exit; }
    [ -e "${0%/*}/endless" ] && { echo part > "$2"; exec sleep 1000; }
    exec tar -cf "$2" -C "${0%/*}/in" . ;;
  "container restore")
    while [ "$1" != --import ]; do shift; done
    exec tar -tf "$2" ;;
esac
kind=$3 name=$5
[ -e "${0%/*}/$kind-$name" ] && exec cat "${0%/*}/$kind-$name"
echo '[]'; echo "Error: no such $kind $name" >&2; exit 125
)";

class PodmanDriverTest : public testing::Test {
 protected:
  PodmanDriverTest() {
    test::write_file(folder_ / "podman", kPodman);
    std::filesystem::permissions(folder_ / "podman", std::filesystem::perms::owner_all);
    member_.id = MemberId("web");
    member_.driver = Driver::podman;
    member_.container = "web";
    member_.podman = {folder_ / "podman"};
    knows("container", "infra1", container("infra1", "running", "bridge"));
    inode_ = *netns_inode(*open_netns_of(::getpid()));
  }

  void knows(const std::string& kind, const std::string& name, const std::string& json) {
    test::write_file(folder_ / (kind + "-" + name), json);
  }

  /// A container whose process, where it has one, is this one.
  [[nodiscard]] std::string container(const std::string& id, const std::string& status,
                                      const std::string& network = "container:infra1") const {
    return R"([{"Id": ")" + id + R"(", "Name": ")" + id + R"(-name", "Pod": "p1", "StaticDir": ")" +
           folder_ / "static" + R"(", "State": {"Status": ")" + status + R"(", "Running": )" +
           (status == "running" ? "true" : "false") + R"(, "Pid": )" + std::to_string(::getpid()) +
           R"(}, "HostConfig": {"NetworkMode": ")" + network + R"("}}])";
  }

  void write_record(const std::string& folder) {
    Record record;
    record.round = RoundId("r1");
    record.group = GroupId("g");
    record.member = member_.id;
    record.members = {member_.id};
    record.root_pid = 4711;
    test::write_file(folder + "/" + std::string(kRecordFile), encode_record(record));
  }

  void write_export(const std::string& config) {
    test::write_file(folder_ / "in/config.dump", config);
    test::write_file(folder_ / "in/spec.dump",
                     R"({"annotations": {"org.criu.config": ")" + (folder_ / "c.conf") + R"("}})");
    write_record(folder_ / "in/checkpoint");
  }

  void write_archive(const std::string& config) {
    write_export(config);
    member_.images = folder_ / "web.tar";
    const auto packed =
        run_program({"tar", "-cf", member_.images, "-C", folder_ / "in", "checkpoint", "config.dump", "spec.dump"},
                    milliseconds(10'000));
    ASSERT_TRUE(packed && packed->exit.ok());
  }

  template <class T>
  static std::string error_of(const Result<T>& result) {
    return result ? "(no error)" : result.error().message();
  }

  test::TempDir folder_;
  GroupMember member_;
  PodmanDriver driver_;
  std::uint64_t inode_ = 0;
  ThisMachine machine_{"boot", 1};  // whose namespace is not that of this process
};

TEST_F(PodmanDriverTest, FindsARunningContainer) {
  knows("container", "web", container("c1", "running"));
  const auto ready = driver_.find_tree(member_, machine_);
  ASSERT_TRUE(ready) << ready.error().message();
  EXPECT_EQ(ready->container, "c1");
  EXPECT_EQ(ready->pid, ::getpid());
  EXPECT_EQ(ready->pod, (PodId{"boot", inode_}));
  EXPECT_EQ(ready->images, folder_ / "static/checkpoint");
  EXPECT_EQ(ready->work, folder_ / "static");
  EXPECT_EQ(driver_.dump({}, *ready, false).argv.back(), "c1");
  std::vector<ReadyMember> members;
  members.push_back(std::move(*driver_.find_tree(member_, machine_)));
  EXPECT_TRUE(clear_images(Operation::dump, members)) << "Podman makes the images folder when it needs it";
}

TEST_F(PodmanDriverTest, SaysWhyAContainerCantBeDumped) {
  EXPECT_EQ(error_of(driver_.find_tree(member_, machine_)),
            "member \"web\": podman has no such container: Error: no such container web");
  knows("container", "web", container("c1", "exited"));
  EXPECT_EQ(error_of(driver_.find_tree(member_, machine_)),
            "member \"web\": container c1-name does not run: it is exited");
  knows("container", "web", container("c1", "running", "bridge"));
  EXPECT_NE(error_of(driver_.find_tree(member_, machine_)).find("container c1-name is in no pod"), std::string::npos);
  knows("container", "web", container("c1", "running"));
  EXPECT_NE(error_of(driver_.find_tree(member_, ThisMachine{"boot", inode_})).find("own network namespace"),
            std::string::npos);
  knows("container", "web", "what a surprise");
  EXPECT_NE(error_of(driver_.find_tree(member_, machine_)).find("is not what this program understands"),
            std::string::npos);
  member_.podman = {folder_ / "nothing"};
  EXPECT_NE(error_of(driver_.find_tree(member_, machine_)).find("not found; install it"), std::string::npos);
}

TEST_F(PodmanDriverTest, FindsWhereAContainerComesBack) {
  knows("container", "web", container("c1", "exited"));
  write_record(folder_ / "static/checkpoint");
  auto ready = driver_.find_images(member_);
  ASSERT_TRUE(ready) << ready.error().message();
  EXPECT_EQ(ready->record->round.value, "r1");
  knows("container", "c1", container("c1", "exited"));
  ASSERT_TRUE(driver_.find_place(*ready, machine_));
  EXPECT_EQ(ready->pod, (PodId{"boot", inode_}));
  EXPECT_EQ(driver_.restore({}, *ready).argv.back(), "c1");

  EXPECT_EQ(driver_.restored_pid(*ready).error().code, ErrorCode::not_found) << "its pid is that of the former run";
  knows("container", "c1", container("c1", "running"));
  EXPECT_EQ(*driver_.restored_pid(*ready), ::getpid());
}

TEST_F(PodmanDriverTest, SaysWhyAContainerCantBeRestoredInPlace) {
  knows("container", "web", container("c1", "running"));
  EXPECT_NE(error_of(driver_.find_images(member_)).find("lockstep.record: is missing"), std::string::npos);
  write_record(folder_ / "static/checkpoint");
  auto ready = driver_.find_images(member_);
  ASSERT_TRUE(ready) << "one that runs may be looked at";
  knows("container", "c1", container("c1", "running"));
  EXPECT_NE(error_of(driver_.find_place(*ready, machine_)).find("c1-name runs: stop it first"), std::string::npos);
  knows("container", "c1", container("c1", "exited"));
  knows("container", "infra1", container("infra1", "exited"));
  EXPECT_NE(error_of(driver_.find_place(*ready, machine_)).find("its pod does not run"), std::string::npos);
}

TEST_F(PodmanDriverTest, RestoresFromAnArchive) {
  write_archive(R"({"id": "c1", "name": "web", "pod": "p1", "staticDir": "/s"})");
  knows("pod", "p1", R"({"Id": "p1-in-full", "InfraContainerID": "infra1"})");
  auto ready = driver_.find_images(member_);
  ASSERT_TRUE(ready) << ready.error().message();
  ASSERT_TRUE(driver_.find_place(*ready, machine_)) << "the pod of the dump still exists";
  EXPECT_EQ(ready->container, "c1");
  EXPECT_EQ(ready->pod, (PodId{"boot", inode_}));
  const auto argv = driver_.restore({}, *ready).argv;
  EXPECT_EQ(std::vector<std::string>(argv.end() - 4, argv.end()),
            (std::vector<std::string>{"--import", member_.images, "--pod", "p1-in-full"}));

  write_archive(R"({"id": "c1", "name": "web", "pod": "p1", "staticDir": "/s", "runtime": "runc"})");
  ready = driver_.find_images(member_);
  ASSERT_TRUE(ready) << ready.error().message();
  EXPECT_NE(error_of(driver_.find_place(*ready, machine_)).find("c.conf is missing: its CRIU runs no hook"),
            std::string::npos);

  write_archive(R"({"id": "c1", "name": "web", "pod": "p1", "staticDir": "/s"})");
  std::filesystem::remove(folder_ / "pod-p1");
  EXPECT_NE(
      error_of(driver_.find_place(*(ready = driver_.find_images(member_)), machine_)).find("name one by \"pod:\""),
      std::string::npos);
  member_.pod = "other";
  ready = driver_.find_images(member_);
  EXPECT_NE(error_of(driver_.find_place(*ready, machine_)).find("no such pod"), std::string::npos);
  knows("pod", "other", R"({"Id": "p2", "InfraContainerID": "infra1"})");
  ready = driver_.find_images(member_);
  ASSERT_TRUE(driver_.find_place(*ready, machine_));
  EXPECT_EQ(driver_.restore({}, *ready).argv.back(), "p2");
}

constexpr const char* kWeb = R"({"id": "c1", "name": "web", "pod": "p1", "staticDir": "/s"})";

std::size_t entries_in(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST_F(PodmanDriverTest, ExportsToAFolderThatIsReplacedInTheEnd) {
  knows("container", "web", container("c1", "running"));
  member_.images = folder_ / "backups/web";
  for (const std::string round : {"first", "second"}) {
    write_export(R"({"id": "c1", "round": ")" + round + R"("})");
    const auto ready = driver_.find_tree(member_, machine_);
    ASSERT_TRUE(ready) << ready.error().message();
    const auto printed = run_program(driver_.dump({}, *ready, false).argv, milliseconds(10'000));
    ASSERT_TRUE(printed && printed->exit.ok()) << printed->output;
    EXPECT_EQ(std::filesystem::exists(member_.images + "/config.dump"), round == "second") << "not before it is kept";
    if (round == "second") {
      EXPECT_NE(test::read_file(member_.images + "/config.dump").find("first"), std::string::npos);
    }
    ASSERT_TRUE(driver_.keep(*ready));
    EXPECT_NE(test::read_file(member_.images + "/config.dump").find(round), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(ready->unpacked.path() + "/export.tar"));
  }
  EXPECT_EQ(entries_in(folder_ / "backups"), 1U) << "nothing stays beside it";

  std::filesystem::remove_all(folder_ / "in");
  const auto ready = driver_.find_tree(member_, machine_);
  ASSERT_TRUE(ready);
  EXPECT_FALSE(run_program(driver_.dump({}, *ready, false).argv, milliseconds(10'000))->exit.ok());
  EXPECT_NE(test::read_file(member_.images + "/config.dump").find("second"), std::string::npos);

  test::write_file(folder_ / "mine/file", "mine");
  member_.images = folder_ / "mine";
  EXPECT_NE(error_of(driver_.find_tree(member_, machine_)).find("holds something else"), std::string::npos);
}

TEST_F(PodmanDriverTest, AnExportThatFailsOrIsInterruptedLeavesNothingBesideTheOlderFolder) {
  knows("container", "web", container("c1", "running"));
  member_.images = folder_ / "backups/web";
  write_export("older");
  std::filesystem::create_directories(folder_ / "backups");
  std::filesystem::rename(folder_ / "in", member_.images);
  test::write_file(folder_ / "spoilt", "");
  {
    const auto ready = driver_.find_tree(member_, machine_);
    ASSERT_TRUE(ready) << ready.error().message();
    const auto printed = run_program(driver_.dump({}, *ready, false).argv, milliseconds(10'000));
    ASSERT_TRUE(printed);
    EXPECT_EQ(printed->exit.code, 1);
    EXPECT_NE(error_lines(printed->output, 1024).find("the checkpoint is in Podman's store alone"), std::string::npos)
        << "the reason that the round is told: " << printed->output;
  }
  std::filesystem::rename(folder_ / "spoilt", folder_ / "endless");
  {
    const auto ready = driver_.find_tree(member_, machine_);
    ASSERT_TRUE(ready);
    CriuCommand command = driver_.dump({}, *ready, false);
    command.output = folder_ / "output";
    const auto process = CriuProcess::start(command);
    ASSERT_TRUE(process);
    const std::string part = ready->unpacked.path() + "/export.tar";
    for (int i = 0; i < 1'000 && !std::filesystem::exists(part); ++i) ::usleep(10'000);
    EXPECT_TRUE(std::filesystem::exists(part));
    process->signal_group(SIGTERM);
    pollfd end{process->pidfd(), POLLIN, 0};
    EXPECT_EQ(::poll(&end, 1, 10'000), 1) << "the script ends with Podman";
  }
  EXPECT_EQ(entries_in(folder_ / "backups"), 1U);
  EXPECT_EQ(test::read_file(member_.images + "/config.dump"), "older");
}

TEST_F(PodmanDriverTest, RestoresFromAFolder) {
  write_export(kWeb);
  knows("pod", "p1", R"({"Id": "p1-in-full", "InfraContainerID": "infra1"})");
  std::filesystem::create_directories(folder_ / "backups");
  member_.images = folder_ / "backups/web";
  EXPECT_EQ(driver_.find_images(member_).error().code, ErrorCode::not_found);
  std::filesystem::rename(folder_ / "in", member_.images);
  {
    auto ready = driver_.find_images(member_);
    ASSERT_TRUE(ready) << ready.error().message();
    EXPECT_EQ(ready->images, member_.images + "/checkpoint");
    EXPECT_EQ(ready->record->round.value, "r1");
    ASSERT_TRUE(driver_.find_place(*ready, machine_));
    const auto printed = run_program(driver_.restore({}, *ready).argv, milliseconds(10'000));
    ASSERT_TRUE(printed && printed->exit.ok()) << printed->output;
    EXPECT_EQ(printed->output, "checkpoint/\ncheckpoint/lockstep.record\nconfig.dump\nspec.dump\n") << "no \"./\"";
  }
  EXPECT_EQ(entries_in(folder_ / "backups"), 1U) << "nothing stays beside it";

  test::write_file(member_.images + "/config.dump",
                   R"({"id": "c1", "pod": "p1", "staticDir": "/s", "runtime": "runc"})");
  auto ready = driver_.find_images(member_);
  ASSERT_TRUE(ready);
  EXPECT_NE(error_of(driver_.find_place(*ready, machine_)).find("its CRIU runs no hook"), std::string::npos);
  EXPECT_EQ(entries_in(folder_ / "backups"), 1U);
}

TEST_F(PodmanDriverTest, DoesNotImportBesideTheSameContainer) {
  write_archive(R"({"id": "c1", "name": "web", "pod": "p1", "staticDir": "/s"})");
  knows("container", "web", container("c7", "exited"));
  auto ready = driver_.find_images(member_);
  ASSERT_TRUE(ready);
  const auto placed = driver_.find_place(*ready, machine_);
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, ErrorCode::conflict);
  EXPECT_NE(placed.error().message().find("podman rm c7-name"), std::string::npos) << placed.error().message();
}

}  // namespace
}  // namespace lockstep::cli
