#include "cli/group_file.hpp"

#include <gtest/gtest.h>

namespace lockstep::cli {
namespace {

Result<GroupFile> parse(const std::string& yaml) { return parse_group_file(yaml, "group.yaml", "/srv/demo"); }

std::string error_of(const std::string& yaml) {
  const auto group = parse(yaml);
  return group ? "(no error)" : group.error().message();
}

TEST(GroupFile, ReadsEverything) {
  const auto group = parse(R"(
group: demo
broker: tcp://10.0.0.1:7600
releases: tcp://10.0.0.1:9000
socket_dir: run
criu: [nice, -n5, criu]
hook: libexec/lockstep-hook
criu_options: [--shell-job]
deadlines: {prepare: 1s, lock: 2s, commit: 5m, finish: 250ms}
lease: 20s
order: serial
members:
  - id: server
    pidfile: server.pid
    images: images/server/
    pod: /run/netns/x
    container: 0123abcd
    criu: ./criu
    criu_options: [--file-locks]
  - {id: client, pid: 42, images: /var/images/client}
)");
  ASSERT_TRUE(group) << group.error().message();
  EXPECT_EQ(group->group.value, "demo");
  EXPECT_EQ(group->broker, "tcp://10.0.0.1:7600");
  EXPECT_EQ(group->releases, "tcp://10.0.0.1:9000");
  EXPECT_EQ(group->socket_dir, "/srv/demo/run");
  EXPECT_EQ(group->hook, "/srv/demo/libexec/lockstep-hook");
  EXPECT_EQ(group->deadlines, (Deadlines{1'000, 2'000, 300'000, 250}));
  EXPECT_EQ(group->lease_ms, 20'000U);
  EXPECT_EQ(group->order, MemberOrder::serial);
  ASSERT_EQ(group->members.size(), 2U);

  const GroupMember& server = group->members[0];
  EXPECT_EQ(server.id.value, "server");
  EXPECT_FALSE(server.pid);
  EXPECT_EQ(server.pidfile, "/srv/demo/server.pid");
  EXPECT_EQ(server.images, "/srv/demo/images/server");
  EXPECT_EQ(server.pod, "/run/netns/x");
  EXPECT_EQ(server.container, "0123abcd");
  EXPECT_EQ(server.criu, std::vector<std::string>{"/srv/demo/criu"});
  EXPECT_EQ(server.criu_options, (std::vector<std::string>{"--shell-job", "--file-locks"}));

  const GroupMember& client = group->members[1];
  EXPECT_EQ(client.pid, 42);
  EXPECT_EQ(client.pidfile, "");
  EXPECT_EQ(client.images, "/var/images/client");
  EXPECT_EQ(client.criu, (std::vector<std::string>{"nice", "-n5", "criu"}));
  EXPECT_EQ(client.criu_options, std::vector<std::string>{"--shell-job"});
}

TEST(GroupFile, NamesContainers) {
  const auto group = parse(R"(
group: shop
driver: podman
podman: [podman, --runtime, runc]
podman_options: [--print-stats]
members:
  - {id: web, container: shop-web}
  - {id: database, container: 0123abcd, images: saved/database.tar.zst, pod: backend, podman: bin/podman, podman_options: [--file-locks]}
  - {id: old, driver: criu, pid: 42, images: old}
  - {id: cache, container: shop-cache, images: saved/cache/, pod: backend}
)");
  ASSERT_TRUE(group) << group.error().message();
  const GroupMember& web = group->members[0];
  EXPECT_EQ(web.driver, Driver::podman);
  EXPECT_EQ(web.container, "shop-web");
  EXPECT_EQ(web.images, "");
  EXPECT_EQ(web.podman, (std::vector<std::string>{"podman", "--runtime", "runc"}));
  EXPECT_EQ(web.podman_options, (std::vector<std::string>{"--print-stats"}));
  const GroupMember& database = group->members[1];
  EXPECT_EQ(database.images, "/srv/demo/saved/database.tar.zst");
  EXPECT_EQ(database.pod, "backend");
  EXPECT_EQ(database.podman, (std::vector<std::string>{"/srv/demo/bin/podman"}));
  EXPECT_EQ(database.podman_options, (std::vector<std::string>{"--print-stats", "--file-locks"}));
  EXPECT_EQ(group->members[2].driver, Driver::criu);
  EXPECT_EQ(group->members[3].images, "/srv/demo/saved/cache") << "a folder";
}

TEST(GroupFile, NamesEveryMistakeInAContainer) {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"{id: a}", "members[0]: the key \"container\" is missing"},
      {"{id: a, container: a/b}", "members[0].container: expected a container's name or id"},
      {"{id: a, container: c, pid: 4}",
       "members[0].pid: is for \"driver: criu\"; Podman knows its container's process"},
      {"{id: a, container: c, images: saved.tar.xz}",
       "members[0].images: expected a folder, or an archive that is called .tar, .tar.gz or .tar.zst; without this key "
       "the images stay in Podman's own folder"},
      {"{id: a, container: c, images: saved/}, {id: b, container: d, images: saved/b.tar}",
       "members[1].images: is in \"/srv/demo/saved\", which is replaced as a whole when member \"a\" is checkpointed"},
      {"{id: a, container: c, images: saved/}, {id: b, container: d, images: saved}",
       "members[1].images: \"/srv/demo/saved\" is also that of member \"a\""},
      {"{id: a, container: c, pod: p}",
       "members[0].pod: is for containers that are restored from an archive or a folder (\"images\"); others come back "
       "in their own pod"},
      {"{id: a, container: c, podman_options: [--export=x]}",
       "members[0].podman_options: --export is set by lockstep, or would undo what it does"},
      {"{id: a, container: c}, {id: b, container: c}", "members[1].container: \"c\" is also that of member \"a\""},
  };
  for (const auto& [members, message] : bad) {
    EXPECT_EQ(error_of("group: g\ndriver: podman\nmembers: [" + members + "]\n"), "group.yaml:3: " + message)
        << members;
  }
}

TEST(GroupFile, NamesContainersOfACluster) {
  const auto group = parse(R"(
group: shop
driver: kubelet
kubernetes: {kubeconfig: secrets/config, context: prod}
members:
  - {id: web, namespace: shop, pod: web-0, container: web, node: node-1.example, external: keep}
  - {id: database, pod: database-0, container: redis, kubernetes: {kubeconfig: /k/other}}
  - {id: old, driver: criu, pid: 42, images: old}
)");
  ASSERT_TRUE(group) << group.error().message();
  const GroupMember& web = group->members[0];
  EXPECT_EQ(web.driver, Driver::kubelet);
  EXPECT_EQ(web.ns + "/" + web.pod + "/" + web.container, "shop/web-0/web");
  EXPECT_EQ(web.node, "node-1.example");
  EXPECT_EQ(web.kubernetes.kubeconfig, "/srv/demo/secrets/config");
  EXPECT_EQ(web.kubernetes.context, "prod");
  EXPECT_EQ(web.policy.external, ExternalPolicy::keep);
  EXPECT_EQ(group->members[1].ns, "");
  EXPECT_EQ(group->members[1].kubernetes.kubeconfig, "/k/other");
  EXPECT_EQ(group->members[2].driver, Driver::criu);
}

TEST(GroupFile, NamesEveryMistakeInAContainerOfACluster) {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"{id: a, container: c}", "members[0]: the key \"pod\" is missing"},
      {"{id: a, pod: p}", "members[0]: the key \"container\" is missing"},
      {"{id: a, pod: P, container: c}",
       "members[0].pod: \"P\" is no name of a pod: lower-case letters, digits, hyphens and dots"},
      {"{id: a, pod: ../p, container: c}",
       "members[0].pod: \"../p\" is no name of a pod: lower-case letters, digits, hyphens and dots"},
      {"{id: a, pod: p, container: c.d}",
       "members[0].container: \"c.d\" is no name of a container: up to 63 lower-case letters, digits and hyphens"},
      {"{id: a, pod: p, container: c, namespace: 'n?x'}",
       "members[0].namespace: \"n?x\" is no name of a namespace: up to 63 lower-case letters, digits and hyphens"},
      {"{id: a, pod: p, container: c, node: -n}",
       "members[0].node: \"-n\" is no name of a node: lower-case letters, digits, hyphens and dots"},
      {"{id: a, pod: p, container: c, pid: 4}",
       "members[0].pid: is for \"driver: criu\"; the node's runtime knows its container's process"},
      {"{id: a, pod: p, container: c, images: x}",
       "members[0].images: is for other drivers: the kubelet chooses the archive, on its node, and says which"},
      {"{id: a, pod: p, container: c}, {id: b, pod: p, container: c}",
       "members[1].container: \"/p/c\" is also that of member \"a\""},
      {"{id: a, pod: p, container: c, kubernetes: {token: x}}",
       "members[0].kubernetes: unknown key \"token\", known keys: kubeconfig, context"},
  };
  for (const auto& [members, message] : bad) {
    EXPECT_EQ(error_of("group: g\ndriver: kubelet\nmembers: [" + members + "]\n"), "group.yaml:3: " + message)
        << members;
  }
}

TEST(GroupFile, HasDefaults) {
  const auto group = parse("group: g\nmembers: [{id: a, pid: 1, images: a}]\n");
  ASSERT_TRUE(group) << group.error().message();
  EXPECT_EQ(group->broker, "");
  EXPECT_EQ(group->socket_dir, "/run/lockstep");
  EXPECT_EQ(group->hook, "");
  EXPECT_EQ(group->deadlines, Deadlines{});
  EXPECT_EQ(group->lease_ms, 15'000U);
  EXPECT_EQ(group->in_flight_retries, 3U);
  EXPECT_FALSE(group->skip_in_flight);
  EXPECT_EQ(group->members[0].criu, std::vector<std::string>{"criu"});
}

TEST(GroupFile, SaysWhatBecomesOfConnectionsInFlight) {
  const std::string keys = "group: g\nin_flight_retries: 0\nskip_in_flight: true\n";
  const auto group = parse(keys + "members: [{id: a, pid: 1, images: a}]\n");
  ASSERT_TRUE(group) << group.error().message();
  EXPECT_EQ(group->in_flight_retries, 0U);
  EXPECT_TRUE(group->skip_in_flight);
  const std::string mixed = "members: [{id: a, pid: 1, images: a}, {id: b, driver: podman, container: c}]\n";
  EXPECT_NE(error_of(keys + mixed)
                .find("group.yaml:3: skip_in_flight: --skip-in-flight can't be handed to the CRIU of member \"b\""),
            std::string::npos)
      << error_of(keys + mixed);
  EXPECT_TRUE(parse("group: g\nin_flight_retries: 5\n" + mixed));
  EXPECT_NE(error_of("group: g\nin_flight_retries: 101\n" + mixed).find("group.yaml:2: in_flight_retries"),
            std::string::npos);
}

TEST(GroupFile, NamesEveryMistake) {
  const std::string group = "group: g\n";
  const std::string member = "members: [{id: a, pid: 1, images: a}]\n";
  const std::vector<std::pair<std::string, std::string>> bad{
      {"", "group.yaml: the key \"group\" is missing"},
      {member, "group.yaml:1: the key \"group\" is missing"},
      {group, "group.yaml:1: the key \"members\" is missing"},
      {group + "members: []\n", "group.yaml:2: members: a group has at least one member"},
      {group + "members: 5\n", "group.yaml:2: members: expected a list, got \"5\""},
      {"group: ../etc\n" + member,
       "group.yaml:1: group: \"../etc\" is no name: 1 to 64 letters, digits, '.', '_' or '-', not "
       "beginning with '.'"},
      {group + "member: []\n", "group.yaml:2: unknown key \"member\", did you mean \"members\"?"},
      {group + "broker: localhost\n" + member,
       "group.yaml:2: broker: endpoint \"localhost\": must be tcp://HOST:PORT or ipc:///PATH"},
      {group + "broker: 'tcp://*:7600'\n" + member,
       "group.yaml:2: broker: \"*\" is where a broker listens; name its address"},
      {group + "lease: 15\n" + member,
       "group.yaml:2: lease: duration \"15\": the unit is missing: 250ms, 10s, 5m or 1h"},
      {group + "lease: 10ms\n" + member, "group.yaml:2: lease: expected a duration from 1s to 1h, got \"10ms\""},
      {group + "deadlines: {comit: 5m}\n" + member,
       "group.yaml:2: deadlines: unknown key \"comit\", did you mean \"commit\"?"},
      {group + "deadlines: {lock: 0s}\n" + member,
       "group.yaml:2: deadlines.lock: expected a duration from 100ms to 1h, got \"0s\""},
      {group + "criu: []\n" + member, "group.yaml:2: criu: is an empty list; name the program"},
      {group + "criu_options: --shell-job\n" + member,
       "group.yaml:2: criu_options: expected a list of texts, got \"--shell-job\""},
      {group + "criu_options: [--leave-running]\n" + member,
       "group.yaml:2: criu_options: --leave-running is set by lockstep, or would undo what it does"},
      {group + "criu_options: [-R]\n" + member,
       "group.yaml:2: criu_options: -R is set by lockstep, or would undo what it does"},
      {group + "criu_options: [-D/images]\n" + member,
       "group.yaml:2: criu_options: -D is set by lockstep, or would undo what it does"},
      {group + "criu_options: [--action-script=/bin/true]\n" + member,
       "group.yaml:2: criu_options: --action-script is set by lockstep, or would undo what it does"},
  };
  for (const auto& [yaml, message] : bad) EXPECT_EQ(error_of(yaml), message) << yaml;
}

TEST(GroupFile, ListsItsKeysWhereNoneIsNear) {
  const std::string message = error_of("group: g\ncolour: red\nmembers: [{id: a, pid: 1, images: a}]\n");
  EXPECT_EQ(message.rfind("group.yaml:2: unknown key \"colour\", known keys: group, broker, ", 0), 0U) << message;
}

TEST(GroupFile, NamesEveryMistakeInAMember) {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"{pid: 1, images: a}", "members[0]: the key \"id\" is missing"},
      {"{id: a, images: a}", "members[0]: pid or pidfile is missing: how is the tree's root process found?"},
      {"{id: a, pid: 1, pidfile: p, images: a}", "members[0].pid: name the tree by pid or by pidfile, not by both"},
      {"{id: a, pid: 1}", "members[0]: the key \"images\" is missing"},
      {"{id: a, pid: x, images: a}", "members[0].pid: expected a number from 1 to 4194304, got \"x\""},
      {"{id: a, pid: 0, images: a}", "members[0].pid: expected a number from 1 to 4194304, got \"0\""},
      {"{id: a, pid: -1, images: a}", "members[0].pid: expected a number from 1 to 4194304, got \"-1\""},
      {"{id: a, pid: 99999999, images: a}", "members[0].pid: expected a number from 1 to 4194304, got \"99999999\""},
      {"{id: 'a b', pid: 1, images: a}",
       "members[0].id: \"a b\" is no name: 1 to 64 letters, digits, '.', '_' or '-', not beginning with '.'"},
      {"{id: a, pid: 1, images: a, pidfil: x}", "members[0]: unknown key \"pidfil\", did you mean \"pidfile\"?"},
      {"{id: a, pid: 1, images: ''}", "members[0].images: expected a text, got \"\""},
      {"{id: a, pid: 1, images: a, container: '/x'}",
       "members[0].container: expected a container id, or its beginning"},
      {"5", "members[0]: expected \"key: value\" pairs, got \"5\""},
  };
  for (const auto& [yaml, message] : bad) {
    EXPECT_EQ(error_of("group: g\nmembers:\n  - " + yaml + "\n"), "group.yaml:3: " + message) << yaml;
  }
}

TEST(GroupFile, RefusesMembersThatShareWhatTheyMust) {
  const std::string first = "group: g\nmembers:\n  - {id: a, pid: 1, images: x}\n  - ";
  EXPECT_EQ(error_of(first + "{id: a, pid: 2, images: y}\n"),
            "group.yaml:4: members[1].id: \"a\" is also that of member \"#0\"");
  EXPECT_EQ(error_of(first + "{id: b, pid: 1, images: y}\n"),
            "group.yaml:4: members[1].pid: \"1\" is also that of member \"a\"");
  for (const char* same : {"x", "x/", "./x", "y/../x", "/srv/demo/x", "x//"}) {
    EXPECT_EQ(error_of(first + "{id: b, pid: 2, images: " + same + "}\n"),
              "group.yaml:4: members[1].images: \"/srv/demo/x\" is also that of member \"a\"")
        << same;
  }
  EXPECT_TRUE(parse(first + "{id: b, pid: 2, images: x/y}\n"));
}

TEST(GroupFile, LimitsTheNumberOfMembers) {
  std::string yaml = "group: g\nmembers:\n";
  for (std::size_t i = 1; i <= kMaxGroupMembers; ++i) {
    const std::string n = std::to_string(i);
    yaml += "  - {id: m" + n + ", pid: " + n + ", images: i" + n + "}\n";
  }
  EXPECT_TRUE(parse(yaml));
  EXPECT_EQ(error_of(yaml + "  - {id: more, pid: 4000, images: more}\n"),
            "group.yaml:2: members: a group has at most 1000 members");
}

TEST(GroupFile, SurvivesWhateverItIsGiven) {
  const std::string good = "group: demo\nlease: 15s\ndeadlines: {lock: 1s}\nmembers:\n  - {id: a, pid: 1, images: x}\n";
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char c : {'\0', '\n', ':', '[', '{', '*', '&', '"', '\x80', '-', '\t'}) {
      std::string broken = good;
      broken[i] = c;
      (void)parse(broken);
      (void)parse(broken.substr(0, i + 1));
    }
  }
}

