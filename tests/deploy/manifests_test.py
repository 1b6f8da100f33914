#!/usr/bin/python3
"""What deploy/kubernetes mounts, opens and grants is what the programs use.

Builds every kustomization with kubectl, reads the objects, and then runs the containers' own commands, with their users,
capabilities, files and probes, in mount namespaces that have the pods' folders. A cluster is not needed, and not tried.

usage: manifests_test.py BIN   (BIN: the folder of the programs)
"""

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import yaml

SOURCE = Path(__file__).resolve().parents[2]
KUBERNETES = SOURCE / "deploy/kubernetes"
BUILT = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else SOURCE / "build/dev/bin"
# What SECURITY.md says that each kind of agent needs.
NODE_CAPABILITIES = {"NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE"}
SIDECAR_CAPABILITIES = {"NET_ADMIN"}
# Where the hook looks for agents, on the host, and how the Secrets are called that deploy/README.md makes.
HOOK_SOCKETS = "/run/lockstep"
SECRETS = {"lockstep-broker-key", "lockstep-allowed", "lockstep-node-keys", "lockstep-operator-key"}
NODE = "node-1"


def public_copy(folder):
    """Of the programs: users other than root, and root without capabilities, can't enter a checkout below a 0700 home."""
    made = Path(tempfile.mkdtemp(prefix="lockstep-programs-"))
    atexit.register(shutil.rmtree, made)
    made.chmod(0o755)
    for name in ("lockstep", "lockstep-agent", "lockstep-broker", "lockstep-hook"):
        shutil.copy(folder / name, made)
        (made / name).chmod(0o755)
    return made


BIN = public_copy(BUILT)


def build(folder):
    made = subprocess.run(["kubectl", "kustomize", str(KUBERNETES / folder)], capture_output=True, text=True, timeout=60)
    if made.returncode != 0:
        raise AssertionError(f"kubectl kustomize {folder}: {made.stderr}")
    return [one for one in yaml.safe_load_all(made.stdout) if one]


