#!/usr/bin/env python3
"""monitor.py FILE [SECONDS]: one line a node and round, every SECONDS (2), until Ctrl-C; 0 makes a single round.

FILE is a node's INI file. Its own node and its peers are asked, and whoever these name as members beside them:

    127.0.0.1:8001  id=1 state=up,ready epoch=3 coordinator=1 alive=3/3 handoff=100% underReplicated=0 keys=42 hits=97.5%
    127.0.0.1:8002  id=2 state=down epoch=- ... hits=- cannot reach 127.0.0.1:8002: Connection refused

state is down, or up with ready or not-ready, and not-acting for a node that hears too few others to answer for its keys.
alive counts the members that this node hears, of all in its view. hits is the share of gets that found their key: since
the round before, or since the node's start where there is none or it was asked nothing meanwhile.
Exit status: 0 ended by Ctrl-C or after the single round, 2 error with one line on stderr.
"""

import argparse
import json
import re
import sys
import threading
import time

import spyderrpc

FIELDS = ("state", "epoch", "coordinator", "alive", "handoff", "underReplicated", "keys", "hits")


class Watched:
    """A node that is asked every round. Each instance is used by one thread at a time."""

    def __init__(self, host, port, options):
        self.address = spyderrpc.address(host, port)
        self.options = argparse.Namespace(
            host=host, port=port, timeout=options.timeout, token_file=options.token_file)
        self.id = None  # as it says, or as others say when it has not answered yet
        self.counted = (0, 0)  # hits and misses of the round before

    def ask(self):
        """Sets `fields` (what FIELDS name, as text), `trouble` and `members` (the node's view) from its answers."""
        self.fields, self.trouble, self.members = {}, "", []
        try:
            self._tell_status(self._call("cluster.status"))
            self._tell_stats(self._call("node.stats"))
        except spyderrpc.NodeError as error:
            self.fields.setdefault("state", "up")
            self.trouble = str(error)
        except spyderrpc.Failure as failure:
            self.fields = {"state": "down"}
            self.trouble = str(failure)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.fields.setdefault("state", "up")
            self.trouble = "its answers are not those of a node"

    def _call(self, method):
        return json.loads(spyderrpc.call(self.options, method, {}))

    def _tell_status(self, status):
        self.id = str(status["node"])
        self.members = [(str(member["id"]), str(member["address"]), member["state"]) for member in status["members"]]
        in_view = [member["state"] for member in status["members"] if member["role"] != "none"]
        states = ["up", "ready" if status["ready"] else "not-ready"] + ([] if status["acting"] else ["not-acting"])
        self.fields = {
            "state": ",".join(states), "epoch": status["epoch"],
            "coordinator": status["coordinator"], "alive": "%d/%d" % (in_view.count("alive"), len(in_view)),
            "handoff": "%.0f%%" % status["handoffPercent"], "underReplicated": status["underReplicated"],
        }

    def _tell_stats(self, stats):
        hits, misses = int(stats["getHits"]), int(stats["getMisses"])
        hits_before, misses_before = self.counted
        self.counted = (hits, misses)
        if hits >= hits_before and misses >= misses_before and hits + misses > hits_before + misses_before:
            hits, misses = hits - hits_before, misses - misses_before
        self.fields["keys"] = stats["currItems"]
        self.fields["hits"] = "%.1f%%" % (100 * hits / (hits + misses)) if hits + misses else None

    def line(self, width):
        values = [("id", self.id)] + [(name, self.fields.get(name)) for name in FIELDS]
        text = " ".join("%s=%s" % (name, "-" if value is None else value) for name, value in values)
        return " ".join(("%-*s  %s %s" % (width, self.address, text, self.trouble)).split("\n")).rstrip()


def main():
    parser = spyderrpc.parser_without_node(
        "Shows the nodes of a cluster, one line each. Exit status 0, also after Ctrl-C; 2 error.",
        ("FILE", "a node's INI file"), timeout=2.0)
    parser.add_argument("seconds", metavar="SECONDS", nargs="?", type=_pause, default=2.0,
                        help="from one round to the next (2); 0 for a single round")
    options = parser.parse_args()
    spyderrpc.headers(options)  # a wrong token file is this script's trouble, not the nodes'
    nodes = [Watched(host, port, options) for host, port in _addresses(options.file)]
    try:
        while True:
            began = time.monotonic()
            _round(nodes, options)
            if options.seconds == 0:
                return 0
            time.sleep(max(0.0, options.seconds - (time.monotonic() - began)))
    except KeyboardInterrupt:
        return 0


