"""Clients that write and read through many nodes at once and record what they saw for the checker.

A `Load` has writers, each with keys of its own, and readers of everybody's keys; each call goes through a random one of
the nodes in use. It is bounded in calls and seconds. A test takes a node out of use before it does harm to it: errors
of calls that were under way there are excused, all others count. A key with an unacknowledged write is left as it is,
for reading, and its writer goes on with a new one.
"""

import random
import threading
import time
from collections import namedtuple

import checker
from checker import DELETE, INCR, PUT, History, Violation
from client import NoAnswer, RPCError

DISAGREE = "nodes disagree"
READS = ("cache.get", "cache.getMany")

Call = namedtuple("Call", "invoked seconds node method")
Error = namedtuple("Error", "invoked at node method code text")


def encode(key, number):
    """The value of a key for a number: now and then long enough to be stored compressed, and never another key's."""
    length = 3000 if number % 16 == 0 else number * 37 % 300
    return {"key": key, "n": number, "pad": ("%s-%d " % (key, number) * 400)[:length]}


def decode(key, item):
    """What the checker is given for a result of cache.get: a number, None for a miss, or a text: no value of ours."""
    if not item.get("found"):
        return None if item == {"found": False} else repr(item)[:200]
    value = item.get("value")
    if type(value) is int:
        return value
    if isinstance(value, dict) and type(value.get("n")) is int and value == encode(key, value["n"]):
        return value["n"]
    return repr(value)[:200]


class _Slot:
    """A writer's current key and what must be there."""

    def __init__(self, name, is_counter):
        self.name, self.is_counter, self.generation = name, is_counter, 0
        self.key, self.is_present, self.number = "%s.0" % name, False, 0

    def renew(self):
        self.generation += 1
        self.key, self.is_present = "%s.%d" % (self.name, self.generation), False


