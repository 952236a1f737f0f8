"""How nodes come and go: killed, restarted, leaving, connected and removed on the fly, refused."""

import json
import time
import unittest

from client import RPCError
from cluster import DEFAULTS, FAST, ClusterTest, say
from keys import Keys, fill, missing, owner_of
from load import Load

# A poll takes a moment, and so does a process that shares two cores with everything else.
MEASURING_SECONDS = 0.25


def states(node):
    return {member["id"]: member["state"] for member in node.call("cluster.members")["members"]}


def share(node, name):
    return {member["id"]: member["share"] for member in node.call("cluster.ring")["members"]}.get(name, 0)


class Membership(ClusterTest):
    def test_a_killed_nodes_keys_move_in_time_and_come_back_with_it(self):
        """With the default times: excluded within failure_ms + 2 heartbeat_ms; ready again only when caught up."""
        cluster = self.cluster(3, network={"replicas": 1})
        cluster.start()
        victim, *survivors = cluster.nodes[1], cluster.nodes[0], cluster.nodes[2]
        keys = Keys(cluster)
        lost = [keys.owned_by(victim) for _ in range(20)]
        held = fill(survivors[0], 1000)
        for key in lost:
            victim.call("cache.put", {"key": key, "value": key})
        owned = [key for key in held if owner_of(survivors[0], key) == victim.name]

        killed = time.monotonic()
        victim.kill()
        moved = {}
        while len(moved) < len(survivors) and time.monotonic() < killed + 30:
            for node in survivors:
                owners = {owner_of(node, key) for key in lost} if node not in moved else set()
                if owners and victim.name not in owners:
                    moved[node] = time.monotonic() - killed
                    self.assertLessEqual(owners, {other.name for other in survivors})
            time.sleep(0.01)
        self.assertEqual(len(moved), 2, "the keys of a dead node did not move")
        limit = (DEFAULTS["failure_ms"] + 2 * DEFAULTS["heartbeat_ms"]) / 1000
        say("keys of a killed node moved after %s of %.2f s" % (
            ", ".join("%.2f s" % seconds for seconds in moved.values()), limit))
        self.assertLessEqual(max(moved.values()), limit + MEASURING_SECONDS)
        cluster.wait_converged(survivors)
        for node in survivors:
            self.assertIn(states(node).get(victim.name), ("dead", None))
            self.assertEqual([owner_of(node, key) for key in lost], [owner_of(survivors[0], key) for key in lost])
            for key in lost:
                self.assertEqual(node.call("cache.get", {"key": key}).get("value"), key)
            self.assertEqual(missing(node, held), [])

        began = time.monotonic()
        victim.start()
        victim.wait_ready(every=0.002)
        # Whatever was ready now must be there now: no waiting before these.
        self.assertEqual(missing(victim, held), [])
        self.assertEqual({owner_of(victim, key) for key in lost + owned}, {victim.name})
        self.assertGreater(share(victim, victim.name), 0.2)
        self.assertGreaterEqual(victim.call("node.stats")["currItems"], len(owned))
        say("ready with its keys %.2f s after a restart" % (time.monotonic() - began))
        cluster.wait_converged()
        for node in cluster.nodes:
            self.assertEqual({owner_of(node, key) for key in lost}, {victim.name})
            self.assertEqual(missing(node, held), [])

    def test_a_node_that_leaves_hands_its_keys_over(self):
        """Without any replicas, under load: nothing is lost and nobody sees an error."""
        cluster = self.cluster(3, network={"replicas": 0, **FAST})
        cluster.start()
        first, leaver, last = cluster.nodes
        load = Load(cluster.nodes, self.seed)
        load.fill(2000)
        with load:
            time.sleep(0.5)
            load.avoid(leaver)
            began = time.monotonic()
            self.assertEqual(leaver.call("cluster.leave", timeout=30), {"left": True})
            say("left after %.2f s" % (time.monotonic() - began))
            cluster.wait_converged([first, last])
            for node in (first, last):
                self.assertIn(states(node).get(leaver.name), ("left", None))
            leaver.kill()
            time.sleep(0.5)
        violations = load.verdict([first, last])
        self.assert_none(violations)
        self.assertEqual(load.errors, [], load.report())

    def test_a_node_that_left_can_come_back(self):
        cluster = self.cluster(3, network={"replicas": 0, **FAST})
        cluster.start()
        leaver, *others = cluster.nodes
        keys = fill(leaver, 300)
        self.assertEqual(leaver.call("cluster.leave", timeout=30), {"left": True})
        cluster.wait_converged(others)
        self.assertFalse(leaver.is_ready())
        self.assertEqual(missing(others[0], keys), [])
        self.assertEqual(leaver.call("cluster.connect", {"address": others[1].address}), {"connected": True})
        cluster.wait_converged()
        self.assertGreater(share(others[0], leaver.name), 0.2)
        for node in cluster.nodes:
            self.assertEqual(missing(node, keys), [])

    def test_nodes_are_connected_and_removed_on_the_fly(self):
        cluster = self.cluster(2, network={"replicas": 1, **FAST})
        cluster.start()
        first, second = cluster.nodes
        load = Load(cluster.nodes, self.seed)
        load.fill(1000)
        with load:
            third = cluster.add()
            third.start()
            third.wait_ready()
            self.assertEqual({member["id"] for member in third.call("cluster.members")["members"]}, {third.name})
            self.assertEqual(third.call("cluster.connect", {"address": first.address}), {"connected": True})
            cluster.wait_converged()
            load.use(third)
            fourth = cluster.add()
            fourth.start()
            fourth.wait_ready()
            self.assertEqual(second.call("cluster.connect", {"address": fourth.address}), {"connected": True})
            cluster.wait_converged()
            load.use(fourth)
            time.sleep(0.5)
            for node in cluster.nodes:
                self.assertGreater(share(node, fourth.name), 0.1)
            self.assertEqual(first.call("cluster.remove", {"address": "127.0.0.1:1"}), {"removed": False})
            load.avoid(third)
            self.assertEqual(second.call("cluster.remove", {"address": third.address}), {"removed": True})
            remaining = [first, second, fourth]
            cluster.wait_converged(remaining)
            for node in remaining:
                self.assertNotIn(states(node).get(third.name), ("alive", "suspect"))
            time.sleep(0.3)
        violations = load.verdict(remaining)
        self.assert_none(violations)
        self.assertEqual(load.errors, [], load.report())

    def test_an_address_that_nobody_listens_on_connects_nothing(self):
        cluster = self.cluster(1, network=FAST)
        node = cluster.nodes[0]
        node.start()
        node.wait_ready()
        absent = cluster.add()
        try:
            self.assertIn("connected", node.call("cluster.connect", {"address": absent.address}))
        except RPCError as error:
            self.assertIn("retryable", error.data)
        time.sleep(0.3)
        cluster.wait_converged([node])
        # The address is not forgotten: the node behind it is met when it starts.
        absent.start()
        cluster.wait_converged()

    def test_nodes_find_each_other_through_one_common_peer(self):
        cluster = self.cluster(4, network={"replicas": 1, **FAST})
        for node in cluster.nodes:
            node.configure("network", peer=[cluster.nodes[0].address] if node is not cluster.nodes[0] else [])
        cluster.start()

    def test_a_node_alone_is_a_cluster(self):
        cluster = self.cluster(3, network={"replicas": 1, **FAST})
        alone = cluster.nodes[0]
        alone.start()
        alone.wait_ready(within=10)
        keys = fill(alone, 200)
        for node in cluster.nodes[1:]:
            node.start()
        cluster.wait_converged()
        for node in cluster.nodes:
            self.assertEqual(missing(node, keys), [])

    def test_a_stopped_node_goes_in_order_and_is_not_missed(self):
        """SIGTERM under load with replicas: exit status 0, no error at the others, nothing lost."""
        cluster = self.cluster(3, network={"replicas": 1, **FAST})
        cluster.start()
        first, second, stopped = cluster.nodes
        load = Load(cluster.nodes, self.seed)
        load.fill(500)
        with load:
            time.sleep(0.3)
            load.avoid(stopped)
            self.assertEqual(stopped.stop(), 0)
            cluster.wait_converged([first, second])
            time.sleep(0.3)
        violations = load.verdict([first, second])
        self.assert_none(violations)
        self.assertEqual(load.errors, [], load.report())


