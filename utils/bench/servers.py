"""Servers to measure: each started in the foreground on loopback and a free port, pinned to given cores, in a directory of
its own that goes away with it. Not the load, and not what is measured: that is rows.py's.

A `Bench` owns them all; leaving its `with` block ends every process it started, also after an error or Ctrl-C.
"""

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class BenchError(Exception):
    """Something that makes a row's figures meaningless; the message is for people."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def memory_kib(pid, field="VmRSS"):
    """A field of /proc/PID/status in KiB, such as VmRSS (resident now) or VmHWM (resident at most so far)."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise BenchError(f"process {pid} tells no {field}")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as listing:
        return [int(child) for child in listing.read().split()]


def run_on(cores, is_favoured=False):
    """For Popen's preexec_fn: pins the process; with `is_favoured` also puts it in front of whatever else the machine does
    (nice -20, which needs root), so that other work shows less in the figures.

    Not SCHED_FIFO: under it the threads of a server wait for each other, and for the file system's, instead of sharing the
    core (measured: a third of the writes with fsync). Where the kernel groups processes by session (sched(7), autogroup), nice
    counts inside the group only and it is the group that must be favoured."""

    def prepare():
        os.sched_setaffinity(0, cores)
        if is_favoured:
            os.setsid()
            os.setpriority(os.PRIO_PROCESS, 0, -20)
            try:
                with open("/proc/self/autogroup", "w") as group:
                    group.write("-20")
            except OSError:
                pass
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return prepare


