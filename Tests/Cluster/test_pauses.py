"""A coordinator that is stopped (SIGSTOP) while the others go on, and then continues: it must not believe its old view.

SPYDERCACHE_PAUSE_SECONDS (6) is how long it is stopped.
"""

import threading
import time
import unittest

import checker
from client import NoAnswer, RPCError
from cluster import FAST, ClusterTest, say, setting
from load import Load, decode

PAUSE_SECONDS = setting("PAUSE_SECONDS", 6.0)
# With min_replicas = 0 a node that comes back may answer from its own memory until it has met the others.
STALE_SECONDS = 5.0
EXCLUDED_SECONDS = (FAST["failure_ms"] + 2 * FAST["heartbeat_ms"]) / 1000


class Pauses(ClusterTest):
    def pause(self, is_stale_for=0.0, **network):
        cluster = self.cluster(3, network={"replicas": 1, **FAST, **network})
        cluster.start()
        load = Load(cluster.nodes, self.seed)
        load.fill(300)
        with load:
            time.sleep(0.3)
            paused = cluster.coordinator()
            others = cluster.others(paused)
            load.avoid(paused)
            paused.pause()
            # Calls that others had passed on to it may fail, until it is excluded and for as long as they wait for it.
            excluded = time.monotonic() + EXCLUDED_SECONDS
            cluster.wait_converged(others)
            self.assertNotEqual(others[0].call("cluster.status")["coordinator"], paused.name)
            time.sleep(PAUSE_SECONDS / 2)
            waiting = self.ask(paused, load)
            time.sleep(PAUSE_SECONDS / 2)
            self.assertEqual(paused.process_state(), "T", "the node was not stopped all the time")
            # It is asked like the others from the first moment on; its errors count once all are of one view again.
            resumed = time.monotonic()
            paused.resume()
            load.use(paused, for_writes=not is_stale_for)
            cluster.wait_converged(within=15)
            converged = time.monotonic()
            say("converged %.2f s after SIGCONT" % (converged - resumed))
            load.use(paused)
            for thread in waiting:
                thread.join()
            time.sleep(max(1, is_stale_for + 1 - (time.monotonic() - resumed)))

        def is_exempt(read):
            return resumed < read.returned and read.invoked < resumed + is_stale_for
        violations = load.verdict(cluster.nodes, is_exempt)
        granted = len(checker.check(load.history)) - len(checker.check(load.history, is_exempt))
        say("%s; %d old answers in the %g s granted" % (load.report(), granted, is_stale_for))
        self.assert_none(violations)
        errors = [str(error) for error in load.errors
                  if (excluded < error.invoked < resumed and error.node in others) or error.invoked > converged]
        self.assertEqual(errors, [], load.report())

    def ask(self, paused, load):
        """Reads that lie in the stopped node's sockets until it continues: sent after others overwrote what it has."""
        def read(key):
            client, invoked = paused.new_client(timeout=PAUSE_SECONDS + 15), time.monotonic()
            try:
                load.history.read(key, invoked, decode(key, client.call("cache.get", {"key": key})), paused.name)
            except (NoAnswer, RPCError):
                pass  # it may refuse
            finally:
                client.close()
        threads = [threading.Thread(target=read, args=(slot.key,)) for slots in load.slots for slot in slots[:6]]
        for thread in threads:
            thread.start()
        return threads

    def test_without_a_majority_rule_answers_are_current_soon_after(self):
        self.pause(is_stale_for=STALE_SECONDS)

    def test_with_the_majority_rule_no_answer_is_ever_old(self):
        self.pause(min_replicas=1)


if __name__ == "__main__":
    unittest.main()