class Refusals(ClusterTest):
    """A node that does not belong ends with status 69 and says why; the cluster does not notice."""

    def refused(self, change, word):
        cluster = self.cluster(2, network=FAST)
        cluster.start()
        members = list(cluster.nodes)
        stranger = cluster.add("stranger")
        stranger.configure("network", peer=[node.address for node in members])
        change(stranger)
        stranger.start()
        self.assertEqual(stranger.wait_end(15), 69)
        failure = stranger.log("node.failed")[-1]
        self.assertEqual(failure["level"], "error")
        self.assertIn(word, json.dumps(failure).lower())
        self.assertIsNone(cluster.disagreement(members))
        for node in members:
            self.assertEqual({member["id"]: member["address"] for member in node.call("cluster.members")["members"]},
                             {member.name: member.address for member in members})

    def test_the_id_of_a_living_member(self):
        self.refused(lambda node: node.configure("local", node_id="n1"), "n1")

    def test_another_clusters_name(self):
        self.refused(lambda node: node.configure("network", cluster="another"), "cluster")

    def test_a_taken_port(self):
        """As without a cluster: 69 too, and the living node keeps its own."""
        cluster = self.cluster(1)
        cluster.start()
        other = self.cluster(1).nodes[0]
        other.configure("local", node_port=cluster.nodes[0].port)
        other.start()
        self.assertEqual(other.wait_end(15), 69)
        self.assertTrue(other.log("node.failed"))


if __name__ == "__main__":
    unittest.main()