class Server:
    """One running process (with its children) and where to reach it."""

    def __init__(self, name, command, port, directory, cores):
        self.name, self.command, self.port, self.directory = name, command, port, directory
        self.cores, self.is_favoured = cores, False
        self.log_path = os.path.join(directory, "log")
        self.process = None

    def start(self):
        self.started = time.monotonic()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=run_on(self.cores, self.is_favoured))
        return self

    def wait_until_listening(self, seconds=60):
        """Waits for the port; returns the seconds since the start."""
        return self.wait_until(self._accepts, seconds)

    def wait_until(self, is_ready, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with {self.process.returncode}: {self.log_tail()}")
            if is_ready():
                return time.monotonic() - self.started
            time.sleep(0.001)
        raise BenchError(f"{self.name} was not ready after {seconds} s: {self.log_tail()}")

    def _accepts(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def log_tail(self):
        with open(self.log_path, "rb") as log:
            return log.read()[-500:].decode(errors="replace").strip() or "(no output)"

    def log_text(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode(errors="replace")

    @property
    def pids(self):
        """The processes that do the work."""
        return [self.process.pid]

    def stop(self, number=signal.SIGTERM, seconds=30):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Nginx(Server):
    """The master starts one worker, which is what costs."""

    @property
    def pids(self):
        return children(self.process.pid)


class Webdis(Server):
    """Webdis and the Redis behind it, as one price."""

    redis = None

    @property
    def pids(self):
        return [self.process.pid, self.redis.process.pid]


class Node(Server):
    """A SpyderCache node."""

    def is_ready(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def wait_until_ready(self, seconds=120):
        return self.wait_until(self.is_ready, seconds)

    def call_text(self, method, params):
        """The text of a JSON-RPC response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection.request("POST", "/rpc", body, {"Content-Type": "application/json"})
        return connection.getresponse().read().decode()

    def call(self, method, params=None):
        reply = json.loads(self.call_text(method, params or {}))
        if "error" in reply:
            raise BenchError(f"{method}: {reply['error']}")
        return reply["result"]


class Bench:
    """Starts servers and ends them."""

    def __init__(self, binary, server_cores, all_cores, is_favoured=False):
        self.binary, self.server_cores, self.all_cores = binary, server_cores, all_cores
        self.is_favoured = is_favoured
        self._servers = []

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix="spydercache-bench-")
        os.chmod(self.root, 0o755)
        return self

    def __exit__(self, *_):
        self.stop_all()
        shutil.rmtree(self.root, ignore_errors=True)

    def stop_all(self):
        """Ends every server that still runs, and removes what they wrote."""
        for server in reversed(self._servers):
            server.stop(seconds=10)
            shutil.rmtree(server.directory, ignore_errors=True)
        self._servers.clear()

    def _directory(self, name):
        path = tempfile.mkdtemp(prefix=name + "-", dir=self.root)
        os.chmod(path, 0o755)
        return path

    def _add(self, server, waits=True):
        self._servers.append(server)
        server.is_favoured = self.is_favoured
        server.start()
        if waits:
            server.wait_until_listening()
        return server

    def node(self, settings=None, threads=1, cores=None, directory=None, waits=True):
        """A node with `settings` ({"journal.fsync": "always"}) on top of a memory limit of 2 GiB."""
        directory = directory or self._directory("node")
        port = free_port()
        options = {
            "local.node_port": port, "local.threads": threads, "local.memory_limit": "2GiB", "journal.enabled": "False",
            "local.data_dir": os.path.join(directory, "data"),
        }
        options.update(settings or {})
        command = [self.binary, "serve"]
        for name, value in options.items():
            command += ["--set", f"{name}={value}"]
        node = self._add(Node("spydercache", command, port, directory, cores or self.server_cores), waits=False)
        if waits:
            node.wait_until_ready()
        return node

    def nginx(self, location="return 200 hello;", files=None, extra=""):
        """nginx with one worker; `files` ({name: bytes}) lie in its root."""
        directory, port = self._directory("nginx"), free_port()
        for name, content in (files or {}).items():
            with open(os.path.join(directory, name), "wb") as file:
                file.write(content)
        user = "user root;" if os.geteuid() == 0 else ""
        with open(os.path.join(directory, "nginx.conf"), "w") as configuration:
            configuration.write(f"""
                {user} daemon off; worker_processes 1; pid {directory}/pid; error_log stderr error;
                events {{ worker_connections 8192; }}
                http {{
                    access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
                    client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
                    uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
                    types {{ application/json json; }}
                    server {{
                        listen 127.0.0.1:{port}; root {directory}; {extra}
                        location / {{ {location} }}
                    }}
                }}""")
        command = ["nginx", "-p", directory, "-e", "stderr", "-c", os.path.join(directory, "nginx.conf")]
        return self._add(Nginx("nginx", command, port, directory, self.server_cores))

    def redis(self, append="no", io_threads=1, cores=None, directory=None, waits=True):
        """Redis; `append` is no, or appendfsync's everysec or always."""
        directory, port = directory or self._directory("redis"), free_port()
        command = [
            "redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", directory, "--save", "",
            "--daemonize", "no", "--appendonly", "no" if append == "no" else "yes", "--auto-aof-rewrite-percentage", "0",
            "--maxclients", "10000",
        ]
        if append != "no":
            command += ["--appendfsync", append]
        if io_threads > 1:
            command += ["--io-threads", str(io_threads), "--io-threads-do-reads", "yes"]
        return self._add(Server("redis", command, port, directory, cores or self.server_cores), waits)

    def memcached(self):
        directory, port = self._directory("memcached"), free_port()
        command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "1", "-m", "2048", "-c", "8192"]
        if os.geteuid() == 0:
            command += ["-u", "root"]
        return self._add(Server("memcached", command, port, directory, self.server_cores))

    def webdis(self):
        redis = self.redis()
        directory, port = self._directory("webdis"), free_port()
        path = os.path.join(directory, "webdis.json")
        with open(path, "w") as configuration:
            json.dump({
                "redis_host": "127.0.0.1", "redis_port": redis.port, "http_host": "127.0.0.1", "http_port": port,
                "threads": 1, "pool_size": 4, "daemonize": False, "database": 0, "verbosity": 0,
                "logfile": os.path.join(directory, "webdis.log"),
            }, configuration)
        webdis = Webdis("webdis", ["webdis", path], port, directory, self.server_cores)
        webdis.redis = redis
        return self._add(webdis)
