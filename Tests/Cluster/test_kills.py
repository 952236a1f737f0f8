"""kill -9 under load with one replica and no journal: no acknowledged write lost, no error through the surviving nodes.

SPYDERCACHE_KILL_ROUNDS (30) sets how many kills the three nodes see; the other tests take a share of it.
"""

import time
import unittest

import checker
from checker import LOST
from cluster import FAST, ClusterTest, eventually, say, setting
from load import Load, spread

ROUNDS = setting("KILL_ROUNDS", 30)
BUMP_SECONDS = 2.0


class Kills(ClusterTest):
    def setUp(self):
        super().setUp()
        self.kills = []

    def start(self, size, fillers=600, hot=0, **network):
        cluster = self.cluster(size, network={"replicas": 1, **FAST, **network})
        cluster.start()
        load = Load(cluster.nodes, self.seed, hot=hot)
        load.fill(fillers)
        return cluster, load

    def kill(self, load, victim):
        load.avoid(victim)
        self.kills.append(time.monotonic())
        victim.kill()

    def judge(self, load, nodes, lag=0.0):
        violations = load.verdict(nodes, lag=lag)
        after = sorted(seconds for killed in self.kills
                       for seconds in load.latencies(killed, killed + BUMP_SECONDS))
        say("%d kills; %s" % (len(self.kills), load.report()))
        say("calls of the %g s after a kill: %s" % (BUMP_SECONDS, spread(after)))
        self.assert_none(violations)
        told = ["%s after %.3f s, %.3f s after the last kill: %s" % (
            error.method, error.at - error.invoked,
            error.at - max([killed for killed in self.kills if killed < error.at], default=error.at), error.text)
            for error in load.errors]
        self.assertEqual(told, [], "errors through nodes that lived")

    def random_kills(self, size, rounds, lag=0.0, **settings):
        """Each kill when all are ready; restarts before and after the others have noticed."""
        cluster, load = self.start(size, **settings)
        with load:
            for number in range(rounds):
                time.sleep(self.random.uniform(0.05, 0.25))
                victim = self.random.choice(cluster.nodes)
                epoch = cluster.others(victim)[0].call("cluster.status")["epoch"]
                self.kill(load, victim)
                if self.random.random() < 0.7:
                    cluster.wait_excluded(victim)
                else:
                    time.sleep(self.random.uniform(0, 0.3))
                victim.start()
                cluster.wait_converged()
                self.assertGreater(victim.call("cluster.status")["epoch"], epoch, "nobody noticed kill %d" % number)
                load.use(victim)
        self.judge(load, cluster.nodes, lag)
        return cluster

    def test_three_nodes(self):
        self.random_kills(3, ROUNDS)

    def test_three_nodes_under_the_majority_rule(self):
        """A dead node is then excluded after failure_ms; calls that may wait for longer do not fail."""
        self.random_kills(3, max(1, ROUNDS // 4), min_replicas=1, forward_timeout_ms=2 * FAST["failure_ms"])

    def test_three_nodes_that_keep_copies_of_each_others_entries(self):
        """A copy is never older than what was acknowledged a forward timeout ago, also when its owner is gone."""
        cluster = self.random_kills(3, max(1, ROUNDS // 4), lag=1.0, near_cache_size=1000, hot=2)
        hits = [node.call("node.stats")["nearHits"] for node in cluster.nodes]
        self.assertGreater(sum(hits), 0, "no copy was ever used")

    def test_four_nodes(self):
        self.random_kills(4, max(1, ROUNDS // 4))

    def test_nodes_go_one_after_the_other_until_one_is_left(self):
        """Without restarts: after each kill the others make new replicas of what has only one copy left."""
        cluster, load = self.start(4)
        with load:
            victims = list(cluster.nodes)
            self.random.shuffle(victims)
            for victim in victims[:-1]:
                time.sleep(0.2)
                self.kill(load, victim)
                cluster.wait_excluded(victim)
                if len(cluster.living()) > 1:
                    self.wait_replicated(cluster)
            time.sleep(0.3)
        self.judge(load, cluster.living())

    @staticmethod
    def wait_replicated(cluster):
        def problem():
            counts = [node.call("cluster.status")["underReplicated"] for node in cluster.living()]
            return "underReplicated %r" % counts if any(counts) else True
        eventually("every key has its replica again", problem, 20)

    def test_the_neighbour_dies_the_instant_a_restarted_node_is_ready(self):
        cluster, load = self.start(3, fillers=3000)
        with load:
            for _ in range(max(2, ROUNDS // 6)):
                first, second = self.random.sample(cluster.nodes, 2)
                self.kill(load, first)
                cluster.wait_excluded(first)
                self.wait_replicated(cluster)
                first.start()
                first.wait_ready(every=0.001)
                self.kill(load, second)
                load.use(first)
                cluster.wait_excluded(second)
                second.start()
                cluster.wait_converged()
                load.use(second)
        self.judge(load, cluster.nodes)

    def test_two_nodes_at_once_with_two_replicas(self):
        """They come back at once, too: what was written meanwhile neither has, and both must get."""
        cluster, load = self.start(4, replicas=2)
        with load:
            for _ in range(max(1, ROUNDS // 6)):
                time.sleep(0.2)
                victims = self.random.sample(cluster.nodes, 2)
                for victim in victims:
                    self.kill(load, victim)
                cluster.wait_excluded(*victims)
                load.fill(1000)
                for victim in victims:
                    victim.start()
                    time.sleep(self.random.uniform(0, 0.3))  # one comes while the other is being filled
                cluster.wait_converged()
                for victim in victims:
                    load.use(victim)
        self.judge(load, cluster.nodes)

    def test_without_replicas_the_same_kill_does_lose_writes(self):
        """That the tests above can fail: one kill that nothing protects from is convicted."""
        cluster, load = self.start(3, replicas=0)
        with load:
            time.sleep(0.3)
            victim = self.random.choice(cluster.nodes)
            self.kill(load, victim)
            cluster.wait_excluded(victim)
            victim.start()
            cluster.wait_converged()
        violations = load.verdict(cluster.nodes)
        self.assertIn(LOST, {violation.kind for violation in violations}, checker.describe(violations))


if __name__ == "__main__":
    unittest.main()
