#!/usr/bin/python3
"""A stand-in for a cluster: the API server and the kubelets and runtimes behind it, as far as checkpoints go.

Paths, methods, tokens, client certificates and rights are looked at and answered as Kubernetes does (a Status object where the
API server speaks, plain text where the kubelet does; pkg/kubelet/server/server.go), and a checkpoint is a real one: CRIU dumps
the container's process with the hook, tells neither member nor round, and the images are packed into an archive, as runtimes do.

usage: api_server.py FOLDER    (FOLDER has settings.json; port, requests.log and checkpoints/ come to be in it)

FOLDER/fault.json, read for each request, makes something go wrong: {"at": "pod" or "checkpoint", "container": NAME (all, where
it is missing), "kind": …}. See Handler.spoil().
"""

import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])
SETTINGS = json.loads((FOLDER / "settings.json").read_text())
LOG = threading.Lock()
NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
POD = re.compile(rf"/api/v1/namespaces/(?P<namespace>{NAME})/pods/(?P<pod>{NAME})")
CHECKPOINT = re.compile(rf"/api/v1/nodes/(?P<node>{NAME})/proxy/checkpoint/(?P<namespace>{NAME})/(?P<pod>{NAME})/(?P<container>{NAME})")


def note(line):
    with LOG, open(FOLDER / "requests.log", "a", encoding="utf-8") as log:
        log.write(line + "\n")


