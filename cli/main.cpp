/// `lockstep`: what the commands are called and which options they take. What they do is in group_command.cpp and
/// status_command.cpp.
#include <CLI/CLI.hpp>

#include "cli/connections_command.hpp"
#include "cli/exit_code.hpp"
#include "cli/group_command.hpp"
#include "cli/keys_command.hpp"
#include "cli/kubernetes/kubelet_request.hpp"
#include "cli/locks_command.hpp"
#include "cli/machine/doctor_command.hpp"
#include "cli/machine/setup_command.hpp"
#include "cli/preflight_command.hpp"
#include "cli/status_command.hpp"
#include "cli/verify_command.hpp"
#include "common/ids.hpp"

namespace lockstep::cli {
namespace {

constexpr const char* kDescription =
    "Checkpoints a group of process trees, and restores it, as one: all members at the same instant, with every\n"
    "connection between them in place. CRIU does the work for each member; a broker and agents keep them in step.";

constexpr const char* kCodes =
    "Exit codes:\n"
    "  0  committed and complete\n"
    "  1  the round was aborted or refused, or a member failed\n"
    "  2  a mistake in the arguments, the file, or on this machine; nothing was started\n"
    "  3  the broker can't be reached, or was lost during the round\n";

constexpr const char* kBrokerHelp =
    "\nThe broker is the first of: --broker, the file's \"broker:\", $LOCKSTEP_BROKER,\n"
    "ipc:///run/lockstep-broker/broker.sock. A tcp broker's key is the first of: --key, the file's \"key:\",\n"
    "$LOCKSTEP_KEY, /etc/lockstep/keys/operator.key, observer.key there.\n";

constexpr const char* kCheckpointExamples =
    "\nExamples:\n"
    "  lockstep checkpoint demo.yaml                  dump all members, then end them\n"
    "  lockstep checkpoint demo.yaml --leave-running  dump all members, and let them run on\n"
    "  lockstep checkpoint demo.yaml --output json    one JSON object on stdout, progress on stderr\n"
    "\nCtrl-C aborts the round: all members run on. A second one ends CRIU by force.\n";

constexpr const char* kRestoreExamples =
    "\nExamples:\n"
    "  lockstep restore demo.yaml                     restore all members, or none\n"
    "  lockstep restore demo.yaml --output json\n"
    "\nThe images must all come from the same committed checkpoint. Each member comes back in the network\n"
    "namespace that it was dumped from, or in the one that its \"pod:\" names.\n";

constexpr const char* kStatusExamples =
    "\nExamples:\n"
    "  lockstep status\n"
    "  lockstep status --watch                        again each second, until Ctrl-C\n"
    "  lockstep status --output json --broker tcp://10.0.0.1:7600\n";

constexpr const char* kAbortExamples =
    "\nExample:\n"
    "  lockstep abort 20250101T120000-1a2b3c4d\n"
    "\nA round can be aborted until it is decided. Its members run on (checkpoint), or are ended (restore).\n";

constexpr const char* kPreflightExamples =
    "\nExamples:\n"
    "  lockstep preflight demo.yaml\n"
    "  lockstep preflight demo.yaml --output json\n"
    "\nThe members' processes are looked at, nothing is touched and no broker is asked. `checkpoint` does the same before\n"
    "it freezes anything, and adds the options that are merely needed to CRIU's command line.\n"
    "\nExit codes: 0 a dump can be expected to work; 1 it would fail; 2 usage, or a mistake in the file or on this machine.\n";

constexpr const char* kVerifyExamples =
    "\nExamples:\n"
    "  lockstep verify images/*                       the images folders of all members of one round\n"
    "  lockstep verify --quiet images/server images/client\n"
    "\nCRIU's images are read, nothing else: for every internal connection, what one end has sent must fit what the\n"
    "other has received, in both directions.\n"
    "\nExit codes: 0 all fit; 1 a connection does not fit, a file is damaged, rounds are mixed, a member is missing;\n"
    "2 usage, or a folder that can't be opened.\n";

constexpr const char* kConnectionsExamples =
    "\nExamples:\n"
    "  lockstep connections demo.yaml                 those of the group's images\n"
    "  lockstep connections images/server images/client --output json\n"
    "  lockstep connections demo.yaml --output dot | dot -Tsvg > demo.svg\n"
    "\nExit codes: 0 printed; 2 usage, or a folder without a good record.\n";

constexpr const char* kLocksExamples =
    "\nExamples:\n"
    "  lockstep locks\n"
    "  lockstep locks --output json\n"
    "\nThe kernel is asked, no broker. A lock is armed (it stops packets) or prepared; its owner is the agent that made\n"
    "it: alive, dead, or unknown, when it lives in another pid namespace. Needs root.\n"
    "\nExit codes: 0 printed; 1 some namespaces could not be looked into; 2 usage, or none could.\n";

constexpr const char* kUnlockExamples =
    "\nExamples:\n"
    "  lockstep unlock --pod /run/netns/web           by a path to its network namespace\n"
    "  lockstep unlock --pod 4026532000               by its inode\n"
    "  lockstep unlock --all\n"
    "\nFor emergencies: also a lock whose agent lives is removed, with a warning; its round may then be of no use.\n"
    "\nExit codes: 0 removed, or there was none; 1 one could not be removed; 2 usage, or no such pod.\n";

constexpr const char* kSetupExamples =
    "\nExamples:\n"
    "  lockstep setup --runtime runc                  Podman and others with runc: /etc/criu/runc.conf\n"
    "  lockstep setup --undo                          takes out of both files what setup has put there\n"
    "\nWhat else stands in the files is kept. Every container that the runtime checkpoints is then asked about: those\n"
    "that belong to no open round are refused.\n"
    "\nExit codes: 0 done, or there was nothing to do; 2 usage, or a file can't be changed: then none was.\n";

constexpr const char* kDoctorExamples =
    "\nExamples:\n"
    "  lockstep doctor\n"
    "  lockstep doctor --criu /opt/criu/criu --output json\n"
    "\nEverything is tried, in network namespaces of its own: a lock is armed, a process with a connection is dumped,\n"
    "CRIU runs the hook under the runtime's configuration. Needs root; nothing is left behind.\n"
    "\nExit codes: 0 a round would work; 1 it would not; 2 usage.\n";

constexpr const char* kHistoryExamples =
    "\nExamples:\n"
    "  lockstep history                               the last 20 rounds that have ended, of all groups\n"
    "  lockstep history --group demo --limit 100 --output json\n";

constexpr const char* kShowExamples =
    "\nExamples:\n"
    "  lockstep show 20260102T030405-0a1b2c3d         its members, their times, the outcome and its reason\n";

constexpr const char* kKeysExamples =
    "\nExamples:\n"
    "  lockstep keys init                             the broker's own key, and an empty allow-list\n"
    "  lockstep keys add web-1 --role agent --node web-1\n"
    "  lockstep keys add operator --role operator     opens, aborts and reads rounds\n"
    "  lockstep keys add watcher --role observer      reads them\n"
    "  lockstep keys list --output json\n"
    "  lockstep keys revoke web-1                     at once, on connections that stand as well\n"
    "\nOn the broker's machine. A key file is secret: move it to its peer's machine, as\n"
    "/etc/lockstep/keys/agent.key or operator.key. What a role allows: SECURITY.md.\n"
    "\nExit codes: 0 done; 1 could not be written; 2 usage, a name that is taken or not there.\n";

std::string footer(const char* examples) { return std::string(examples) + kBrokerHelp + "\n" + kCodes; }

template <class Options>
void add_broker(CLI::App& command, Options& options) {
  command.add_option("--broker", options.broker, "The broker's endpoint: tcp://HOST:PORT or ipc:///PATH")->type_name("ADDR");
  command.add_option("--key", options.key, "The file of the key for a broker on the network")->type_name("FILE");
}

void add_output(CLI::App& command, bool& json) {
  command
      .add_option_function<std::string>(
          "--output", [&json](const std::string& word) { json = word == "json"; },
          "How to print the result: text or json (default: text)")
      ->transform(CLI::IsMember({"text", "json"}, CLI::ignore_case))
      ->type_name("FORMAT");
}

CLI::App* add_group_command(CLI::App& app, const char* name, const char* what, const char* examples, GroupOptions& options) {
  CLI::App* command = app.add_subcommand(name, what);
  command->add_option("GROUP.yaml", options.file, "The group's file; see lockstep-group(5)")->required();
  add_output(*command, options.json);
  add_broker(*command, options);
  command->add_flag("-q,--quiet", options.quiet, "No progress on stderr");
  command->footer(footer(examples));
  return command;
}

CLI::Validator valid_name(const std::string& what) {
  return CLI::Validator(
      [what](std::string& text) { return is_valid_name(text) ? std::string() : "\"" + text + "\" is no " + what; }, "");
}

CLI::App* add_history(CLI::App& app, HistoryOptions& options) {
  CLI::App* command = app.add_subcommand("history", "List rounds that have ended, newest first");
  command->add_option("--group", options.group, "Those of one group")->type_name("NAME")->check(valid_name("group's name"));
  command->add_option("--limit", options.limit, "How many at most")->check(CLI::Range(1, 1000))->capture_default_str();
  add_output(*command, options.json);
  add_broker(*command, options);
  command->footer(footer(kHistoryExamples));
  return command;
}

CLI::App* add_show(CLI::App& app, ShowOptions& options) {
  CLI::App* command = app.add_subcommand("show", "Show one round: members, times, outcome");
  command->add_option("ROUND", options.round, "The round's id, as history shows it")
      ->required()
      ->type_name("ID")
      ->check(valid_name("round's id"));
  add_output(*command, options.json);
  add_broker(*command, options);
  command->footer(footer(kShowExamples));
  return command;
}

CLI::App* add_preflight(CLI::App& app, PreflightOptions& options) {
  CLI::App* command = app.add_subcommand("preflight", "Look for what would make a checkpoint fail, while all runs");
  command->add_option("GROUP.yaml", options.file, "The group's file; see lockstep-group(5)")->required();
  add_output(*command, options.json);
  command->footer(kPreflightExamples);
  return command;
}

CLI::App* add_verify(CLI::App& app, VerifyOptions& options) {
  CLI::App* command = app.add_subcommand("verify", "Prove that a round's images are one consistent cut");
  command->add_option("IMAGES", options.images, "The members' images folders, or archives")->required();
  add_output(*command, options.json);
  command->add_flag("-q,--quiet", options.quiet, "The result's line alone");
  command->footer(kVerifyExamples);
  return command;
}

CLI::App* add_connections(CLI::App& app, ConnectionsOptions& options) {
  CLI::App* command = app.add_subcommand("connections", "Show who was connected with whom when a group was dumped");
  command->add_option("SOURCE", options.sources, "A group's file, or the members' images folders or archives")->required();
  const std::map<std::string, GraphFormat> formats{
      {"text", GraphFormat::text}, {"json", GraphFormat::json}, {"dot", GraphFormat::dot}};
  command->add_option("--output", options.format, "How to print them: text, json, or dot for Graphviz (default: text)")
      ->transform(CLI::CheckedTransformer(formats, CLI::ignore_case).description(""))
      ->type_name("FORMAT");
  command->footer(kConnectionsExamples);
  return command;
}

CLI::App* add_locks(CLI::App& app, LocksOptions& options) {
  CLI::App* command = app.add_subcommand("locks", "Show the locks that stand on this machine");
  add_output(*command, options.json);
  command->footer(kLocksExamples);
  return command;
}

CLI::App* add_unlock(CLI::App& app, UnlockOptions& options) {
  CLI::App* command = app.add_subcommand("unlock", "Remove locks from this machine, whoever holds them");
  auto* which = command->add_option_group("which")->require_option(1);
  which->add_option("--pod", options.pod, "One pod's: a path to its network namespace, or its inode")
      ->type_name("PATH|INODE")
      ->check(CLI::Validator([](std::string& text) { return text.empty() ? std::string("is empty") : std::string(); }, ""));
  which->add_flag("--all", options.all, "Those of all pods");
  add_output(*command, options.json);
  command->footer(kUnlockExamples);
  return command;
}

struct KeysCommands {
  CLI::App* all;
  CLI::App* init;
  CLI::App* add;
  CLI::App* list;
};

KeysCommands add_keys(CLI::App& app, KeysOptions& options) {
  KeysCommands keys{};
  keys.all = app.add_subcommand("keys", "Make, list and revoke the keys of those who may speak to the broker");
  keys.all->require_subcommand(1);
  keys.all->footer(kKeysExamples);
  keys.init = keys.all->add_subcommand("init", "Make the broker's key and an empty allow-list");
  keys.add = keys.all->add_subcommand("add", "Make a key and allow it");
  keys.list = keys.all->add_subcommand("list", "Show which keys are allowed, and which were revoked");
  auto* revoke = keys.all->add_subcommand("revoke", "Take a key out of the allow-list");
  for (CLI::App* command : {keys.init, keys.add, keys.list, revoke}) {
    command->add_option("--keys", options.folder, "The broker's folder of keys")->type_name("DIR")->capture_default_str();
    add_output(*command, options.json);
    command->footer(kKeysExamples);
  }
  for (CLI::App* command : {keys.add, revoke}) {
    command->add_option("NAME", options.entry.name, "The key's name")->required()->type_name("NAME")->check(valid_name("name"));
  }
  const auto set_role = [&options](const std::string& word) { options.entry.role = *key_role_from(word); };
  keys.add->add_option_function<std::string>("--role", set_role, "What it is good for: agent, operator, observer")
      ->required()
      ->check(CLI::IsMember({"agent", "operator", "observer"}))
      ->type_name("ROLE");
  keys.add->add_option("--node", options.entry.node, "agent: the one machine that it may speak for")->type_name("NAME")->check(valid_name("node's name"));
  keys.add->add_option("--boot-id", options.entry.boot_id, "agent: the only boot of that machine that counts")->type_name("ID");
  keys.add->add_option("--public", options.entry.public_key, "Allow this public key, whose secret part stays where it was made")->type_name("KEY");
  keys.add->add_option("--secret-file", options.secret_file, "Where to put the key (default: DIR/NAME.key)")->type_name("FILE");
  return keys;
}

CLI::App* add_setup(CLI::App& app, SetupOptions& options) {
  CLI::App* command = app.add_subcommand("setup", "Have a container runtime's CRIU run lockstep-hook");
  command->add_option("--runtime", options.runtime, "runc, crun, or all")
      ->check(CLI::IsMember({"runc", "crun", "all"}))
      ->type_name("NAME")
      ->capture_default_str();
  command->add_flag("--undo", options.undo, "Remove what setup has written");
  command->add_option("--hook", options.hook, "The hook, where it is not beside this program")->type_name("PATH");
  command->add_option("--root", options.root, "A folder in the place of /, such as an image's")->type_name("DIR");
  add_output(*command, options.json);
  command->footer(kSetupExamples);
  return command;
}

CLI::App* add_doctor(CLI::App& app, DoctorOptions& options) {
  CLI::App* command = app.add_subcommand("doctor", "Find out whether a round would work on this machine");
  command->add_option("--criu", options.criu, "The CRIU to try: a program and its first arguments")->type_name("WORD");
  command->add_option("--socket-dir", options.socket_dir, "Where hooks find the agents")->type_name("DIR")->capture_default_str();
  command->add_option("--root", options.root, "A folder in the place of /, for the runtimes' files")->type_name("DIR");
  add_output(*command, options.json);
  add_broker(*command, options);
  command->footer(std::string(kDoctorExamples) + kBrokerHelp);
  return command;
}

/// Started by `checkpoint` alone; in no help.
CLI::App* add_kubelet_request(CLI::App& app, KubeletRequest& request, std::int64_t& seconds) {
  CLI::App* command = app.add_subcommand(kKubeletCommand, "Ask a kubelet for one container's checkpoint")->group("");
  command->add_option("--kubeconfig", request.kubernetes.kubeconfig);
  command->add_option("--context", request.kubernetes.context);
  command->add_option("--namespace", request.name.ns)->required();
  command->add_option("--pod", request.name.pod)->required();
  command->add_option("--container", request.name.container)->required();
  command->add_option("--node", request.node)->required();
  command->add_option("--timeout", seconds)->required()->check(CLI::Range(1, 86'400));
  return command;
}

int run(int argc, char** argv) {
  CLI::App app(kDescription, "lockstep");
  app.set_version_flag("--version", "lockstep " LOCKSTEP_VERSION);
  app.require_subcommand(1);
  app.footer(std::string("\n`lockstep COMMAND --help` tells more.\n\n") + kCodes);

  GroupOptions group;
  StatusOptions status;
  AbortOptions abort;
  PreflightOptions preflight_options;
  VerifyOptions verify;
  ConnectionsOptions connections;
  LocksOptions locks_options;
  UnlockOptions unlock_options;
  auto* checkpoint = add_group_command(app, "checkpoint", "Dump all members of a group at one instant", kCheckpointExamples, group);
  checkpoint->add_flag("--leave-running", group.leave_running, "Let the members run on after the dump");
  checkpoint->add_flag("!--no-preflight", group.preflight, "Don't look first for what CRIU can't dump");
  auto* restore = add_group_command(app, "restore", "Restore all members of a group, or none", kRestoreExamples, group);
  auto* show = app.add_subcommand("status", "Show the broker's agents, rounds and counters");
  show->add_flag("-w,--watch", status.watch, "Show it again each second");
  add_output(*show, status.json);
  add_broker(*show, status);
  show->footer(footer(kStatusExamples));
  auto* end = app.add_subcommand("abort", "Abort a round that is still undecided");
  end->add_option("ROUND", abort.round, "The round's id, as status shows it")->required()->type_name("ID")->check(valid_name("round's id"));
  end->add_option("--reason", abort.reason, "Told to everyone concerned")->type_name("TEXT");
  add_broker(*end, abort);
  end->footer(footer(kAbortExamples));
  HistoryOptions history_options;
  ShowOptions show_options;
  auto* history = add_history(app, history_options);
  auto* one = add_show(app, show_options);
  auto* before = add_preflight(app, preflight_options);
  auto* proof = add_verify(app, verify);
  auto* graph = add_connections(app, connections);
  auto* locks = add_locks(app, locks_options);
  auto* unlock = add_unlock(app, unlock_options);
  KeysOptions keys_options;
  const KeysCommands keys = add_keys(app, keys_options);
  SetupOptions setup_options;
  DoctorOptions doctor_options;
  KubeletRequest kubelet_request;
  std::int64_t kubelet_seconds = 0;
  auto* kubelet = add_kubelet_request(app, kubelet_request, kubelet_seconds);
  auto* setup = add_setup(app, setup_options);
  auto* doctor = add_doctor(app, doctor_options);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  if (checkpoint->parsed()) return run_group_command(Operation::dump, group);
  if (before->parsed()) return run_preflight_command(preflight_options);
  if (history->parsed()) return run_history_command(history_options);
  if (one->parsed()) return run_show_command(show_options);
  if (proof->parsed()) return run_verify_command(verify);
  if (locks->parsed()) return run_locks_command(locks_options);
  if (unlock->parsed()) return run_unlock_command(unlock_options);
  if (keys.init->parsed()) return run_keys_init(keys_options);
  if (keys.add->parsed()) return run_keys_add(keys_options);
  if (keys.list->parsed()) return run_keys_list(keys_options);
  if (keys.all->parsed()) return run_keys_revoke(keys_options);
  if (kubelet->parsed()) {
    kubelet_request.timeout = std::chrono::seconds(kubelet_seconds);
    return run_kubelet_request(kubelet_request);
  }
  if (setup->parsed()) return run_setup_command(setup_options);
  if (doctor->parsed()) return run_doctor_command(doctor_options);
  if (graph->parsed()) return run_connections_command(connections);
  if (restore->parsed()) return run_group_command(Operation::restore, group);
  return show->parsed() ? run_status_command(status) : run_abort_command(abort);
}

}  // namespace
}  // namespace lockstep::cli

int main(int argc, char** argv) {
  try {
    return lockstep::cli::run(argc, argv);
  } catch (const std::exception& error) {  // out of memory, or a mistake of ours: never an abort without a word
    std::fprintf(stderr, "lockstep: internal error: %s\n", error.what());
    return lockstep::cli::kFailed;
  }
}