def named(objects, kind, name):
    """A generated ConfigMap has a hash behind its name."""
    found = [one for one in objects if one["kind"] == kind and
             (one["metadata"]["name"] == name or
              kind == "ConfigMap" and one["metadata"]["name"].rpartition("-")[0] == name)]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pods(objects):
    return {one["metadata"]["name"]: one["spec"]["template"] for one in objects
            if one["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "Job")}


def containers(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def is_ours(container):
    return container["image"].startswith("lockstep-")


def after(words, option):
    return words[words.index(option) + 1]


def folder_of(container, path):
    """The name of the volume in which a path of the container lies."""
    mounts = sorted(container["volumeMounts"], key=lambda mount: -len(mount["mountPath"]))
    for mount in mounts:
        if path == mount["mountPath"] or path.startswith(mount["mountPath"] + "/"):
            return mount["name"]
    raise AssertionError(f"{container['name']} uses {path}, which is in none of its volumes")


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folders = sorted(str(one.parent.relative_to(KUBERNETES)) for one in KUBERNETES.rglob("kustomization.yaml"))
        cls.built = {folder: build(folder) for folder in cls.folders}
        cls.system = cls.built["overlays/node-agent"]
        cls.broker_pod = pods(cls.system)["lockstep-broker"]
        cls.broker = cls.broker_pod["spec"]["containers"][0]
        cls.agent_pod = pods(cls.system)["lockstep-agent"]
        cls.agent = cls.agent_pod["spec"]["containers"][0]
        cls.sidecars = {name: (pod, one) for name, pod in pods(cls.built["example/sidecar"]).items()
                        for one in containers(pod) if is_ours(one)}
        cls.broker_config = yaml.safe_load(named(cls.system, "ConfigMap", "lockstep-broker")["data"]["broker.yaml"])
        cls.ports = {int(one.rpartition(":")[2]) for one in cls.broker_config["listen"] if one.startswith("tcp://")}
        cls.ports |= {port + 1 for port in cls.ports}  # the releases

    def test_every_folder_is_looked_at(self):
        self.assertEqual(self.folders, ["base", "example/checkpoint", "example/node-agent", "example/sidecar", "overlays/node-agent"])
        self.assertEqual(set(self.sidecars), {"database", "web"})

    def test_every_volume_is_there_and_used(self):
        for folder, objects in self.built.items():
            for name, pod in pods(objects).items():
                with self.subTest(folder=folder, pod=name):
                    volumes = {one["name"]: one for one in pod["spec"].get("volumes", [])}
                    mounted = {mount["name"] for one in containers(pod) for mount in one.get("volumeMounts", [])}
                    self.assertEqual(set(volumes), mounted)
                    for volume in volumes.values():
                        if "configMap" in volume:
                            wanted = volume["configMap"]["name"]
                            self.assertIn(wanted, [one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"])
                        if "secret" in volume:
                            self.assertIn(volume["secret"]["secretName"], SECRETS)
                        if "persistentVolumeClaim" in volume:
                            named(objects, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])

    def test_every_container_of_ours_is_bounded_confined_and_probed(self):
        for folder, objects in self.built.items():
            for name, pod in pods(objects).items():
                for one in filter(is_ours, containers(pod)):
                    with self.subTest(folder=folder, pod=name, container=one["name"]):
                        self.assertRegex(one["image"], r":\d+\.\d+\.\d+$")
                        self.assertIn("memory", one["resources"]["limits"])
                        self.assertLessEqual({"cpu", "memory"}, set(one["resources"]["requests"]))
                        context = one["securityContext"]
                        self.assertEqual(context["capabilities"]["drop"], ["ALL"])
                        self.assertTrue(context["readOnlyRootFilesystem"])
                        profile = context.get("seccompProfile") or pod["spec"]["securityContext"]["seccompProfile"]
                        self.assertEqual(profile, {"type": "RuntimeDefault"})
                        if one in pod["spec"]["containers"] and pod["spec"].get("restartPolicy") != "Never":
                            self.assertIn("readinessProbe", one)
                            self.assertIn("livenessProbe", one)

    def test_capabilities_are_those_needed(self):
        for one in containers(self.broker_pod) + self.agent_pod["spec"]["initContainers"]:
            self.assertNotIn("add", one["securityContext"]["capabilities"])
            self.assertIs(one["securityContext"]["allowPrivilegeEscalation"], False)
        self.assertEqual(set(self.agent["securityContext"]["capabilities"]["add"]), NODE_CAPABILITIES)
        for pod, one in self.sidecars.values():
            self.assertEqual(set(one["securityContext"]["capabilities"]["add"]), SIDECAR_CAPABILITIES)
            self.assertIs(one["securityContext"]["allowPrivilegeEscalation"], False)
            self.assertNotIn("hostPID", pod["spec"])
        self.assertTrue(self.agent_pod["spec"]["hostPID"] and self.agent_pod["spec"]["hostNetwork"])
        unit = (SOURCE / "deploy/systemd/lockstep-agent.service").read_text()
        for capability in NODE_CAPABILITIES:
            self.assertIn("CAP_" + capability, unit)

    def test_nobody_has_rights_at_the_api_server_that_he_does_not_use(self):
        bindings = [one for one in self.system if one["kind"] in ("RoleBinding", "ClusterRoleBinding")]
        self.assertEqual([subject["name"] for one in bindings for subject in one["subjects"]], ["lockstep-operator"])
        rules = named(self.system, "ClusterRole", "lockstep-operator")["rules"]
        self.assertEqual({(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]},
                         {("nodes/proxy", "create"), ("pods", "get")})
        for pod in (self.broker_pod, self.agent_pod):
            self.assertIs(pod["spec"]["automountServiceAccountToken"], False)
            named(self.system, "ServiceAccount", pod["spec"]["serviceAccountName"])

    def test_rights_are_those_that_the_kubelet_driver_asks_for(self):
        """Method and path of each request that the program makes, as Kubernetes turns them into verb and resource."""
        source = (SOURCE / "cli/kubernetes/api_answers.cpp").read_text()
        asked = set()
        if '"/api/v1/namespaces/"' in source and '"/pods/"' in source:
            asked.add(("pods", "get"))
        if '"/api/v1/nodes/"' in source and '"/proxy/checkpoint/"' in source:
            asked.add(("nodes/proxy", "create"))
        self.assertEqual(source.count('"/api/v1/'), len(asked), "a path that this test does not know")
        rules = named(self.system, "ClusterRole", "lockstep-operator")["rules"]
        self.assertEqual({(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}, asked)

    def test_the_checkpoint_job_has_what_its_command_takes(self):
        objects = self.built["example/checkpoint"]
        job = named(objects, "Job", "lockstep-checkpoint-shop")["spec"]
        pod = job["template"]
        one = pod["spec"]["containers"][0]
        self.assertEqual(job["backoffLimit"], 0)
        # The account whose token it takes; not one of those without.
        account = named(self.system, "ServiceAccount", pod["spec"]["serviceAccountName"])
        self.assertTrue(account.get("automountServiceAccountToken", True))
        self.assertTrue(pod["spec"].get("automountServiceAccountToken", True))
        self.assertEqual(account["metadata"]["name"], "lockstep-operator")
        group = yaml.safe_load(named(objects, "ConfigMap", "lockstep-groups")["data"]["shop.yaml"])
        self.assertEqual(folder_of(one, one["command"][-1]), "config")
        self.assertEqual(folder_of(one, group["key"]), "key")
        self.assertEqual(folder_of(one, "/tmp/lockstep.x"), "tmp")
        self.assertEqual(group["broker"], f"tcp://lockstep-broker.lockstep.svc:{min(self.ports)}")
        # The broker lets it in, and the application has these pods and containers.
        let_in = named(self.system, "NetworkPolicy", "lockstep-broker")["spec"]["ingress"][0]["from"][1]
        self.assertEqual(list(let_in), ["podSelector"], "of its own namespace only")
        self.assertLessEqual(let_in["podSelector"]["matchLabels"].items(), pod["metadata"]["labels"].items())
        shop = self.built["example/node-agent"]
        for member in group["members"]:
            name, _, number = member["pod"].rpartition("-")
            self.assertEqual(number, "0")
            made = named(shop, "StatefulSet", name)
            self.assertEqual(made["metadata"]["namespace"], member["namespace"])
            self.assertIn(member["container"], [each["name"] for each in containers(made["spec"]["template"])])

    def test_the_checkpoint_job_gets_as_far_as_the_api_server(self):
        """Its command with its file: the first thing that is missing is the cluster."""
        group = named(self.built["example/checkpoint"], "ConfigMap", "lockstep-groups")["data"]["shop.yaml"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "shop.yaml")
            subprocess.run([BIN / "lockstep", "keys", "init", "--keys", f"{folder}/keys"], check=True, capture_output=True, timeout=20)
            subprocess.run([BIN / "lockstep", "keys", "add", "operator", "--role", "operator", "--keys", f"{folder}/keys"], check=True, capture_output=True, timeout=20)
            path.write_text(group.replace("/run/secrets/lockstep/", f"{folder}/keys/"))
            environment = {"PATH": "/usr/bin:/bin", "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
            tried = subprocess.run([BIN / "lockstep", "checkpoint", path], capture_output=True, text=True, timeout=30, env=environment)
            self.assertEqual(tried.returncode, 2, tried.stderr)
            self.assertIn('member "database": pod shop/database-0:', tried.stderr)
            self.assertIn("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", tried.stderr)

    def test_ports_are_those_that_the_broker_listens_on(self):
        self.assertEqual({one["containerPort"] for one in self.broker["ports"]}, self.ports)
        service = named(self.system, "Service", "lockstep-broker")["spec"]
        self.assertEqual({one["port"] for one in service["ports"]}, self.ports)
        self.assertLessEqual({one["targetPort"] for one in service["ports"]}, {one["name"] for one in self.broker["ports"]})
        labels = self.broker_pod["metadata"]["labels"]
        for kind in ("NetworkPolicy", "PodDisruptionBudget", "Service", "Deployment"):
            for one in (one for one in self.system if one["kind"] == kind):
                selector = one["spec"].get("selector") or one["spec"].get("podSelector")
                self.assertLessEqual(selector.get("matchLabels", selector).items(), labels.items())
        for policy in (one for one in self.system if one["kind"] == "NetworkPolicy"):
            for rule in policy["spec"]["ingress"]:
                self.assertEqual({port["port"] for port in rule["ports"]}, self.ports)

    def test_agents_find_the_broker_and_are_let_through(self):
        own = yaml.safe_load(named(self.system, "ConfigMap", "lockstep-agent")["data"]["agent.yaml"])
        files = named(self.built["example/sidecar"], "ConfigMap", "lockstep-sidecar")["data"]
        for config in [own] + [yaml.safe_load(text) for text in files.values()]:
            self.assertEqual(config["broker"], f"tcp://lockstep-broker.lockstep.svc:{min(self.ports)}")
            self.assertEqual(config["socket_dir"], HOOK_SOCKETS)
        allowed = named(self.system, "NetworkPolicy", "lockstep-broker")["spec"]["ingress"][0]["from"][0]["podSelector"]
        for pod, _ in self.sidecars.values():
            self.assertLessEqual(allowed["matchLabels"].items(), pod["metadata"]["labels"].items())

    def test_paths_lie_in_volumes(self):
        listen = self.broker_config["listen"]
        self.assertIn(after(self.broker["readinessProbe"]["exec"]["command"], "--broker"), listen)
        self.assertEqual(folder_of(self.broker, self.broker_config["journal"]), "journal")
        self.assertEqual(folder_of(self.broker, self.broker_config["keys"]), "run")
        self.assertEqual(folder_of(self.broker, self.broker_config["groups"]), "config")
        self.assertIn("groups.yaml", named(self.system, "ConfigMap", "lockstep-broker")["data"])
        self.assertEqual(folder_of(self.broker, after(self.broker["args"], "--config")), "config")
        for pod, one in [(self.agent_pod, self.agent), *self.sidecars.values()]:
            volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
            sockets = volumes[folder_of(one, HOOK_SOCKETS)]
            self.assertEqual(sockets["hostPath"], {"path": HOOK_SOCKETS, "type": "DirectoryOrCreate"})
            self.assertIn("configMap", volumes[folder_of(one, after(one["args"], "--config"))])
        self.assertEqual(folder_of(self.agent, after(self.agent["args"], "--key")), "keys")
        self.assertIn("$(NODE_NAME)", after(self.agent["args"], "--key"))

    def test_sidecars_configurations_are_accepted(self):
        files = named(self.built["example/sidecar"], "ConfigMap", "lockstep-sidecar")["data"]
        with tempfile.TemporaryDirectory() as folder:
            for _, one in self.sidecars.values():
                name = Path(after(one["args"], "--config")).name
                path = Path(folder, name)
                path.write_text(files[name])
                words = [str(path) if word.endswith(name) else word for word in one["args"]]
                subprocess.run([BIN / "lockstep-agent", "--check", *words], check=True, timeout=20)


class Box:
    """A mount namespace with a /run and a /var/lib of its own, in which a pod's commands run."""

    def __init__(self):
        self.keeper = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             "mount -t tmpfs -o mode=755 box /run && mount -t tmpfs -o mode=755 box /var/lib && echo ready && exec sleep 300"],
            stdout=subprocess.PIPE, text=True)
        assert self.keeper.stdout.readline() == "ready\n", "no namespace could be made"
        self.started = []

    def command(self, words, user=0, group=0, capabilities=()):
        bounding = ",".join(["-all"] + ["+" + one.lower() for one in capabilities])
        return ["nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", "setpriv", f"--reuid={user}", f"--regid={group}",
                "--clear-groups", f"--bounding-set={bounding}", "--inh-caps=-all", *map(str, words)]

    def run(self, words, **who):
        return subprocess.run(self.command(words, **who), capture_output=True, text=True, timeout=20,
                              env={"PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin"})

    def start(self, words, log, **who):
        with open(log, "w", encoding="utf-8") as out:
            self.started.append(subprocess.Popen(self.command(words, **who), stdout=out, stderr=out,
                                                 env={"PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin"}))

    def folder(self, path, mode, group=0):
        self.must(["install", "-d", "-m", mode, "-g", group, path])

    def files(self, path, contents, mode, group=0):
        """A mounted ConfigMap or Secret: root's files, in a folder that anybody may write to by its mode."""
        self.folder(path, "1777", group)
        for name, text in contents.items():
            subprocess.run(self.command(["sh", "-c", 'cat >"$0"', f"{path}/{name}"], capabilities=["dac_override"]),
                           input=text, text=True, check=True, timeout=20)
            self.must(["chmod", mode, f"{path}/{name}"])
            self.must(["chgrp", group, f"{path}/{name}"])

    def must(self, words):
        done = self.run(words, capabilities=["chown", "fowner", "dac_override", "fsetid", "sys_admin"])
        assert done.returncode == 0, f"{words}: {done.stderr}"

    def close(self):
        for one in self.started:
            one.terminate()
        for one in [*self.started, self.keeper]:
            if one is self.keeper:
                one.kill()
            one.wait(timeout=20)
        self.keeper.stdout.close()


class Running(unittest.TestCase):
    """The containers' own commands, as near to their pods as a machine without a cluster allows."""

    def setUp(self):
        self.work = Path(tempfile.mkdtemp(prefix="lockstep-manifests-"))
        self.addCleanup(shutil.rmtree, self.work)
        self.system = build("overlays/node-agent")
        # The test has a network namespace of its own.
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        hosts = self.work / "hosts"
        hosts.write_text("127.0.0.1 localhost\n127.0.0.1 lockstep-broker.lockstep.svc\n")
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/etc/hosts"], check=True)

    def box(self):
        box = Box()
        self.addCleanup(box.close)
        return box

    def passes(self, box, words, log, **who):
        limit = time.monotonic() + 20
        while True:
            probed = box.run(words, **who)
            if probed.returncode == 0:
                return probed.stdout
            if time.monotonic() > limit:
                self.fail(f"{words}: {probed.stderr}\nlog: {log.read_text()}")
            time.sleep(0.1)

    def make_keys(self):
        keys = self.work / "keys"
        for words in (["init"], ["add", NODE, "--role", "agent", "--node", NODE]):
            subprocess.run([BIN / "lockstep", "keys", *words, "--keys", keys], check=True, capture_output=True, timeout=20)
        return keys

    def test_broker_and_node_agent_serve_with_what_their_pods_give_them(self):
        keys = self.make_keys()
        pod = pods(self.system)["lockstep-broker"]["spec"]
        who = {"user": pod["securityContext"]["runAsUser"], "group": pod["securityContext"]["fsGroup"]}
        group = who["group"]
        box = self.box()
        box.folder("/run/lockstep", "2777", group)
        box.folder("/var/lib/lockstep", "2775", group)
        box.files("/run/config/lockstep", named(self.system, "ConfigMap", "lockstep-broker")["data"], "644", group)
        box.files("/run/secrets/lockstep/broker", {"broker.key": (keys / "broker.key").read_text()}, "440", group)
        box.files("/run/secrets/lockstep/allowed", {one.name: one.read_text() for one in (keys / "allowed").iterdir()}, "440", group)
        taken = box.run(pod["initContainers"][0]["command"], **who)
        self.assertEqual(taken.returncode, 0, taken.stderr)
        broker = pod["containers"][0]
        checked = box.run(["lockstep-broker", "--check", *broker["args"]], **who)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        broker_log = self.work / "broker.log"
        box.start(["lockstep-broker", *broker["args"]], broker_log, **who)
        self.passes(box, broker["readinessProbe"]["exec"]["command"], broker_log, **who)

        pod = pods(self.system)["lockstep-agent"]["spec"]
        agent = pod["containers"][0]
        granted = {"capabilities": agent["securityContext"]["capabilities"]["add"]}
        node = self.box()
        node.folder(HOOK_SOCKETS, "755")
        node.files("/run/config/lockstep", named(self.system, "ConfigMap", "lockstep-agent")["data"], "644")
        node.files("/run/secrets/lockstep", {f"{NODE}.key": (keys / f"{NODE}.key").read_text()}, "400")
        words = [word.replace("$(NODE_NAME)", NODE) for word in agent["args"]]
        agent_log = self.work / "agent.log"
        self.assertNotEqual(node.run(agent["readinessProbe"]["exec"]["command"]).returncode, 0, "a probe of nothing passes")
        node.start(["lockstep-agent", *words], agent_log, **granted)
        self.passes(node, agent["readinessProbe"]["exec"]["command"], agent_log, **granted)

        # It is at the broker's, by its key and its name.
        limit = time.monotonic() + 20
        while True:
            status = json.loads(self.passes(box, broker["readinessProbe"]["exec"]["command"], broker_log, **who))
            if status["agents"]:
                break
            self.assertLess(time.monotonic(), limit, f"the agent is not known: {agent_log.read_text()}{broker_log.read_text()}")
            time.sleep(0.1)
        self.assertEqual(len(status["agents"]), 1)

    def test_nodes_are_configured_and_what_was_there_is_kept(self):
        pod = pods(self.system)["lockstep-agent"]["spec"]
        init = pod["initContainers"][0]
        hosts = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
        for mount in init["volumeMounts"]:
            self.assertEqual(mount["mountPath"], hosts.get(mount["name"], mount["mountPath"]))
        box = self.box()
        for folder in ("etc", "opt"):
            layers = f"lowerdir=/{folder},upperdir=/run/{folder}/upper,workdir=/run/{folder}/work"
            box.must(["sh", "-c", f"mkdir -p /run/{folder}/upper /run/{folder}/work && mount -t overlay -o {layers} box /{folder}"])
        for folder in (hosts["criu"], hosts["hook"]):
            box.folder(folder, "755")
        box.files("/run/config/lockstep", named(self.system, "ConfigMap", "lockstep-agent")["data"], "644")
        before = ["tcp-established", "action-script /usr/bin/other", "network-lock iptables"]
        box.must(["sh", "-c", 'printf %s "$0" >/etc/criu/runc.conf', "\n".join(before)])  # without the last line's end
        texts = []
        for _ in range(2):
            done = box.run(init["command"])  # root without any capability
            self.assertEqual(done.returncode, 0, done.stderr)
            texts.append({name: box.run(["cat", f"/etc/criu/{name}.conf"]).stdout.splitlines() for name in ("runc", "crun")})
        self.assertEqual(texts[0], texts[1])
        self.assertEqual(texts[0]["runc"][:3], before)
        for lines in texts[0].values():
            self.assertIn("action-script /opt/lockstep/bin/lockstep-hook", lines)
            self.assertEqual([line for line in lines if line.startswith("network-lock")][-1], "network-lock skip")
        self.assertEqual(box.run(["/opt/lockstep/bin/lockstep-hook", "--version"]).returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