def shown_to_everybody(secrets):
    """Whether one of them stands on some process's command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if any(secret.encode() in line for secret in secrets):
            return True
    return False


def find_pod(namespace, name):
    return next((one for one in SETTINGS["pods"] if (one["namespace"], one["name"]) == (namespace, name)), None)


def pod_object(pod):
    statuses = [{"name": one["name"], "containerID": "containerd://" + one["id"], "ready": True, "restartCount": 0,
                 "state": one.get("state", {"running": {"startedAt": "2025-01-01T00:00:00Z"}})} for one in pod["containers"]]
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod["name"], "namespace": pod["namespace"], "uid": pod["uid"]},
            "spec": {"nodeName": pod["node"], "hostNetwork": pod.get("host_network", False),
                     "containers": [{"name": one["name"]} for one in pod["containers"]]},
            "status": {"phase": "Running", "containerStatuses": statuses}}


def checkpoint(pod, container):
    """What the runtime does for the kubelet. Returns the archive, or raises with what it would say."""
    name = f"checkpoint-{pod['name']}_{pod['namespace']}-{container['name']}-{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
    # Another round may come in the same second, to a thread of the same number.
    (FOLDER / "runtime").mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=FOLDER / "runtime"))
    images = work / "checkpoint"
    images.mkdir()
    inode = os.stat(f"/proc/{container['pid']}/ns/net").st_ino
    words = [*SETTINGS["criu"], "dump", "--tree", str(container["pid"]), "--images-dir", str(images), "--work-dir", str(work),
             "--leave-running", "--tcp-established", "--network-lock", "skip", "--external", f"net[{inode}]:extRootNetNS",
             "--action-script", SETTINGS["hook"], "--log-file", "dump.log", "-v4"]
    # As a runtime's environment: where the node's sockets are is all that is not as on a node.
    done = subprocess.run(words, env={"PATH": os.environ["PATH"], "LOCKSTEP_SOCKET_DIR": SETTINGS["socket_dir"]},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line for line in (work / "dump.log").read_text(errors="replace").splitlines() if "Error" in line or line.startswith("lockstep")]
        raise RuntimeError(f"rpc error: code = Unknown desc = failed to checkpoint container {container['id']}: criu failed: {errors[-3:]}")
    (work / "config.dump").write_text(json.dumps({"id": container["id"], "name": container["name"]}))
    (work / "spec.dump").write_text(json.dumps({"annotations": {}}))
    archive = FOLDER / "checkpoints" / f"{name}.tar"
    archive.parent.mkdir(exist_ok=True)
    subprocess.run(["tar", "-C", work, "-cf", archive, "checkpoint", "config.dump", "spec.dump", "dump.log"], check=True)
    return archive


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def say(self, code, body, kind):
        data = body.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def status(self, code, reason, message):
        """The API server's own words."""
        self.say(code, json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                                   "reason": reason, "code": code}), "application/json")

    def text(self, code, words):
        """The kubelet's."""
        self.say(code, words, "text/plain; charset=utf-8")

    def user(self):
        certificate = self.connection.getpeercert()
        if certificate:
            return dict(part[0] for part in certificate["subject"])["commonName"]
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return SETTINGS["tokens"].get(token) if scheme == "Bearer" else None

    def fault(self, at, container=None):
        try:
            fault = json.loads((FOLDER / "fault.json").read_text())
        except FileNotFoundError:
            return None
        fits = fault["at"] == at and fault.get("container", container) == container
        return fault if fits else None

    def spoil(self, fault, place):
        """True: it has answered, or never will."""
        kind = fault["kind"]
        if kind == "hang":
            threading.Event().wait()
        elif kind == "drop":
            self.close_connection = True
            self.connection.close()
        elif kind == "garbage":
            self.say(200, "<html>hello</html>", "text/html")
        elif kind == "huge":
            self.say(200, json.dumps({"items": ["/" + "x" * 5_000_000]}), "application/json")
        elif kind == "no_archive":
            self.say(200, '{"items":[]}', "application/json")
        elif kind == "unauthorized":
            self.status(401, "Unauthorized", "Unauthorized")
        elif kind == "redirect":
            self.send_response(302)
            self.send_header("Location", "https://127.0.0.1:1/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif kind == "kubelet_forbids":
            self.text(403, "Forbidden (user=kube-apiserver-kubelet-client, verb=create, resource=nodes, subresource(s)=[checkpoint proxy])")
        elif kind == "gate_off":
            self.text(404, "404: Page Not Found")
        elif kind == "unreachable":
            self.status(503, "ServiceUnavailable", 'error trying to reach service: dial tcp 10.0.0.7:10250: connect: connection refused')
        elif kind == "runtime":
            self.text(500, f"checkpointing of {place} failed (rpc error: code = {fault['words']})")
        else:
            raise ValueError(kind)

    def handle_one(self, method):
        user = self.user()
        note(f"{method} {self.path} by {user}" + (" SHOWN" if shown_to_everybody(SETTINGS["tokens"]) else ""))
        if user is None:
            return self.status(401, "Unauthorized", "Unauthorized")
        prefix = SETTINGS.get("prefix", "")
        url = urllib.parse.urlsplit(self.path)
        if not url.path.startswith(prefix):
            return self.text(404, "404 page not found")
        path = url.path[len(prefix):]
        if (asked := POD.fullmatch(path)) and method == "GET" and not url.query:
            return self.answer_pod(user, asked)
        if (asked := CHECKPOINT.fullmatch(path)) and method == "POST":
            return self.answer_checkpoint(user, asked, urllib.parse.parse_qs(url.query, keep_blank_values=True))
        note(f"UNEXPECTED {method} {self.path}")
        return self.text(404, "404 page not found")

    def may(self, user, verb, resource, name, namespace=None):
        if [verb, resource] in SETTINGS["users"].get(user, []):
            return True
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        self.status(403, "Forbidden", f'{resource.partition("/")[0]} "{name}" is forbidden: User "{user}" cannot {verb} resource '
                                      f'"{resource}" in API group "" {where}')
        return False

    def answer_pod(self, user, asked):
        if not self.may(user, "get", "pods", asked["pod"], asked["namespace"]):
            return None
        if fault := self.fault("pod"):
            return self.spoil(fault, asked["pod"])
        pod = find_pod(asked["namespace"], asked["pod"])
        if pod is None:
            return self.status(404, "NotFound", f'pods "{asked["pod"]}" not found')
        return self.say(200, json.dumps(pod_object(pod)), "application/json")

    def answer_checkpoint(self, user, asked, query):
        if not self.may(user, "create", "nodes/proxy", asked["node"]):
            return None
        if asked["node"] not in SETTINGS["nodes"]:
            return self.status(404, "NotFound", f'nodes "{asked["node"]}" not found')
        place = f"{asked['namespace']}/{asked['pod']}/{asked['container']}"
        if fault := self.fault("checkpoint", asked["container"]):
            return self.spoil(fault, place)
        # From here on it is the kubelet who speaks.
        pod = find_pod(asked["namespace"], asked["pod"])
        if pod is None or pod["node"] != asked["node"]:
            return self.text(404, "pod does not exist")
        container = next((one for one in pod["containers"] if one["name"] == asked["container"]), None)
        if container is None:
            return self.text(404, f"container {asked['container']} does not exist")
        if not re.fullmatch(r"-?[0-9]+", query.get("timeout", ["0"])[-1]):
            return self.text(404, "cannot parse value of timeout parameter")
        try:
            archive = checkpoint(pod, container)
        except RuntimeError as error:
            return self.text(500, f"checkpointing of {place} failed ({error})")
        return self.say(200, f'{{"items":["{archive}"]}}', "application/json")

    def do_GET(self):
        self.handle_one("GET")

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        self.rfile.read(length)
        self.handle_one("POST")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        note(f"BROKEN {sys.exc_info()[0].__name__}")


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SETTINGS["certificate"], SETTINGS["key"])
    context.load_verify_locations(SETTINGS["client_authority"])
    context.verify_mode = ssl.CERT_OPTIONAL
    server = Server(("127.0.0.1", 0), Handler)
    # The handshake belongs to the connection's thread: whoever connects and says nothing holds nobody up.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    part = FOLDER / "port.part"
    part.write_text(str(server.server_address[1]))
    part.rename(FOLDER / "port")
    server.serve_forever()


main()
