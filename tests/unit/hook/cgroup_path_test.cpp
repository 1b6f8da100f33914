#include "common/cgroup_path.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

const std::string kId(64, 'a');
const std::string kPod = std::string(63, 'b') + "1";
const std::string kUid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
const std::string kSystemdUid = "0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9";

struct Row {
  const char* name;
  std::string cgroup;
  std::string container;
  std::string pod;
};

TEST(CgroupPath, KnowsWhoIsWhere) {
  const std::vector<Row> rows{
      {"docker, systemd, v2", "0::/system.slice/docker-" + kId + ".scope\n", kId, ""},
      {"docker, cgroupfs, v1", "12:memory:/docker/" + kId + "\n1:name=systemd:/docker/" + kId + "\n", kId, ""},
      {"containerd, systemd, v2",
       "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kSystemdUid + ".slice/cri-containerd-" +
           kId + ".scope\n",
       kId, kUid},
      {"containerd, cgroupfs, v1", "3:cpu:/kubepods/besteffort/pod" + kUid + "/" + kId + "\n", kId, kUid},
      {"containerd, guaranteed",
       "0::/kubepods.slice/kubepods-pod" + kSystemdUid + ".slice/cri-containerd-" + kId + ".scope\n", kId, kUid},
      {"cri-o, systemd, v2",
       "0::/kubepods.slice/kubepods-pod" + kSystemdUid + ".slice/crio-" + kId + ".scope/container\n", kId, kUid},
      {"cri-o, cgroupfs", "0::/kubepods/pod" + kUid + "/crio-" + kId + "\n", kId, kUid},
      {"static pod", "0::/kubepods/burstable/pod" + std::string(32, 'c') + "/" + kId + "\n", kId, std::string(32, 'c')},
      {"in kind", "0::/docker/" + std::string(64, 'd') + "/kubelet/kubepods/pod" + kUid + "/" + kId + "\n", kId, kUid},
      {"podman, systemd, v2", "0::/machine.slice/libpod-" + kId + ".scope/container\n", kId, ""},
      {"podman's pod, systemd, v2",
       "0::/machine.slice/machine-libpod_pod_" + kPod + ".slice/libpod-" + kId + ".scope\n", kId, kPod},
      {"podman's pod, cgroupfs, hybrid",
       "9:name=systemd:/libpod_parent/" + kPod + "/libpod-" + kId + "\n0::/libpod_parent/" + kPod + "/libpod-" + kId +
           "\n",
       kId, kPod},
      {"podman, cgroupfs", "0::/libpod_parent/libpod-" + kId + "\n", kId, ""},
      {"podman, split", "0::/user.slice/x.service/libpod-payload-" + kId + "\n", kId, ""},
      {"conmon is in none", "0::/machine.slice/libpod-conmon-" + kId + ".scope\n", "", ""},
      {"no container", "0::/user.slice/session-1.scope\n", "", ""},
      {"a service named so", "0::/system.slice/ipod.service\n0::/pod/podium\n", "", ""},
      {"nothing", "", "", ""},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(container_id_in(row.cgroup), row.container) << row.name;
    EXPECT_EQ(pod_uid_in(row.cgroup), row.pod) << row.name;
  }
}

}  // namespace
}  // namespace lockstep
