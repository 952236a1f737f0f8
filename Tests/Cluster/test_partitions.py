"""Split networks, five nodes, replicas = 2, min_replicas = 1: only a majority goes on, and nothing it said is lost.

Clients are on all sides; every node is used through its own network namespace all the time. Writes that a minority does
not acknowledge may or may not have happened; what it does acknowledge must survive, what it reads must not be stale.

SPYDERCACHE_SPLIT_SECONDS (4.5) is how long a split lasts, SPYDERCACHE_FLAPS (8) how often the network flaps.
"""

import contextlib
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import checker
import network
from checker import LOST, PHANTOM, STALE, UNDONE
from client import RPCError
from cluster import ClusterTest, eventually, say, setting
from load import DISAGREE, Load, decode, encode, spread

TIMES = {"heartbeat_ms": 200, "failure_ms": 2000, "forward_timeout_ms": 500}
SPLIT_SECONDS = setting("SPLIT_SECONDS", 4.5)
FLAPS = setting("FLAPS", 8)
HEALED_SECONDS = 15
# After this a minority has noticed and refuses, and a majority has a view of its own and takes everything again.
NOTICED_SECONDS = (TIMES["failure_ms"] + 2 * TIMES["heartbeat_ms"]) / 1000
SETTLED_SECONDS = NOTICED_SECONDS + TIMES["forward_timeout_ms"] / 1000 + 0.3
NOT_ENOUGH_REPLICAS = 1104
WRITES = ("cache.put", "cache.putMany", "cache.incr", "cache.delete")


