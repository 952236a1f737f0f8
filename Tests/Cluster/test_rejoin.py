"""Nodes that come back with an old journal: what was overwritten or deleted meanwhile never comes back with them."""

import time
import unittest

from checker import DELETE, PUT
from client import NoAnswer, RPCError
from cluster import FAST, ClusterTest, eventually
from load import Load, decode, encode

COUNT = 300


class Rejoin(ClusterTest):
    def start(self):
        cluster = self.cluster(3, network={"replicas": 1, **FAST}, journal={"enabled": True},
                               local={"reconstruct": True})
        cluster.start()
        load = Load(cluster.nodes, self.seed)
        self.old = ["old-%d" % number for number in range(COUNT)]
        for key in self.old:
            self.put(load, cluster.nodes[0], key, 1)
        load.keys += self.old
        return cluster, load

    @staticmethod
    def put(load, node, key, number):
        write = load.history.invoke(key, PUT, number)
        write.acknowledge(node.call("cache.put", {"key": key, "value": encode(key, number)})["stored"])

    @staticmethod
    def delete(load, node, key):
        write = load.history.invoke(key, DELETE)
        write.acknowledge(node.call("cache.delete", {"key": key})["deleted"])

    def change(self, load, node):
        """Of the keys a third is overwritten, a third deleted, a part of that written anew; a third is left alone."""
        for number, key in enumerate(self.old):
            if number % 3 == 0:
                self.put(load, node, key, 2)
            elif number % 3 == 1:
                self.delete(load, node, key)
                if number % 2:
                    self.put(load, node, key, 3)

    def read_until_ready(self, load, node):
        """Reads through a starting node from its first answer on: it may refuse, but not answer with what is old."""
        number = 0

        def ready():
            nonlocal number
            key = self.old[number % COUNT]
            number += 7
            invoked = time.monotonic()
            try:
                load.history.read(key, invoked, decode(key, node.call("cache.get", {"key": key})), node.name)
            except (NoAnswer, RPCError):
                pass
            return node.is_ready()
        eventually("%s is ready" % node, ready, 20, every=0)
        self.read_all(load, node)

    def read_all(self, load, node):
        invoked = time.monotonic()
        for key, item in zip(self.old, node.call("cache.getMany", {"keys": self.old})["items"]):
            load.history.read(key, invoked, decode(key, item), node.name)

    def judge(self, cluster, load, errors=True):
        violations = load.verdict(cluster.nodes)
        self.assert_none(violations)
        if errors:
            self.assertEqual(load.errors, [], load.report())

    def test_its_old_journal_brings_nothing_back(self):
        cluster, load = self.start()
        with load:
            for victim in cluster.nodes:
                time.sleep(0.2)
                load.avoid(victim)
                victim.kill()
                cluster.wait_excluded(victim)
                self.change(load, cluster.others(victim)[0])
                victim.start()
                self.read_until_ready(load, victim)
                self.assertGreater(victim.log("journal.recovered")[-1]["keys"], 0, "there was no old journal")
                load.use(victim)
                cluster.wait_converged()
                self.old = ["%s-%s" % (victim, key) for key in self.old]
                for key in self.old:
                    self.put(load, victim, key, 1)
                load.keys += self.old
        self.judge(cluster, load)

    def test_nor_does_the_journal_read_again_by_hand(self):
        """Restarted empty, with the old journal put aside; then told to read it after all."""
        cluster, load = self.start()
        victim, other = cluster.nodes[1], cluster.nodes[2]
        with load:
            load.avoid(victim)
            victim.kill()
            cluster.wait_excluded(victim)
            self.change(load, other)
            victim.configure("local", reconstruct=False)
            victim.start()
            self.read_until_ready(load, victim)
            load.use(victim)
            cluster.wait_converged()
            self.assertGreater(victim.call("node.reconstruct", timeout=20)["records"], 0, "there was no old journal")
            for node in cluster.nodes:
                self.read_all(load, node)
            time.sleep(0.5)
        self.judge(cluster, load)

    def test_all_killed_at_once_come_back_with_everything(self):
        cluster, load = self.start()
        with load:
            time.sleep(0.5)
            for node in cluster.nodes:
                load.avoid(node)
            for node in cluster.nodes:
                node.kill()
            for node in cluster.nodes:
                node.start()
            cluster.wait_converged()
            for node in cluster.nodes:
                load.use(node)
            time.sleep(0.5)
        self.judge(cluster, load)

    def test_the_first_to_die_is_the_first_to_come_back(self):
        """Its journal is the oldest, and for a while it is alone with it."""
        cluster, load = self.start()
        first, *others = cluster.nodes
        with load:
            load.avoid(first)
            first.kill()
            cluster.wait_excluded(first)
            self.change(load, others[0])
            time.sleep(0.3)
            for node in others:
                load.avoid(node)
            for node in others:
                node.kill()
            first.start()
            first.wait_ready()
            for node in others:
                node.start()
            cluster.wait_converged()
            for node in cluster.nodes:
                self.read_all(load, node)
                load.use(node)
            time.sleep(0.5)
        self.judge(cluster, load)


if __name__ == "__main__":
    unittest.main()
