"""The load and the checker against single nodes: they pass one that is right, and convict what is no cluster at all."""

import time
import unittest

import checker
from cluster import ClusterTest
from load import DISAGREE, Load


class Harness(ClusterTest):
    def start(self, count):
        """Nodes that do not know each other."""
        nodes = []
        for number in range(count):
            node = self.cluster(0).add("n%d" % (number + 1))
            node.start()
            nodes.append(node)
        for node in nodes:
            node.wait_ready()
        return nodes

    def load(self, nodes, seconds):
        load = Load(nodes, self.seed, pause=0.001)
        load.fill(100)
        with load:
            time.sleep(seconds)
        return load

    def test_one_node_is_right(self):
        nodes = self.start(1)
        load = self.load(nodes, 1)
        violations = load.verdict(nodes)
        self.assert_none(violations)
        self.assertEqual(load.errors, [])
        writes, reads = load.history.size()
        self.assertGreater(min(writes, reads), 100, load.report())

    def test_nodes_that_share_nothing_are_convicted(self):
        nodes = self.start(2)
        load = self.load(nodes, 0.5)
        kinds = {violation.kind for violation in load.verdict(nodes)}
        due = {checker.LOST, checker.STALE, checker.UNDONE, checker.ANSWER, DISAGREE}
        self.assertEqual(due - kinds, set(), "not found, but these: %s" % kinds)

    def test_a_node_that_forgets_is_convicted(self):
        nodes = self.start(1)
        with Load(nodes, self.seed, pause=0.001) as load:
            time.sleep(0.3)
            load.avoid(nodes[0])
            nodes[0].kill()
            nodes[0].start()
            nodes[0].wait_ready()
            load.use(nodes[0])
            time.sleep(0.3)
        self.assertEqual(load.errors, [])
        self.assertIn(checker.LOST, {violation.kind for violation in load.verdict(nodes)})

    def test_errors_of_a_node_in_use_count_and_others_are_excused(self):
        nodes = self.start(2)
        with Load(nodes, self.seed, pause=0.001) as load:
            load.avoid(nodes[0])
            nodes[0].kill()
            time.sleep(0.2)
            self.assertEqual(load.errors, [])
            nodes[1].kill()
            time.sleep(0.2)
        self.assertGreater(len(load.errors), 0)
        self.assertEqual({error.node for error in load.errors}, {nodes[1]})


if __name__ == "__main__":
    unittest.main()