@unittest.skipIf(network.missing_rights(), network.missing_rights())
class Partitions(ClusterTest):
    def setUp(self):
        super().setUp()
        self.network = network.Network(5)
        self.addCleanup(self.network.remove)

    def start(self, counters=True, hot=0, **settings):
        self.cluster5 = self.cluster(5, places=self.network.places,
                                     network={"replicas": 2, "min_replicas": 1, **TIMES, **settings})
        self.cluster5.start()
        self.nodes = self.cluster5.nodes
        self.load = Load(self.nodes, self.seed, writers=3, readers=2, keys=12, pause=0.01, counters=counters,
                         hot=hot)
        self.load.fill(300)

    @staticmethod
    def places(nodes):
        return [node.place for node in nodes]

    def oldest_first(self, **settings):
        """Starts the nodes; the coordinator, then the others in random order."""
        self.start(**settings)
        coordinator = self.cluster5.coordinator()
        others = [node for node in self.nodes if node is not coordinator]
        self.random.shuffle(others)
        return [coordinator] + others

    def split(self, *groups):
        """Returns the moment from which nothing got through."""
        self.network.split(*map(self.places, groups))
        began = time.monotonic()
        self.assertFalse(self.network.reaches(groups[0][0].place, groups[1][0].place), "the split took no effect")
        self.assertFalse(self.network.reaches(groups[1][0].place, groups[0][0].place), "the split took no effect")
        if len(groups[0]) > 1:
            self.assertTrue(self.network.reaches(groups[0][0].place, groups[0][1].place), "the split cut too much")
        return began

    def heal(self):
        self.network.heal()
        self.assertTrue(self.network.reaches(self.nodes[0].place, self.nodes[4].place))
        seconds = self.cluster5.wait_converged(within=HEALED_SECONDS)
        say("converged %.1f s after healing" % seconds)

    lag = 0.0  # how long a copy of another node's entry may be old

    def judge(self):
        time.sleep(0.5)
        violations = self.load.verdict(self.nodes, lag=self.lag)
        say(self.load.report())
        self.assert_none(violations)

    def assert_goes_on(self, majority, since, until):
        """No error through any node of the majority, and writes through each."""
        errors = [str(error) for error in self.load.errors if error.node in majority and since < error.invoked < until]
        self.assertEqual(errors, [], "the majority refused %.1f s after the split" % SETTLED_SECONDS)
        for node in majority:
            self.assertGreater(self.load.successes(since, until, node, WRITES), 0, "writes through %s" % node)
        say("through the majority: " + spread(self.load.latencies(since, until, majority)))

    def assert_refuses(self, minority, since, until):
        """Every write through the minority is refused with 1104, whoever owns the key."""
        for node in minority:
            taken = self.load.successes(since, until, node, WRITES)
            self.assertEqual(taken, 0, "%s took writes %.1f s after the split" % (node, NOTICED_SECONDS))
            for number in range(20):
                with self.assertRaises(RPCError) as caught:
                    node.call("cache.put", {"key": "refused-%d" % number, "value": 1})
                self.assertEqual(caught.exception.code, NOT_ENOUGH_REPLICAS, str(caught.exception))
                self.assertIs(caught.exception.data["retryable"], True)
            errors = [error for error in self.load.errors
                      if error.node is node and error.method in WRITES and since < error.invoked < until]
            self.assertEqual({error.code for error in errors}, {NOT_ENOUGH_REPLICAS}, errors[:3])
            status = node.call("cluster.status")
            self.assertFalse(status["acting"], status)

    def two_sides(self, minority, majority):
        """The split itself: its time is up when the majority has gone on for a second."""
        with self.load:
            time.sleep(0.3)
            began = self.split(minority, majority)
            time.sleep(max(SPLIT_SECONDS, SETTLED_SECONDS + 1) - (time.monotonic() - began))
            ended = time.monotonic()
            self.assert_refuses(minority, began + NOTICED_SECONDS, ended)
            self.assertIsNone(self.cluster5.disagreement(majority))
            self.assert_goes_on(majority, began + SETTLED_SECONDS, ended)
            self.heal()
            healed = time.monotonic()
            time.sleep(1)
            self.assert_goes_on(self.nodes, healed, time.monotonic())
        self.judge()

    def test_two_and_three_with_the_coordinator_among_the_two(self):
        nodes = self.oldest_first()
        self.two_sides(nodes[:2], nodes[2:])

    def test_two_and_three_with_the_coordinator_among_the_three(self):
        nodes = self.oldest_first()
        self.two_sides(nodes[3:], nodes[:3])

    def test_two_and_three_with_copies_of_each_others_entries(self):
        """A copy that the minority holds must not answer for longer than the owner knows of it."""
        self.lag = TIMES["forward_timeout_ms"] / 1000
        nodes = self.oldest_first(hot=2, near_cache_size=1000)
        self.two_sides(nodes[:2], nodes[2:])
        hits = [node.call("node.stats")["nearHits"] for node in nodes]
        self.assertGreater(sum(hits), 0, "no copy was ever used: %r" % hits)

    def test_the_coordinator_alone(self):
        nodes = self.oldest_first()
        self.two_sides(nodes[:1], nodes[1:])

    def test_what_a_minority_acknowledged_before_it_noticed_is_kept(self):
        """Keys whose owner and first replica are the minority, written until it refuses: the majority has them."""
        nodes = self.oldest_first()
        owner, replica, *majority = nodes
        keys = self.keys_of(lambda holders: holders[:2] == [owner, replica])
        number, refused = 1, 0
        began = self.split([owner, replica], majority)
        while not refused and time.monotonic() < began + 2 * NOTICED_SECONDS:
            if not self.write_all(owner, keys, number):
                refused = time.monotonic() - began
            number += 1
        say("refused %.2f s after the split" % refused)
        self.assertTrue(0 < refused < NOTICED_SECONDS + 2 * TIMES["forward_timeout_ms"] / 1000, refused)
        self.cluster5.wait_converged(majority)
        for node in majority:
            self.load.read_all([node], keys)
        self.heal()
        self.judge()

    def test_what_a_minority_could_not_spread_is_not_answered(self):
        """An owner that is cut off from its replicas does not answer with a write that the others do not have."""
        owner, other, *majority = self.oldest_first()
        keys = self.keys_of(lambda holders: holders[0] is owner)
        self.assertTrue(self.write_all(owner, keys, 1))
        began = self.split([owner, other], majority)
        with self.reading([owner, other], keys) as refused:
            self.assertFalse(self.write_all(owner, keys, 2), "acknowledged without a replica")
            time.sleep(max(0, began + NOTICED_SECONDS - time.monotonic()))
        self.assertIn((owner, NOT_ENOUGH_REPLICAS), refused, "the owner refused nothing")
        self.cluster5.wait_converged(majority)
        self.load.read_all(majority, keys)
        self.heal()
        self.judge()

    def test_what_one_replica_has_of_a_dead_owner_is_not_answered_before_the_others_have_it(self):
        owner, heir, keys = self.missing_one_replica(mute=2)
        owner.kill()
        rest = self.cluster5.others(owner, heir)
        with self.reading([heir], keys) as refused:
            eventually("the heir owns the keys",
                       lambda: heir.call("cluster.owner", {"key": keys[0]})["owner"] == heir.name, 10)
            time.sleep(TIMES["forward_timeout_ms"] / 1000 + 0.2)  # longer than a read waits
            self.network.split(self.places([heir]), self.places(rest))
            time.sleep(NOTICED_SECONDS)
        self.assertIn((heir, NOT_ENOUGH_REPLICAS), refused, "the heir refused nothing")
        self.cluster5.wait_converged(rest)
        self.load.read_all(rest, keys)
        self.network.heal()
        self.cluster5.wait_converged(within=HEALED_SECONDS)
        self.nodes = self.cluster5.living()
        self.judge()

    def test_what_one_replica_has_of_a_dead_owner_reaches_the_others(self):
        owner, heir, keys = self.missing_one_replica(mute=1)
        for dead in (owner, heir):
            dead.kill()
            self.cluster5.wait_converged()
            seen = self.load.read_all(self.cluster5.living(), keys)
            self.assertEqual({value for values in seen.values() for value in values.values()}, {2})
        self.nodes = self.cluster5.living()
        self.judge()

    def missing_one_replica(self, mute):
        """Keys whose second write the first replica has and the second has not; their owner, and that first replica.

        `mute`: how many of the three holders the second replica does not hear.
        """
        self.start()
        holders = self.some_holders()
        keys = self.keys_of(lambda found: found == holders)
        self.assertTrue(self.write_all(holders[0], keys, 1))
        self.network.cut(self.places(holders[:mute]), self.places(holders[2:]))
        self.assertFalse(self.write_all(holders[0], keys, 2), "acknowledged without a replica")
        return holders[0], holders[1], keys

    def some_holders(self):
        """The owner of some key and its replicas, in their order."""
        found = self.nodes[0].call("cluster.owner", {"key": "some"})
        return [next(node for node in self.nodes if node.name == name) for name in [found["owner"]] + found["replicas"]]

    def keys_of(self, matches, count=10):
        """Keys whose holders, the owner first, are as wanted; the load reads them at its end."""
        by_name, keys = {node.name: node for node in self.nodes}, []
        for number in range(50_000):
            found = self.nodes[0].call("cluster.owner", {"key": "doubt-%d" % number})
            if matches([by_name[name] for name in [found["owner"]] + found["replicas"]]):
                keys.append("doubt-%d" % number)
            if len(keys) == count:
                break
        self.assertEqual(len(keys), count, "too few keys")
        self.load.keys += keys
        return keys

    @contextlib.contextmanager
    def reading(self, nodes, keys):
        """Meanwhile reads each key through each node; yields the refusals, as node and code, when it is over."""
        refused, done = [], threading.Event()

        def read(node, key):
            client = node.new_client()
            while not done.is_set():
                invoked = time.monotonic()
                try:
                    value = decode(key, client.call("cache.get", {"key": key}))
                    self.load.history.read(key, invoked, value, node.name)
                except RPCError as error:
                    self.assertIs(error.data["retryable"], True, str(error))
                    refused.append((node, error.code))
            client.close()
        with ThreadPoolExecutor(len(nodes) * len(keys)) as pool:
            readers = [pool.submit(read, node, key) for node in nodes for key in keys]
            try:
                yield refused
            finally:
                done.set()
            for reader in readers:
                reader.result()

    def write_all(self, node, keys, number):
        """Writes all keys by one call; returns whether all of it was acknowledged."""
        writes = [self.load.history.invoke(key, checker.PUT, number) for key in keys]
        items = [{"key": key, "value": encode(key, number)} for key in keys]
        try:
            answers = node.call("cache.putMany", {"items": items})["items"]
        except RPCError as error:
            self.assertEqual(error.code, NOT_ENOUGH_REPLICAS, str(error))
            answers = [{}] * len(keys)
        for write, answer in zip(writes, answers):
            if answer.get("stored"):
                write.acknowledge(True, int(answer["cas"]), node.name)
            else:
                write.abandon()
        return all(answer.get("stored") for answer in answers)

    def test_a_node_that_hears_but_is_not_heard(self):
        mute, *others = self.oldest_first()
        self.one_way(mute, others, sends=False)

    def test_a_node_that_is_heard_but_does_not_hear(self):
        *others, deaf = self.oldest_first()
        self.one_way(deaf, others, sends=True)

    def one_way(self, lame, others, sends):
        """One direction between a node and all others is cut: it must not act, the others must go on."""
        senders, receivers = (others, [lame]) if sends else ([lame], others)
        with self.load:
            time.sleep(0.3)
            self.network.cut(self.places(senders), self.places(receivers))
            began = time.monotonic()
            self.assertFalse(self.network.reaches(senders[0].place, receivers[0].place), "the cut took no effect")
            self.assertTrue(self.network.reaches(receivers[0].place, senders[0].place), "the cut is not one-way")
            time.sleep(max(SPLIT_SECONDS, SETTLED_SECONDS + 1) - (time.monotonic() - began))
            ended = time.monotonic()
            self.assert_refuses([lame], began + NOTICED_SECONDS, ended)
            self.assertIsNone(self.cluster5.disagreement(others))
            self.assert_goes_on(others, began + SETTLED_SECONDS, ended)
            self.heal()
        self.judge()

    def test_two_sides_and_one_node_that_sees_both(self):
        """1 2 | 3 | 4 5 with 3 in sight of all: whatever view they find, they lose nothing and heal."""
        nodes = self.oldest_first()
        with self.load:
            time.sleep(0.3)
            self.split(nodes[:2], nodes[3:])
            self.assertTrue(self.network.reaches(nodes[0].place, nodes[2].place))
            time.sleep(SPLIT_SECONDS)
            self.heal()
        self.judge()

    def test_flapping(self):
        """Splits of all kinds and lengths, shorter and longer than it takes to notice."""
        self.start()
        with self.load:
            for _ in range(FLAPS):
                nodes = list(self.nodes)
                self.random.shuffle(nodes)
                size = self.random.randrange(1, 3)
                if self.random.random() < 0.3:
                    self.network.cut(self.places(nodes[:size]), self.places(nodes[size:]))
                else:
                    self.network.split(self.places(nodes[:size]), self.places(nodes[size:]))
                time.sleep(self.random.uniform(0.1, 2) * TIMES["failure_ms"] / 1000)
                if self.random.random() < 0.7:  # else the next cut comes on top
                    self.network.heal()
                    time.sleep(self.random.uniform(0, 1) * TIMES["failure_ms"] / 1000)
            self.heal()
        self.judge()

    def test_without_the_majority_rule_both_sides_go_on_and_the_newest_wins(self):
        """min_replicas = 0. Also shows that the tests above can fail: meanwhile the sides contradict each other."""
        nodes = self.oldest_first(counters=False, min_replicas=0)
        one, other = nodes[:2], nodes[2:]
        with self.load:
            time.sleep(0.3)
            began = self.split(one, other)
            time.sleep(max(SPLIT_SECONDS, SETTLED_SECONDS + 1) - (time.monotonic() - began))
            for side in (one, other):
                self.assertIsNone(self.cluster5.disagreement(side))
                self.assert_goes_on(side, began + SETTLED_SECONDS, time.monotonic())
            self.heal()
            healed = time.monotonic()
            time.sleep(0.5)
        old = [violation for violation in self.load.verdict(self.nodes, lambda read: read.invoked < healed)
               if violation.kind in (LOST, STALE, UNDONE, PHANTOM, DISAGREE)]
        self.assert_none(old)
        self.assertIn(STALE, {violation.kind for violation in checker.check(self.load.history)})


if __name__ == "__main__":
    unittest.main()
