"""A network of namespaces on this machine whose links can be cut, one direction at a time.

    n1 --- 10.77.1.1 |            A namespace a node, with one veth to a hub namespace that forwards between them.
    n2 --- 10.77.2.1 | hub        A cut is a policy rule in the hub that drops the packets from one node to another
    n3 --- 10.77.3.1 |            without a word, also those of connections that exist: what a pulled cable does.

Nothing leaves these namespaces and no address of the machine itself is touched. Needs root with CAP_NET_ADMIN and
CAP_SYS_ADMIN, and ip(8). Names carry this process's number; what a crashed run left behind is removed by the next.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess

PREFIX = "spydercache-test-"
NAMESPACES = "/run/netns"
_CLONE_NEWNET = 0x40000000
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21


def missing_rights():
    """Why such a network cannot be built here; None when it can."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        capabilities = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    if os.getuid() != 0 or not all(capabilities >> bit & 1 for bit in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN)):
        return "network namespaces need root with CAP_NET_ADMIN and CAP_SYS_ADMIN"
    if shutil.which("ip") is None:
        return "network namespaces need ip(8), package iproute2"
    return None


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
    if done.returncode != 0:
        raise AssertionError("ip %s: %s" % (" ".join(arguments), done.stdout.decode(errors="replace").strip()))
    return done.stdout.decode()


class Namespace:
    """The place of one node: where its process runs and its clients' sockets live."""

    def __init__(self, prefix, number):
        self.name, self.number = "%sn%d" % (prefix, number), number
        self.host = "10.77.%d.2" % number
        self.command = ["ip", "netns", "exec", self.name]

    def open_socket(self, family, kind):
        """A socket of this namespace. It stays there, whichever thread uses it; the calling thread comes back."""
        # The thread's own namespace, not the process's: other threads may be inside others just now.
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(os.path.join(NAMESPACES, self.name), os.O_RDONLY)
        try:
            _setns(there)
            try:
                return socket.socket(family, kind)
            finally:
                _setns(home)
        finally:
            os.close(home)
            os.close(there)


class Network:
    def __init__(self, size):
        remove_leftovers()
        self.prefix = "%s%d-" % (PREFIX, os.getpid())
        self.hub = self.prefix + "hub"
        self.places = [Namespace(self.prefix, number) for number in range(1, size + 1)]
        self.cuts = set()
        try:
            self._build()
        except BaseException:
            self.remove()
            raise

    def _build(self):
        ip("netns", "add", self.hub)
        for place in self.places:
            port, address = "n%d" % place.number, "10.77.%d.1" % place.number
            ip("netns", "add", place.name)
            ip("-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", place.name)
            ip("-n", self.hub, "address", "add", address + "/24", "dev", port)
            ip("-n", self.hub, "link", "set", port, "up")
            ip("-n", place.name, "address", "add", place.host + "/24", "dev", "eth0")
            ip("-n", place.name, "link", "set", "lo", "up")
            ip("-n", place.name, "link", "set", "eth0", "up")
            ip("-n", place.name, "route", "add", "default", "via", address)
        ip("netns", "exec", self.hub, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def cut(self, senders, receivers):
        """From now on nothing gets from a sender to a receiver; the other direction is not touched."""
        for sender in senders:
            for receiver in receivers:
                if sender is not receiver and (sender, receiver) not in self.cuts:
                    self.cuts.add((sender, receiver))
                    self._rule("add", sender, receiver)

    def split(self, *groups):
        """Cuts both directions between places of different groups."""
        for group in groups:
            for other in groups:
                if group is not other:
                    self.cut(group, other)

    def heal(self):
        while self.cuts:
            self._rule("del", *self.cuts.pop())

    def _rule(self, verb, sender, receiver):
        ip("-n", self.hub, "rule", verb, "from", sender.host, "to", receiver.host, "blackhole")

    def reaches(self, sender, receiver):
        """Whether a datagram gets from one place to the other: what a cut prevents, seen from outside the nodes."""
        with receiver.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as ear, \
                sender.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            ear.bind((receiver.host, 0))
            ear.settimeout(0.2)
            mouth.sendto(b"?", ear.getsockname())
            try:
                return ear.recv(1) == b"?"
            except socket.timeout:
                return False

    def remove(self):
        """Ends what still runs in the namespaces; their interfaces go with them."""
        for name in [place.name for place in self.places] + [self.hub]:
            _remove_namespace(name)


def remove_leftovers():
    """Removes the namespaces of runs whose process is gone."""
    for name in os.listdir(NAMESPACES) if os.path.isdir(NAMESPACES) else []:
        owner = name[len(PREFIX):].split("-")[0]
        if name.startswith(PREFIX) and owner.isdigit() and not os.path.exists("/proc/" + owner):
            _remove_namespace(name)


def _remove_namespace(name):
    if not os.path.exists(os.path.join(NAMESPACES, name)):
        return
    for process in ip("netns", "pids", name).split():
        try:
            os.kill(int(process), signal.SIGKILL)
        except ProcessLookupError:
            pass
    ip("netns", "delete", name)


def _setns(descriptor):
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
