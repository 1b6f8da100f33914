// make_seeds DIR: writes the seeds that are in tests/fuzz/seeds, one folder for each fuzzer. To be run again when a
// format has changed.
#include <netinet/in.h>  // in front of the kernel's, which then leave out what libc has

#include <linux/inet_diag.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "agent/kernel/nft_comment.hpp"
#include "cli/images/image_file.hpp"
#include "common/netlink_reader.hpp"
#include "criu_stats.pb.h"
#include "schemas/codec.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/unit/images/sample_images.hpp"
#include "tests/unit/schemas/samples.hpp"

namespace {

using namespace lockstep;
using fuzz::piece_of;

std::string g_folder;

void seed(const std::string& fuzzer, const std::string& name, const std::string& bytes) {
  const std::string folder = g_folder + "/" + fuzzer;
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/" + name, std::ios::binary) << bytes;
}

template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// --- netlink --------------------------------------------------------------------------------------------------------

std::string padded(std::string bytes) {
  bytes.resize(NLMSG_ALIGN(bytes.size()));
  return bytes;
}
std::string attribute(int type, const std::string& payload) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + payload.size()), static_cast<std::uint16_t>(type)};
  return padded(raw(header) + payload);
}
std::string netlink(int type, const std::string& payload, std::uint32_t sequence = 1) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + payload.size());
  header.nlmsg_type = static_cast<std::uint16_t>(type);
  header.nlmsg_seq = sequence;
  return padded(raw(header) + payload);
}
std::string netfilter(int family, const std::string& attributes) {
  return raw(nfgenmsg{static_cast<std::uint8_t>(family), NFNETLINK_V0, 0}) + attributes;
}

void inet_diag_seeds() {
  inet_diag_msg entry{};
  entry.idiag_family = AF_INET6;
  entry.idiag_state = 1;
  entry.idiag_inode = 0x41414141;
  entry.id.idiag_src[3] = entry.id.idiag_dst[3] = 0x0100007f;
  tcp_info info{};
  info.tcpi_bytes_acked = 1000;
  info.tcpi_bytes_received = 2000;
  const std::string v6 = raw(entry) + attribute(INET_DIAG_INFO, raw(info));
  entry.idiag_family = AF_INET;
  const std::string v4 = raw(entry) + attribute(INET_DIAG_MARK, raw(std::uint32_t{1}));
  entry.idiag_family = AF_INET6;
  entry.id.idiag_src[2] = entry.id.idiag_dst[2] = 0xffff0000;
  const std::string mapped = raw(entry);
  const std::string done = netlink(NLMSG_DONE, raw(std::int32_t{0}));
  const std::string first = netlink(SOCK_DIAG_BY_FAMILY, v6) + netlink(SOCK_DIAG_BY_FAMILY, v4);
  seed("inet_diag", "table",
       std::string(1, '\0') + piece_of(first) + piece_of(netlink(SOCK_DIAG_BY_FAMILY, mapped) + done));
  seed("inet_diag", "wanted", std::string(1, '\1') + piece_of(first + done));
  nlmsgerr error{};
  error.error = -ENOENT;
  seed("inet_diag", "error", std::string(1, '\0') + piece_of(netlink(NLMSG_ERROR, raw(error))));
}

std::string flow(char last) {
  const std::string address{10, 0, 0, last};
  const auto port = static_cast<std::uint16_t>(htons(4000));
  return attribute(CTA_TUPLE_IP, attribute(CTA_IP_V4_SRC, address) + attribute(CTA_IP_V4_DST, address)) +
         attribute(CTA_TUPLE_PROTO, attribute(CTA_PROTO_NUM, std::string(1, IPPROTO_TCP)) +
                                        attribute(CTA_PROTO_SRC_PORT, raw(port)) +
                                        attribute(CTA_PROTO_DST_PORT, raw(port)));
}

