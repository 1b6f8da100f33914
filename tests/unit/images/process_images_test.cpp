/// Limits, files and clocks of the processes in an images folder.
#include "cli/images/process_images.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "cli/images/image_file.hpp"
#include "criu_images.pb.h"
#include "tests/unit/images/sample_images.hpp"

namespace lockstep::images {
namespace {

using namespace std::chrono_literals;
using test::entry;
using test::words;

std::vector<SavedProcess> two_processes() {
  return {
      {1, "server", {{1024, 4096}, {~std::uint64_t{0}, ~std::uint64_t{0}}}, {{3, "/var/log/x", 6, true}, {4, "/data", 0}}},
      {17, "worker", {{10, 10}}, {}}};
}

class ProcessImagesTest : public ::testing::Test {
 protected:
  void write(const std::map<std::string, std::string>& images) {
    for (const auto& [name, bytes] : images) test::write_file(dir_ / name, bytes);
    test::write_file(dir_ / "inventory.img", test::inventory_image());
  }
  [[nodiscard]] ProcessImages read() const { return read_process_images(dir_.path()); }

  test::TempDir dir_;
};

TEST_F(ProcessImagesTest, TellWhatWasSaved) {
  write(test::process_images(two_processes(), SavedClocks{5s + 7ns, 9s}));
  const ProcessImages images = read();
  EXPECT_TRUE(images.problems.empty()) << images.problems.front();
  ASSERT_EQ(images.processes.size(), 2U);
  const SavedProcess& server = images.processes[0];
  EXPECT_EQ(server.pid, 1);
  EXPECT_EQ(server.name, "server");
  ASSERT_EQ(server.limits.size(), 2U);
  EXPECT_EQ(server.limits[0].soft, 1024U);
  EXPECT_EQ(server.limits[0].hard, 4096U);
  EXPECT_EQ(server.limits[1].hard, ~std::uint64_t{0});
  ASSERT_EQ(server.files.size(), 2U);
  EXPECT_EQ(server.files[0].fd, 3);
  EXPECT_EQ(server.files[0].name, "/var/log/x");
  EXPECT_EQ(server.files[0].size, 6U);
  EXPECT_EQ(images.processes[1].name, "worker");
  ASSERT_TRUE(images.clocks);
  EXPECT_EQ(images.clocks->monotonic, 5s + 7ns);
  EXPECT_EQ(images.clocks->boottime, 9s);
}

TEST_F(ProcessImagesTest, OfAFileThatIsOnlyAppendedToThePlaceIsKnown) {
  write(test::process_images({{1, "a", {}, {{3, "/log", 0}}}}));
  criu_images::File file;
  file.set_type(1);
  file.set_id(1);
  file.mutable_reg()->set_name("/log");
  file.mutable_reg()->set_pos(42);
  test::write_file(dir_ / "files.img", words({kCommonMagic, kFilesMagic}) + entry(file.SerializeAsString()));
  EXPECT_EQ(read().processes.at(0).files.at(0).size, 42U);
}

TEST_F(ProcessImagesTest, WithoutClocksTheMachinesUptimeIsLeft) {
  write(test::process_images(two_processes()));
  criu_images::Inventory inventory;
  inventory.set_img_version(2);
  inventory.set_dump_uptime(3'500'000);
  test::write_file(dir_ / "inventory.img", words({kInventoryMagic}) + entry(inventory.SerializeAsString()));
  const ProcessImages images = read();
  EXPECT_FALSE(images.clocks);
  EXPECT_EQ(images.uptime, 3500ms);
}

TEST_F(ProcessImagesTest, AZombieHasNoDescriptors) {
  write(test::process_images(two_processes()));
  for (const char* name : {"ids-17.img", "fdinfo-17.img"}) std::filesystem::remove(dir_ / name);
  const ProcessImages images = read();
  EXPECT_TRUE(images.problems.empty());
  EXPECT_EQ(images.processes.size(), 2U);
}

TEST_F(ProcessImagesTest, WhatIsMissingOrWrongIsToldAndTheRestIsRead) {
  write(test::process_images(two_processes(), SavedClocks{5s, 9s}));
  std::filesystem::remove(dir_ / "core-1.img");
  criu_images::TimeNamespace times;
  times.mutable_monotonic()->set_tv_sec(~std::uint64_t{0});
  test::write_file(dir_ / "timens-0.img", words({kCommonMagic, kTimensMagic}) + entry(times.SerializeAsString()));
  criu_images::Process strange;
  strange.set_pid(~0U);
  test::write_file(dir_ / "pstree.img", test::read_file(dir_ / "pstree.img") + entry(strange.SerializeAsString()));
  const ProcessImages images = read();
  ASSERT_EQ(images.processes.size(), 1U);
  EXPECT_EQ(images.processes[0].name, "worker");
  EXPECT_FALSE(images.clocks);
  std::string all;
  for (const std::string& problem : images.problems) all += problem + "\n";
  for (const char* name : {"core-1.img", "timens-0.img", "pstree.img"}) {
    EXPECT_NE(all.find(name), std::string::npos) << name << " in\n" << all;
  }
  test::TempDir empty;
  EXPECT_FALSE(read_process_images(empty.path()).problems.empty());
}

TEST_F(ProcessImagesTest, SurvivesEveryCutAndAnyByte) {
  const auto whole = test::process_images(two_processes(), SavedClocks{5s, 9s});
  std::mt19937 random(1);
  for (const auto& [name, bytes] : whole) {
    write(whole);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      test::write_file(dir_ / name, bytes.substr(0, size));
      (void)read();
      std::string changed = bytes;
      changed[size] = static_cast<char>(random());
      test::write_file(dir_ / name, changed);
      (void)read();
    }
  }
}

}  // namespace
}  // namespace lockstep::images