std::string with_command(const std::string& command) {
  return "group: demo\nmembers:\n  - {id: a, pid: 1, images: i, commands: [" + command + "]}\n";
}

TEST(GroupFileCommands, AreRead) {
  const auto group = parse(R"(
group: demo
members:
  - id: db
    pid: 42
    images: images
    commands:
      - {before: prepare, run: "psql -c CHECKPOINT; sync"}
      - {at: frozen, run: [bin/copy, data, "to here"], timeout: 90s, on: both}
      - {after: resume, run: sync, on: restore}
)");
  ASSERT_TRUE(group) << group.error().message();
  const auto& commands = group->members[0].commands;
  ASSERT_EQ(commands.size(), 3U);
  EXPECT_EQ(commands[0].moment, CommandMoment::prepare);
  EXPECT_EQ(commands[0].argv, (std::vector<std::string>{"/bin/sh", "-c", "psql -c CHECKPOINT; sync"}));
  EXPECT_EQ(commands[0].timeout, milliseconds(30'000));
  EXPECT_TRUE(commands[0].on_dump && !commands[0].on_restore);
  EXPECT_EQ(commands[1].moment, CommandMoment::frozen);
  EXPECT_EQ(commands[1].argv, (std::vector<std::string>{"/srv/demo/bin/copy", "data", "to here"}));
  EXPECT_EQ(commands[1].text, "bin/copy data to here");
  EXPECT_EQ(commands[1].timeout, milliseconds(90'000));
  EXPECT_TRUE(commands[1].on_dump && commands[1].on_restore);
  EXPECT_EQ(commands[2].moment, CommandMoment::resume);
  EXPECT_TRUE(!commands[2].on_dump && commands[2].on_restore);
}

TEST(GroupFileCommands, AreRefusedWithTheirPlace) {
  struct Row {
    const char* command;
    const char* says;
  };
  for (const Row& row :
       {Row{"{run: sync}", "when does it run?"}, Row{"{at: frozen, after: resume, run: sync}", "when does it run?"},
        Row{"{at: prepare, run: sync}", "members[0].commands[0].at"}, Row{"{at: frozen}", "the key \"run\" is missing"},
        Row{"{at: frozen, run: []}", "names no program"},
        Row{"{at: frozen, run: sync, timeout: 31m}", "commands[0].timeout"},
        Row{"{at: frozen, run: sync, on: never}", "commands[0].on"},
        Row{"{at: frozen, run: a, timeout: 20m}, {at: frozen, run: b, timeout: 20m}",
            "may take 30m together, not 40m"}}) {
    EXPECT_NE(error_of(with_command(row.command)).find(row.says), std::string::npos)
        << row.command << ": " << error_of(with_command(row.command));
  }
}

}  // namespace
}  // namespace lockstep::cli