void netfilter_seeds() {
  const auto with_reader = [](char reader, const std::string& bytes) { return std::string(1, reader) + bytes; };
  const std::string owner = "agent=node7/node pid=812 start=5518 pidns=4026531836";
  const std::string round = "round=20250101T120000-1a2b3c4d since=1735732800000";
  const std::string name("lockstep\0", 9);
  seed("netfilter", "table",
       with_reader(0, netfilter(NFPROTO_INET, attribute(NFTA_TABLE_NAME, name) +
                                                  attribute(NFTA_TABLE_USERDATA, nft::comment_data(owner)))));
  seed("netfilter", "chain",
       with_reader(1, netfilter(NFPROTO_IPV4, attribute(NFTA_CHAIN_TABLE, std::string("filter\0", 7)) +
                                                  attribute(NFTA_CHAIN_NAME, std::string("CRIU\0", 5)))));
  const std::string element = attribute(NFTA_SET_ELEM_EXPIRATION, std::string("\0\0\0\0\0\0\x75\x30", 8)) +
                              attribute(NFTA_SET_ELEM_USERDATA, nft::comment_data(round));
  seed("netfilter", "elements",
       with_reader(
           2, netfilter(NFPROTO_INET, attribute(NFTA_SET_ELEM_LIST_ELEMENTS, attribute(NFTA_LIST_ELEM, element) +
                                                                                 attribute(NFTA_LIST_ELEM, element)))));
  nlmsgerr error{};
  error.error = -EEXIST;
  error.msg.nlmsg_seq = 0xFFFFFFFFU;
  seed("netfilter", "answer",
       with_reader(3, netlink(NLMSG_ERROR, raw(error), 0xFFFFFFFFU) + netlink(NLMSG_ERROR, raw(nlmsgerr{}), 1)));
  seed("netfilter", "conntrack",
       with_reader(4, netfilter(AF_INET, attribute(CTA_TUPLE_ORIG, flow(1)) + attribute(CTA_TUPLE_REPLY, flow(2)))));
  seed("netfilter", "comment", with_reader(5, owner + " " + round));
  seed("netfilter", "iptables",
       with_reader(
           6,
           "*filter\n:LOCKSTEP-IN - [0:0]\n-A LOCKSTEP-IN -m time --datestop 2026-11-22T17:15:38 --utc -m comment "
           "--comment \"" +
               owner + "\" -j DROP\nCOMMIT\n"));
}

// --- everything else ------------------------------------------------------------------------------------------------

void message_seeds() {
  std::string talk;
  std::string frames(1, '\0');
  std::string stream;
  for (const Message& message : test::every_message()) {
    const std::string bytes = encode(message);
    seed("message", std::string(type_name(message.body)), bytes);
    stream += std::string{0, 0, static_cast<char>(bytes.size() >> 8U), static_cast<char>(bytes.size())} + bytes;
  }
  seed("frames", "messages", frames + piece_of(stream.substr(0, 1000)) + piece_of(stream.substr(1000)));
  seed("frames", "bad",
       std::string(1, '\1') + piece_of(std::string("\0\0\0\1x\0\0", 7)) + piece_of(std::string("\7\0", 2)));
  const std::string record = encode_record(test::a_record());
  seed("record", "file", std::string(1, '\0') + record);
  seed("record", "body", std::string(1, '\1') + record.substr(25));
}

/// A dump of one member, from its opening to its end, as a client (peer 0) and an agent (peer 1) tell it.
void broker_seeds() {
  const RoundId round("r1");
  const GroupId group("g");
  const MemberId member("m");
  const PodId pod{"boot", 77};
  std::uint64_t sequence = 0;
  std::string talk;
  const auto say = [&](char peer, Body body) {
    talk += std::string{peer, 1} + piece_of(encode({round, group, member, ++sequence, std::move(body)}));
  };
  Hello agent;
  agent.role = Role::agent;
  agent.name = "agent";
  agent.boot_id = pod.boot_id;
  agent.pods = {pod.netns_inode};
  say(0, Hello{});
  say(1, agent);
  OpenRound open;
  open.members = {{member, pod, {}, {}}};
  say(0, open);
  for (const HookAction action : {HookAction::pre_dump, HookAction::network_lock, HookAction::post_dump}) {
    HookEvent event;
    event.action = action;
    event.pod = pod;
    event.criu_pid = 10;
    event.root_pid = 20;
    if (action == HookAction::network_lock) event.socket_inodes = {5};
    say(1, event);
    Ready ready;
    ready.phase = phase_of(action);
    ready.ok = true;
    if (action == HookAction::network_lock) {
      ready.sockets.emplace_back().inode = 5;
      ready.sockets[0].state = TcpState::established;
    }
    say(1, ready);
  }
  seed(
      "broker", "dump", talk + [&] {
        talk.clear();
        say(0, MemberResult{true, {}});
        say(0, GetStatus{});
        say(0, GetHistory{});
        return talk;
      }());
  talk.clear();
  say(0, Hello{});
  say(3, agent);
  say(0, open);
  say(3, Heartbeat{{round}});
  say(0, AbortRound{"enough"});
  say(0, GetRound{});
  seed("broker", "abort", talk);
}

void hook_seeds() {
  const std::string id(64, 'a');
  std::string input(1, '\1');
  for (const std::string& text :
       {std::string("# whose\ngroup: shop\nmember: web\n"),
        std::string("socket_dir: /run/lockstep\nbroker: tcp://10.0.0.1:7600\n"),
        "0::/system.slice/docker-" + id + ".scope\n",
        std::string("12 (a b) S 1 12 12 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 5518 1000 2000\n"),
        std::string("socket:[4711]"), std::string(R"({"dependencies": {"web": ["db"], "db": []}, "port": "7600"})"),
        std::string("web"), std::string("CRTOOLS_IMAGE_DIR=/proc/1/fd/5"), std::string("CRTOOLS_INIT_PID=12"),
        std::string("LOCKSTEP_POD=4026531840"), std::string("LOCKSTEP_ROUND=r1"),
        std::string("LOCKSTEP_HOOK_LIMIT_MS=1000")}) {
    input += piece_of(text);
  }
  seed("hook", "all", input);
}