def _round(nodes, options):
    """Asks all nodes at once, so that those that do not answer hold up nobody, and prints their lines in order."""
    _ask(nodes)
    ids = {node.id for node in nodes}
    addresses = {node.address for node in nodes}
    named = {address: (id, state) for node in nodes for id, address, state in node.members}
    joined = [address for address, (id, state) in named.items()
              if id not in ids and address not in addresses and state not in ("dead", "left")]
    new = [Watched(*endpoint, options) for endpoint in map(_endpoint, joined) if endpoint]
    _ask(new)
    nodes += new
    for node in nodes:
        if node.id is None and node.address in named:
            node.id = named[node.address][0]
    width = max(len(node.address) for node in nodes)
    for node in nodes:
        spyderrpc.print_text(node.line(width))
    if options.seconds > 0 and sys.stdout.isatty():
        print(flush=True)


def _ask(nodes):
    # Daemons: Ctrl-C does not wait for nodes that are silent.
    threads = [threading.Thread(target=node.ask, daemon=True) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _addresses(path):
    """(host, port) of the file's own node and of its peers, each once."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            settings = read_settings(file.read())
    except OSError as error:
        raise spyderrpc.Failure("%s: %s" % (path, error.strerror or error)) from None
    except UnicodeError:
        raise spyderrpc.Failure("%s is not valid UTF-8" % path) from None
    port = settings.get(("local", "node_port"), "8001")
    host = settings.get(("local", "bind"), "127.0.0.1")
    # A node that listens on every address is reached at this machine's own.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}.get(host, host)
    if port == "0":
        raise spyderrpc.Failure("%s: node_port = 0 takes any free port, which only the node's log tells" % path)
    texts = [spyderrpc.address(host.strip("[]"), int(port)) if port.isascii() and port.isdigit() else port]
    for name in ("peer", "peers"):
        texts += [part.strip() for part in settings.get(("network", name), "").split(",") if part.strip()]
    result = []
    for text in texts:
        endpoint = _endpoint(text)
        if endpoint is None:
            raise spyderrpc.Failure("%s: '%s' is not host:port" % (path, text))
        if endpoint not in result:
            result.append(endpoint)
    return result


def read_settings(text):
    """{(section, key): value} of an INI file as the nodes read it; what is no setting is passed over, for it is the
    node that judges its file ('spydercache config check')."""
    settings, section, last, goes_on = {}, None, None, False
    for line in text.split("\n"):
        whole = line.rstrip("\r")
        content = _without_comment(whole).strip(" \t")
        if not content:
            continue
        if goes_on and "=" not in content and not re.fullmatch(r"\[[A-Za-z_]*\]", content):
            settings[last] += content
            goes_on = content.endswith(",")
        elif content.startswith("["):
            section, goes_on = content.strip("[] \t"), False
        elif "=" in content:
            value = content.split("=", 1)[1].strip(" \t")
            quoted = re.match(r'[^=]*=[ \t]*"((?:[^"\\]|\\.)*)"', whole)
            last = (section, content.split("=", 1)[0].strip(" \t"))
            settings[last] = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
            goes_on = not quoted and value.endswith(",")
    return settings


def _without_comment(line):
    return re.sub(r"(^|(?<=[ \t]))[#;].*", "", line)


def _endpoint(text):
    """(host without brackets, port); None when the text is not host:port."""
    found = re.fullmatch(r"(\[[^][]+\]|[^][:]+):([0-9]{1,5})", text)
    if not found or not 0 < int(found[2]) < 65536:
        return None
    return found[1].strip("[]"), int(found[2])


def _pause(text):
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError("'%s' is not a number of seconds" % text)
    return number


if __name__ == "__main__":
    spyderrpc.run(main)