class Load:
    def __init__(self, nodes, seed, writers=3, readers=2, keys=20, pause=0.003, counters=True, hot=0,
                 max_calls=300_000, max_seconds=900):
        """`hot`: so many keys of each writer get most of the reads."""
        self.seed, self.pause, self.hot = seed, pause, hot
        self.max_calls, self.max_seconds = max_calls, max_seconds
        self.history = History()
        self.lock = threading.Lock()
        self.in_use, self.writable, self.outages = list(nodes), list(nodes), {node: 0 for node in nodes}
        self.calls, self.errors, self.excused, self.crashes = [], [], [], []
        self.slots = [[_Slot("w%d-%d" % (writer, number), counters and number % 4 == 3) for number in range(keys)]
                      for writer in range(writers)]
        self.keys, self.filled = [slot.key for slots in self.slots for slot in slots], 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(self._write, index)) for index in range(writers)]
        self.threads += [threading.Thread(target=self._run, args=(self._read, index)) for index in range(readers)]

    def __enter__(self):
        self.deadline = time.monotonic() + self.max_seconds
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends all calls; a defect of a worker is raised here."""
        self.stopping.set()
        for thread in self.threads:
            if thread.ident is not None:
                thread.join()
        if self.crashes:
            raise self.crashes[0]

    def avoid(self, node):
        """No new call goes to the node; errors of those under way there are excused."""
        with self.lock:
            self.outages[node] += 1
            self.in_use = [other for other in self.in_use if other is not node]
            self.writable = [other for other in self.writable if other is not node]

    def use(self, node, for_writes=True):
        """Calls go to the node again, or to a new one."""
        with self.lock:
            self.outages.setdefault(node, 0)
            if node not in self.in_use:
                self.in_use = self.in_use + [node]
            if for_writes and node not in self.writable:
                self.writable = self.writable + [node]

    def fill(self, count, call_size=100):
        """Writes new keys that are only read afterwards, from the test's own thread."""
        keys = ["fill-%d" % number for number in range(self.filled, self.filled + count)]
        self.filled += count
        for start in range(0, count, call_size):
            chunk = keys[start:start + call_size]
            writes = [self.history.invoke(key, PUT, 1) for key in chunk]
            node = self.in_use[start // call_size % len(self.in_use)]
            result = node.call("cache.putMany", {"items": [{"key": key, "value": encode(key, 1)} for key in chunk]})
            for write, item in zip(writes, result["items"]):
                assert item["stored"] is True, item
                write.acknowledge(True, int(item["cas"]), node.name)
        self.keys += keys

    def latencies(self, since=float("-inf"), until=float("inf"), nodes=None):
        """Sorted seconds of the successful calls invoked in the time."""
        return sorted(call.seconds for call in list(self.calls)
                      if since <= call.invoked < until and (nodes is None or call.node in nodes))

    def successes(self, since, until, node, methods):
        return sum(1 for call in list(self.calls)
                   if since <= call.invoked < until and call.node is node and call.method in methods)

    def final_reads(self, nodes):
        """Reads every key ever written through every node; returns where they differ. Call when the load is over.

        What was not acknowledged may still take effect, between the reads of two nodes too: a difference must last.
        """
        different = self.keys
        for _ in range(4):
            seen = self.read_all(nodes, different)
            different = [key for key, values in seen.items() if len(set(values.values())) > 1]
            if not different:
                return []
            time.sleep(0.5)
        return [Violation(DISAGREE, key, repr(seen[key])) for key in different]

    def read_all(self, nodes, keys, call_size=200):
        """Reads keys through every node in the test's own thread; the values by key and node."""
        seen = {}
        for node in nodes:
            for start in range(0, len(keys), call_size):
                chunk = keys[start:start + call_size]
                invoked = time.monotonic()
                items = node.call("cache.getMany", {"keys": chunk}, timeout=20)["items"]
                for key, item in zip(chunk, items):
                    value = decode(key, item)
                    self.history.read(key, invoked, value, node.name)
                    seen.setdefault(key, {})[node.name] = value
        return seen

    def verdict(self, nodes, is_exempt=lambda read: False, lag=0.0):
        """Everything that was wrong, after a last read of all keys through all nodes."""
        self.stop()
        different = self.final_reads(nodes)
        return checker.check(self.history, is_exempt, lag) + different

    def report(self):
        writes, reads = self.history.size()
        return "%d calls, %d writes and %d reads judged, %d errors, %d excused, %s" % (
            len(self.calls), writes, reads, len(self.errors), len(self.excused), spread(self.latencies()))

    # Workers

    def _run(self, step, index):
        rng = random.Random("%d %s %d" % (self.seed, step.__name__, index))
        clients = {}
        try:
            while not self.stopping.is_set() and len(self.calls) < self.max_calls and time.monotonic() < self.deadline:
                if not self.writable or not step(rng, index, clients):
                    self.stopping.wait(0.02)
                self.stopping.wait(self.pause)
        except Exception as crash:
            self.crashes.append(crash)
        finally:
            for client in clients.values():
                client.close()

    def _call(self, rng, clients, method, params):
        """The result through a node in use, and the node; the result is None when there was none."""
        nodes = self.in_use if method in READS else self.writable
        node = rng.choice(nodes) if nodes else None
        if node is None:
            return None, None
        if node not in clients:
            clients[node] = node.new_client()
        outages, invoked = self.outages[node], time.monotonic()
        try:
            result = clients[node].call(method, params)
        except (NoAnswer, RPCError) as failure:
            error = Error(invoked, time.monotonic(), node, method, getattr(failure, "code", None), str(failure))
            with self.lock:
                is_excused = outages != self.outages[node] or node not in self.in_use
                (self.excused if is_excused else self.errors).append(error)
            return None, node
        self.calls.append(Call(invoked, time.monotonic() - invoked, node, method))
        return result, node

    def _read(self, rng, _, clients):
        def pick():
            choice, slots = rng.random(), rng.choice(self.slots)
            if self.hot and choice < 0.8:
                return rng.choice(slots[:self.hot]).key
            return rng.choice(self.keys) if choice < 0.3 else rng.choice(slots).key
        if rng.random() < 0.5:
            return self._get(rng, clients, pick())
        keys, invoked = list({pick(): None for _ in range(8)}), time.monotonic()
        result, node = self._call(rng, clients, "cache.getMany", {"keys": keys})
        for key, item in zip(keys, result["items"] if result else []):
            if "error" not in item:
                self.history.read(key, invoked, decode(key, item), node.name)
        return result is not None

    def _get(self, rng, clients, key):
        invoked = time.monotonic()
        result, node = self._call(rng, clients, "cache.get", {"key": key})
        if result is not None:
            self.history.read(key, invoked, decode(key, result), node.name)
        return result is not None

    def _write(self, rng, index, clients):
        slot, choice = rng.choice(self.slots[index]), rng.random()
        if choice < 0.15:
            return self._get(rng, clients, slot.key)
        if choice < 0.3 and (slot.is_present or choice < 0.16):
            return self._delete(rng, clients, slot)
        if slot.is_counter:
            return self._increment(rng, clients, slot)
        if choice > 0.9:
            return self._put_many(rng, clients, index)
        slot.number += 1
        write = self.history.invoke(slot.key, PUT, slot.number)
        params = {"key": slot.key, "value": encode(slot.key, slot.number)}
        result, node = self._call(rng, clients, "cache.put", params)
        return self._stored(slot, write, result, node)

    def _put_many(self, rng, clients, index):
        registers = [slot for slot in self.slots[index] if not slot.is_counter]
        slots = rng.sample(registers, min(5, len(registers)))
        writes, items = [], []
        for slot in slots:
            slot.number += 1
            writes.append(self.history.invoke(slot.key, PUT, slot.number))
            items.append({"key": slot.key, "value": encode(slot.key, slot.number)})
        result, node = self._call(rng, clients, "cache.putMany", {"items": items})
        answers = result["items"] if result else [None] * len(slots)
        if any(answer is not None and "stored" not in answer for answer in answers):
            text = "items without an answer: %r" % [answer for answer in answers if "stored" not in answer][:1]
            self.errors.append(Error(writes[0].invoked, time.monotonic(), node, "cache.putMany", None, text))
        return all([self._stored(slot, write, answer, node) for slot, write, answer in zip(slots, writes, answers)])

    def _stored(self, slot, write, answer, node):
        if answer is None or "stored" not in answer:
            return self._abandoned(slot, write)
        write.acknowledge(answer["stored"], int(answer["cas"]) if "cas" in answer else None, node.name)
        slot.is_present = True
        return answer["stored"] is True or self._abandoned(slot)

    def _increment(self, rng, clients, slot):
        params = {"key": slot.key}
        if slot.is_present:
            slot.number += 1
        else:  # an initial value that no increment leads to: a lost counter cannot pass for a new one
            slot.number = (slot.number // 1_000_000 + 1) * 1_000_000
            params["initial"] = slot.number
        write = self.history.invoke(slot.key, INCR, slot.number)
        result, node = self._call(rng, clients, "cache.incr", params)
        if result is None:
            return self._abandoned(slot, write)
        write.acknowledge(result.get("value"), int(result["cas"]) if "cas" in result else None, node.name)
        slot.is_present = True
        return result.get("value") == slot.number or self._abandoned(slot)

    def _delete(self, rng, clients, slot):
        write = self.history.invoke(slot.key, DELETE)
        result, node = self._call(rng, clients, "cache.delete", {"key": slot.key})
        if result is None:
            return self._abandoned(slot, write)
        write.acknowledge(result["deleted"], via=node.name)
        slot.is_present = False
        return True

    def _abandoned(self, slot, write=None):
        """What the key holds is not known any more."""
        if write is not None:
            write.abandon()
        slot.renew()
        self.keys.append(slot.key)
        return False


def spread(seconds):
    """Median, 99th percentile and maximum of sorted times, as text."""
    if not seconds:
        return "no calls"
    p50, p99 = (seconds[min(len(seconds) - 1, int(len(seconds) * share))] for share in (0.5, 0.99))
    return "p50 %.1f ms, p99 %.1f ms, max %.0f ms" % (p50 * 1000, p99 * 1000, seconds[-1] * 1000)