void image_seeds() {
  using namespace images::test;
  auto ends = connection(endpoint("10.0.0.1", 1000), endpoint("10.0.0.2", 80));
  ends.a.inode = 1;
  ends.b.inode = 2;
  ends.a.unacknowledged = ends.b.unread = 3;
  const std::string list = words({images::kCommonMagic, images::kFilesMagic}) + file_entry(ends.a) + file_entry(ends.b);
  seed("images", "folder",
       std::string(1, '\x1b') + piece_of(inventory_image()) + piece_of(list) + piece_of("") +
           piece_of(stream_image(ends.a)) + piece_of(stream_image(ends.b)));
  const auto of_process = process_images({{1, "server", {{1024, 4096}}, {{3, "/var/log/x", 6}}}},
                                         images::SavedClocks{std::chrono::seconds(5), std::chrono::seconds(9)});
  std::string process = std::string(1, '\x03') + piece_of(inventory_image()) + piece_of(of_process.at("files.img")) +
                        piece_of("") + piece_of("") + piece_of("") + '\x1f';
  for (const char* name : {"pstree.img", "core-1.img", "ids-1.img", "fdinfo-1.img", "timens-0.img"}) {
    process += piece_of(of_process.at(name));
  }
  seed("images", "process", process);
  const std::string old =
      words({images::kCommonMagic, images::kInetSocketsMagic}) + socket_entry(ends.a, {.mapped = true});
  seed("images", "old",
       std::string(1, '\x0d') + piece_of(inventory_image()) + piece_of("") + piece_of(old) +
           piece_of(stream_image(ends.a)));
  seed("images", "closed", std::string(1, '\x03') + piece_of(inventory_image(true)) + piece_of(list));

  criu_stats::Entry entry;
  entry.mutable_dump()->set_frozen(207102);
  entry.mutable_restore()->set_forking(5);
  const std::string bytes = entry.SerializeAsString();
  seed("criu_stats", "both", words({0x55105940, 0x57093306, static_cast<std::uint32_t>(bytes.size())}) + bytes);
}

void config_seeds() {
  const std::string examples = std::string(LOCKSTEP_SOURCE) + "/deploy/examples/";
  seed("config", "group", std::string(1, '\0') + test::read_file(examples + "group.yaml"));
  seed("config", "broker", std::string(1, '\1') + test::read_file(examples + "broker.yaml"));
  seed("config", "agent", std::string(1, '\2') + test::read_file(examples + "agent.yaml"));
  seed("config", "key",
       "\3name: name\nrole: agent\nnode: web-1\npublic: \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"\n");
  seed("config", "groups", std::string(1, '\5') + test::read_file(examples + "groups.yaml"));
  seed("config", "all_forms",
       std::string(1, '\0') +
           "group: \"g\"\nmembers: [{id: a, pid: 1, images: b}, {id: !!str c, pidfile: d,"
           " images: >\n  e\n}]\nexternal_allow: &x ['*']\ncriu: *x\n--- |\n two\n...\n");
}

void kubernetes_seeds() {
  seed("config", "kubeconfig",
       "\4current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u, namespace: shop}}]\nclusters: [{name: k, cluster: "
       "{server: 'https://h:6443/p', certificate-authority-data: LS0tLS1CRUdJTiBY}}]\nusers: [{name: u, user: {token: t, "
       "client-certificate: a, client-key: b}}]\n");
  seed("kubernetes", "pod",
       std::string(1, '\0') +
           R"({"kind":"Pod","metadata":{"uid":"u"},"spec":{"nodeName":"n","hostNetwork":false},"status":{"containerStatuses":[)"
           R"({"name":"web","containerID":"containerd://0123abcd","state":{"running":{}}}]}})");
  seed("kubernetes", "checkpoint", "\1{\"items\":[\"/var/lib/kubelet/checkpoints/checkpoint-a_b-c.tar\"]}");
  seed("kubernetes", "status", "\2{\"kind\":\"Status\",\"message\":\"nodes is forbidden\"}");
  seed("kubernetes", "text", "\206checkpointing of a/b/c failed (rpc error: code = Unimplemented)");
}

void text_seeds() {
  int number = 0;
  for (const char* text : {"10.0.0.0/8:8000-8100", "[fd00::]/16", "[fd00::7]:443", "*:53", "*", "::ffff:10.0.0.1",
                           "fe80::1", "tcp://[::1]:7600", "tcp://broker.example:7600",
                           "ipc:///run/lockstep/broker.sock", "ipc://@name", "250ms", "24h"}) {
    seed("text", std::to_string(++number), text);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: make_seeds DIR\n"), 2;
  g_folder = argv[1];
  message_seeds();
  broker_seeds();
  hook_seeds();
  image_seeds();
  inet_diag_seeds();
  netfilter_seeds();
  config_seeds();
  kubernetes_seeds();
  text_seeds();
  return 0;
}
