"""What a cluster of three does while nothing is wrong, and how its membership changes: any node answers any key."""

import gzip
import json
import shutil
import string
import time
import unittest

from client import RPCError
from cluster import Cluster, ClusterTest, eventually, say
from keys import Keys, fill, missing, owner_of

# The layout of a configuration file as people write them: indented, tabs, comments after values and continuation lines.
INI = """\
    #This is the configuration file.

    [local]
    node_id = {id}					#this is the id of the node which this file will drive. Any string is valid
    node_port = {port}			#the port at which this node should communicate
    reconstruct = False			#should the node read the events journal to restore last known state?
	cache_size = 100000			#Maximum number of keys this cache is allowed to hold. After this limit is hit,
								#the cache will start evicting keys using an LRU mechanism

    [network]					#simply the list of peers this node should connect to.
    peer = {peer1},		#it is a comma separated list of the form <ipv4address>:<port>
           {peer2}		#and goes on here

    [journal]
    enabled = {journal}
"""


class ThreeNodes(ClusterTest):
    """One cluster for the tests that do it no harm; each works on keys of its own."""

    journal = False

    @classmethod
    def setUpClass(cls):
        cls.start()

    @classmethod
    def start(cls):
        cluster = cls.shared = Cluster(3)
        cls.addClassCleanup(cls.end, cluster)
        for number, node in enumerate(cluster.nodes, 1):
            peers = [other.address for other in cluster.nodes if other is not node]
            node.name = str(number)
            with open(node.ini, "w", encoding="utf-8") as file:
                file.write(INI.format(id=number, port=node.port, peer1=peers[0], peer2=peers[1], journal=cls.journal))
            node.start(write_ini=False)
        say("converged %.1f s after the start" % cluster.wait_converged())

    def setUp(self):
        super().setUp()
        if len(self.shared.living()) < 3 or any(node.process.poll() is not None for node in self.shared.nodes):
            self.start()  # a node broke down in the test before: this one is judged by itself
        self.nodes = self.shared.nodes
        self.keys = Keys(self.shared, self.id().rsplit(".", 1)[1])

    @staticmethod
    def end(cluster):
        """Stopped in order, the nodes end with status 0."""
        statuses = [node.stop() for node in cluster.living()]
        problems = cluster.finish()
        if problems or any(statuses):
            cluster.show_logs()
            raise AssertionError("exit statuses after SIGTERM: %r; %s" % (statuses, "; ".join(problems)))
        shutil.rmtree(cluster.directory)

    # Who is who

    def test_all_agree_on_members_coordinator_epoch_and_ring(self):
        members, statuses, rings = [], [], []
        for node in self.nodes:
            found = node.call("cluster.members")
            self.assertEqual({member["id"]: member["address"] for member in found["members"]},
                             {other.name: other.address for other in self.nodes})
            for member in found["members"]:
                self.assertEqual((member["state"], member["role"]), ("alive", "serving"))
                self.assertIsInstance(member["incarnation"], int)
            members.append((sorted(map(str, found["members"])), found["coordinator"], found["epoch"]))
            status = node.call("cluster.status")
            self.assertEqual((status["node"], status["ready"], status["acting"], status["topology"]),
                             (node.name, True, True, "static"))
            self.assertEqual((status["handoffPercent"], status["underReplicated"]), (100, 0))
            statuses.append((status["coordinator"], status["epoch"]))
            ring = node.call("cluster.ring")
            self.assertEqual(ring["virtualNodes"], 160)
            self.assertEqual({member["id"] for member in ring["members"]}, {"1", "2", "3"})
            self.assertAlmostEqual(sum(member["share"] for member in ring["members"]), 1, delta=0.01)
            for member in ring["members"]:
                self.assertTrue(0.2 < member["share"] < 0.5, ring)
            rings.append((sorted((member["id"], member["share"]) for member in ring["members"]), ring["epoch"]))
        for answers in (members, statuses, rings):
            self.assertEqual([answers[0]] * 3, answers)
        self.assertEqual(statuses[0], members[0][1:])
        self.assertEqual(rings[0][1], members[0][2])

    def test_all_agree_on_the_owner_of_a_key_and_shares_are_as_the_ring_says(self):
        shares = {member["id"]: member["share"] for member in self.nodes[0].call("cluster.ring")["members"]}
        owned = {node.name: 0 for node in self.nodes}
        for number in range(600):
            answers = [node.call("cluster.owner", {"key": "k%d" % number}) for node in self.nodes]
            self.assertEqual([answers[0]] * 3, answers)
            self.assertEqual(answers[0]["replicas"], [])
            owned[answers[0]["owner"]] += 1
        for name, count in owned.items():
            self.assertAlmostEqual(count / 600, shares[name], delta=0.08)

    def test_the_owner_is_among_the_fields_of_a_get(self):
        for owner in self.nodes:
            key = self.keys.owned_by(owner)
            self.nodes[0].call("cache.put", {"key": key, "value": 1})
            for node in self.nodes:
                self.assertEqual(node.call("cache.get", {"key": key, "fields": ["owner"]}),
                                 {"found": True, "owner": owner.name})

    # One key

    def test_a_key_put_through_any_node_is_read_through_every_node(self):
        for owner in self.nodes:
            for writer in self.nodes:
                key = self.keys.owned_by(owner)
                value = {"by": writer.name, "number": 0.1}
                stored = writer.call("cache.put", {"key": key, "value": value})
                self.assertIs(stored["stored"], True)
                for reader in self.nodes:
                    self.assertEqual(reader.call("cache.get", {"key": key}),
                                     {"found": True, "value": value, "cas": stored["cas"]})

    def test_value_texts_cross_the_cluster_byte_for_byte(self):
        texts = ["1e400", "0.1000", "-0", "123456789012345678901234567890", '"\\u00e9\\/😀"', '{"a" : {"b":[null,1E5]}}',
                 "[1.0, 2e-0,\t\"\\n\"]"]
        for text in texts:
            for owner in self.nodes:
                key = self.keys.owned_by(owner)
                for writer in self.nodes:
                    self.put_text(writer, key, text)
                    for reader in self.nodes:
                        body = self.raw_get(reader, key).body.decode()
                        self.assertIn('"value":%s,' % text, body)

    def test_an_id_comes_back_byte_for_byte_when_the_call_was_forwarded(self):
        for identifier in ('"a\\u0041\\/"', "1.50e0", "null", "-0", '""'):
            for key in self.keys.of_each():
                body = self.nodes[0].post(('{"jsonrpc":"2.0","id":%s,"method":"cache.get","params":["%s"]}'
                                           % (identifier, key)).encode()).body.decode()
                self.assertIn('"id":%s,' % identifier, body.replace("}", ","))

    def test_modes_conditions_and_deletes_hold_through_any_node(self):
        for key in self.keys.of_each():
            first, second, third = self.random.sample(self.nodes, 3)
            self.assertEqual(first.call("cache.put", {"key": key, "value": 1, "mode": "replace"})["reason"], "notFound")
            cas = second.call("cache.put", {"key": key, "value": 1, "mode": "add"})["cas"]
            refused = third.call("cache.put", {"key": key, "value": 2, "mode": "add"})
            self.assertEqual((refused["stored"], refused["reason"]), (False, "exists"))
            refused = third.call("cache.put", {"key": key, "value": 2, "ifMatch": "1"})
            self.assertEqual((refused["stored"], refused["reason"]), (False, "casMismatch"))
            newer = first.call("cache.put", {"key": key, "value": 2, "ifMatch": cas})
            self.assertGreater(int(newer["cas"]), int(cas))
            self.assertEqual(second.call("cache.get", {"key": key, "ifNoneMatch": newer["cas"]}),
                             {"found": True, "notModified": True, "cas": newer["cas"]})
            self.assertIs(second.call("cache.delete", {"key": key, "ifMatch": cas})["deleted"], False)
            self.assertIs(third.call("cache.delete", {"key": key, "ifMatch": newer["cas"]})["deleted"], True)
            self.assertEqual(first.call("cache.delete", {"key": key}), {"deleted": False, "reason": "notFound"})
            self.assertEqual(first.call("cache.get", {"key": key}), {"found": False})

    def test_increments_through_all_nodes_add_up(self):
        for key in self.keys.of_each():
            self.assertIs(self.nodes[0].call("cache.incr", {"key": key})["found"], False)
            self.assertEqual(self.nodes[1].call("cache.incr", {"key": key, "initial": 5})["value"], 5)
            for number in range(6, 21):
                self.assertEqual(self.nodes[number % 3].call("cache.incr", {"key": key})["value"], number)
            self.assertEqual(self.nodes[2].call("cache.incr", {"key": key, "delta": -30})["value"], -10)

    def test_times_to_live_are_set_touched_and_end_everywhere(self):
        keys = self.keys.of_each()
        for key in keys:
            self.nodes[0].call("cache.put", {"key": key, "value": 1, "ttlMs": 60_000})
            self.assertEqual(self.nodes[1].call("cache.touch", {"key": key, "ttlMs": 500_000}), {"found": True})
            left = self.nodes[2].call("cache.get", {"key": key, "fields": ["ttlMs"]})["ttlMs"]
            self.assertTrue(490_000 < left <= 500_000, left)
            self.nodes[1].call("cache.touch", {"key": key, "ttlMs": 200})
        self.assertEqual(self.nodes[0].call("cache.touch", {"key": "never there", "ttlMs": 5}), {"found": False})
        time.sleep(0.3)
        for node in self.nodes:
            for key in keys:
                self.assertEqual(node.call("cache.get", {"key": key}), {"found": False})

    # Many keys

    def test_many_keys_of_all_owners_come_in_the_order_asked(self):
        for node in self.nodes:
            keys = self.keys.of_each(20)
            self.random.shuffle(keys)
            stored = node.call("cache.putMany", {"items": [{"key": key, "value": key} for key in keys]})["items"]
            self.assertEqual([item["stored"] for item in stored], [True] * len(keys))
            asked = keys + ["never there"] + keys[:5]
            self.random.shuffle(asked)
            for reader in self.nodes:
                items = reader.call("cache.getMany", {"keys": asked})["items"]
                self.assertEqual([item.get("value") for item in items],
                                 [key if key != "never there" else None for key in asked])
            owners = node.call("cache.getMany", {"keys": keys[:9], "fields": ["owner"]})["items"]
            self.assertEqual([item["owner"] for item in owners], [owner_of(node, key) for key in keys[:9]])
            gone = self.nodes[0].call("cache.deleteMany", {"keys": keys[:30] + ["never there"]})["items"]
            self.assertEqual([item["deleted"] for item in gone], [True] * 30 + [False])
            items = self.nodes[1].call("cache.getMany", {"keys": keys})["items"]
            self.assertEqual([item["found"] for item in items], [False] * 30 + [True] * 30)

    def test_put_many_tells_each_items_outcome(self):
        keys = self.keys.of_each(4)
        self.nodes[0].call("cache.putMany", {"items": [{"key": key, "value": 1} for key in keys[::2]]})
        items = [{"key": key, "value": 2, "mode": "add"} for key in keys]
        outcomes = self.nodes[1].call("cache.putMany", {"items": items})["items"]
        self.assertEqual([item["stored"] for item in outcomes], [False, True] * 6)
        self.assertEqual({item["reason"] for item in outcomes[::2]}, {"exists"})

    def test_a_batch_over_all_owners_is_answered_in_order(self):
        for node in self.nodes:
            keys = self.keys.of_each(50)
            self.random.shuffle(keys)
            batch, expected = [], []
            for number, key in enumerate(keys):
                batch.append(call(number, "cache.put", {"key": key, "value": number}))
                batch.append(call(None, "cache.incr", {"key": key}))  # a notification: done, not answered
                batch.append(call("get %d" % number, "cache.get", {"key": key, "fields": ["value"]}))
                expected += [number, "get %d" % number]
            batch += [call("wrong", "cache.get", {"key": ""}), call("none", "cache.nonsense", {}), 7]
            replies = json.loads(node.post(json.dumps(batch).encode(), timeout=20).body)
            self.assertEqual([reply["id"] for reply in replies], expected + ["wrong", "none", None])
            for number in range(len(keys)):
                self.assertIs(replies[2 * number]["result"]["stored"], True)
            # Calls of one batch on one key take effect in their order.
            self.assertEqual([reply["result"]["value"] for reply in replies[1:300:2]], list(range(1, 151)))
            self.assertEqual([reply["error"]["code"] for reply in replies[300:]], [1004, -32601, -32600])

    def test_the_largest_batch_goes_through_any_node(self):
        keys = ["big-%d" % number for number in range(500)]
        for node in self.nodes:
            batch = [call(number, "cache.put", {"key": key, "value": node.name}) for number, key in enumerate(keys)]
            batch += [call(500 + number, "cache.get", [key]) for number, key in enumerate(keys)]
            replies = json.loads(node.post(json.dumps(batch).encode(), timeout=20).body)
            self.assertEqual([reply["id"] for reply in replies], list(range(1000)))
            self.assertEqual({reply["result"]["value"] for reply in replies[500:]}, {node.name})
            with self.assertRaises(RPCError) as caught:
                node.call("cache.getMany", {"keys": ["k"] * 1001})
            self.assertEqual(caught.exception.code, -32010)

    def test_notifications_are_carried_out_by_the_owner_and_not_answered(self):
        keys = self.keys.of_each(2)
        for key in keys:
            response = self.nodes[0].post(json.dumps(call(None, "cache.put", {"key": key, "value": 1})).encode())
            self.assertEqual((response.status, response.body), (204, b""))
            response = self.nodes[1].post(json.dumps([call(None, "cache.incr", {"key": key})] * 3).encode())
            self.assertEqual((response.status, response.body), (204, b""))
        for key in keys:
            eventually("the notifications took effect",
                       lambda: self.nodes[2].call("cache.get", {"key": key}).get("value") == 4, 2)

    # Large values

    def test_compressed_values_come_through_every_node_with_and_without_gzip(self):
        text = json.dumps([{"line": number, "text": "all work and no play"} for number in range(4000)])[:-1]
        text += ', "%s"]' % ("x" * (205_000 - len(text)))
        for owner in self.nodes:
            key = self.keys.owned_by(owner)
            for writer in self.nodes:
                self.put_text(writer, key, text)
                for reader in self.nodes:
                    plain = self.raw_get(reader, key)
                    self.assertNotIn("content-encoding", plain.headers)
                    self.assertIn('"value":%s' % text, plain.body.decode())
                    packed = self.raw_get(reader, key, {"Accept-Encoding": "gzip"})
                    self.assertEqual(packed.headers.get("content-encoding"), "gzip")
                    self.assertLess(len(packed.body), 40_000)
                    self.assertIn('"value":%s' % text, gzip.decompress(packed.body).decode())

    def test_values_that_do_not_compress_come_through_every_node(self):
        text = json.dumps("".join(self.random.choices(string.ascii_letters + string.digits, k=200_000)))
        for key in self.keys.of_each():
            self.put_text(self.nodes[0], key, text, {"Content-Encoding": "gzip"})
            for reader in self.nodes:
                self.assertIn(text, self.raw_get(reader, key).body.decode())
                packed = self.raw_get(reader, key, {"Accept-Encoding": "gzip"})
                body = gzip.decompress(packed.body) if "content-encoding" in packed.headers else packed.body
                self.assertIn(text, body.decode())

    def test_large_values_of_all_owners_come_in_one_call(self):
        keys = self.keys.of_each(2)
        values = {key: [key] * 15_000 for key in keys}
        for key in keys:
            self.nodes[0].call("cache.put", {"key": key, "value": values[key]})
        for node in self.nodes:
            items = node.call("cache.getMany", {"keys": keys})["items"]
            self.assertEqual([item["value"] for item in items], [values[key] for key in keys])
            request = json.dumps(call(1, "cache.getMany", {"keys": keys})).encode()
            packed = node.post(request, {"Accept-Encoding": "gzip"})
            self.assertEqual(packed.headers.get("content-encoding"), "gzip")
            items = json.loads(gzip.decompress(packed.body))["result"]["items"]
            self.assertEqual([item["value"] for item in items], [values[key] for key in keys])

    # Errors

    def test_wrong_calls_get_the_same_errors_through_any_node(self):
        for key in self.keys.of_each():
            self.nodes[0].call("cache.put", {"key": key, "value": "text"})
            wrong = [
                ("cache.get", {"key": key, "nonsense": 1}), ("cache.get", {}), ("cache.get", {"key": 7}),
                ("cache.get", {"key": ""}), ("cache.get", {"key": key + "x" * 5000}),
                ("cache.get", {"key": key, "fields": ["nonsense"]}), ("cache.get", [key, None, None, None]),
                ("cache.put", {"key": key}), ("cache.put", {"key": key, "value": 1, "ttlMs": -1}),
                ("cache.put", {"key": key, "value": 1, "mode": "nonsense"}),
                ("cache.put", {"key": key, "value": 1, "ifMatch": 7}),
                ("cache.incr", {"key": key}), ("cache.incr", {"key": key, "delta": 1.5}),
                ("cache.incr", {"key": key, "delta": 1 << 64}), ("cache.touch", {"key": key}),
                ("cache.getMany", {"keys": [key, ""]}), ("cache.getMany", {"keys": key}),
                ("cache.putMany", {"items": [{"key": key, "value": 1}, {"key": key}]}),
                ("cache.deleteMany", {"keys": [7]}), ("cache.nonsense", {"key": key}),
                ("cluster.owner", {}), ("cluster.owner", {"key": ""}), ("cluster.connect", {"address": 7}),
            ]
            for method, params in wrong:
                with self.subTest(method=method, params=str(params)[:80]):
                    answers = []
                    for node in self.nodes:
                        with self.assertRaises(RPCError) as caught:
                            node.call(method, params)
                        error = caught.exception.error
                        self.assertIn(error["data"].pop("node"), [other.name for other in self.nodes])
                        answers.append(error)
                    self.assertEqual([answers[0]] * 3, answers)
            self.assertEqual(self.nodes[1].call("cache.get", {"key": key})["value"], "text")

    def test_bodies_that_are_no_calls_get_the_same_answers_through_any_node(self):
        for body in (b"{", b"[]", b"7", b'{"jsonrpc":"1.0","id":1,"method":"cache.get","params":["k"]}', b'["\xff"]',
                     b'{"jsonrpc":"2.0","id":1,"method":"cache.put","params":{"key":"k","value":"\\ud800"}}',
                     b"[" * 200 + b"]" * 200):
            answers = []
            for node in self.nodes:
                response = node.post(body)
                answers.append((response.status, response.body.replace(b'"node":"%s"' % node.name.encode(), b"")))
            self.assertEqual([answers[0]] * 3, answers, body)

    # Everything

    def test_flush_clears_every_node(self):
        keys = fill(self.nodes[0], 300)
        self.assertEqual(missing(self.nodes[1], keys), [])
        before = sum(node.call("node.stats")["currItems"] for node in self.nodes)
        removed = self.nodes[2].call("cache.flush")["removed"]
        self.assertTrue(300 <= removed <= before, "%d removed of %d" % (removed, before))
        for node in self.nodes:
            self.assertEqual(node.call("node.stats")["currItems"], 0)
            self.assertEqual(len(missing(node, keys)), 300)
        # What is written afterwards stays.
        self.assertEqual(missing(self.nodes[1], fill(self.nodes[2], 100)), [])

    def put_text(self, node, key, text, headers=None):
        request = '{"jsonrpc":"2.0","id":1,"method":"cache.put","params":{"key":"%s","value":%s}}' % (key, text)
        body = gzip.compress(request.encode()) if headers else request.encode()
        self.assertIn(b'"stored":true', node.post(body, headers).body)

    @staticmethod
    def raw_get(node, key, headers=None):
        return node.post(json.dumps(call(1, "cache.get", {"key": key})).encode(), headers)


class ThreeNodesWithJournals(ThreeNodes):
    """The same with `[journal] enabled = True`: replies that wait for the disk keep their order, too."""

    journal = True


def call(identifier, method, params):
    """A request object; with None as its id a notification."""
    request = {"jsonrpc": "2.0", "method": method, "params": params}
    return request if identifier is None else {**request, "id": identifier}


if __name__ == "__main__":
    unittest.main()
