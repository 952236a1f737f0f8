"""Callers that use a cluster as a cache, and an observer of its views, in threads beside the story that cluster-demo tells."""

import random
import threading
import time

from clusternodes import Client, view


class Counts:
    """What callers met in some span of time. `chosen…` counts, apart, the gets of the keys that are looked at closely."""

    FIELDS = ("hits", "misses", "errors", "wrong", "chosen_gets", "chosen_hits")

    def __init__(self):
        for name in self.FIELDS:
            setattr(self, name, 0)

    @property
    def gets(self):
        return self.hits + self.misses + self.errors + self.wrong

    @property
    def hit_rate(self):
        """Of all gets, those that failed included; None when there was none."""
        return self.hits / self.gets if self.gets else None

    @property
    def chosen_hit_rate(self):
        return self.chosen_hits / self.chosen_gets if self.chosen_gets else None

    def count(self, outcome, is_chosen):
        setattr(self, outcome, getattr(self, outcome) + 1)
        self.chosen_gets += is_chosen
        self.chosen_hits += is_chosen and outcome == "hits"

    def add(self, other):
        for name in self.FIELDS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Callers:
    """They get keys at random, at a fixed rate together, through each of some nodes in turn, and put back what they miss."""

    def __init__(self, ports, values, chosen, count=4, gets_a_second=800):
        """`values` is {key: value}, `chosen` the set of keys to be counted apart."""
        self.ports, self.values, self.keys, self.chosen = ports, values, list(values), chosen
        self.gets_a_second, self.pause = gets_a_second, count / gets_a_second
        self.lock = threading.Lock()
        self.window = Counts()  # guarded by lock, as the next one
        self.first_error = None
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        stop(self.is_over, self.threads)

    def take_window(self):
        """The counts since the last call."""
        with self.lock:
            window, self.window = self.window, Counts()
            return window

    def _run(self, number):
        generator = random.Random(number)
        clients = [Client(port) for port in self.ports]
        due, turn = time.monotonic() + self.pause * number / len(self.threads), number
        while not self.is_over.wait(max(0.0, due - time.monotonic())):
            # A caller that was held up does not make up for it with a burst.
            due = max(due + self.pause, time.monotonic() - self.pause)
            turn += 1
            key = generator.choice(self.keys)
            outcome, error = self._get(clients[turn % len(clients)], key)
            with self.lock:
                self.window.count(outcome, key in self.chosen)
                self.first_error = self.first_error or error
        for client in clients:
            client.close()

    def _get(self, client, key):
        try:
            result = client.call("cache.get", {"key": key})
            if not result["found"]:
                client.call("cache.put", {"key": key, "value": self.values[key]})
                return "misses", None
            return ("hits" if result["value"] == self.values[key] else "wrong"), None
        except Client.ERRORS as error:
            return "errors", f"{key}: {error or type(error).__name__}"


class Observer:
    """Asks nodes for their status twenty times a second; `latest` is {id: status, None where there was no answer}."""

    def __init__(self, ports):
        """`ports` is {id: port}."""
        self.clients = {id: Client(port, timeout=0.5) for id, port in ports.items()}
        self.latest = {id: None for id in ports}
        self.excluded = {}  # {id: when all others that answer no longer counted on it}, of those that were awaited
        self.awaited = set()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def start(self):
        self.thread.start()

    def stop(self):
        stop(self.is_over, [self.thread])

    def await_exclusion(self, id):
        self.awaited.add(id)

    def _run(self):
        while not self.is_over.wait(0.05):
            for id, client in self.clients.items():
                try:
                    self.latest[id] = client.call("cluster.status")
                except Client.ERRORS:
                    self.latest[id] = None
            for gone in list(self.awaited):
                others = [status for id, status in self.latest.items() if id != gone]
                if all(status and gone not in view(status) for status in others):
                    self.excluded[gone] = time.monotonic()
                    self.awaited.discard(gone)
        for client in self.clients.values():
            client.close()


def stop(is_over, threads):
    """Ends threads that watch an event, also such that were never started."""
    is_over.set()
    for thread in threads:
        if thread.ident is not None:
            thread.join()
