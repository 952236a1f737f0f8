"""The checker finds each kind of violation, and nothing in histories that are right."""

import random
import unittest

import checker
from checker import DELETE, INCR, PUT, History, check


def history(*events):
    """("w", kind, value, invoked, returned or None[, answer[, cas]]) and ("r", value, invoked, returned) of key k."""
    result = History()
    for event in events:
        if event[0] == "r":
            result.read("k", event[2], event[1], "n1", at=event[3])
            continue
        _, kind, value, invoked, returned, *answer = event
        write = result.invoke("k", kind, value, at=invoked)
        if returned is None:
            write.abandon(at=invoked + 0.5)
        else:
            default = {PUT: True, INCR: value, DELETE: True}[kind]
            write.acknowledge(answer[0] if answer else default, answer[1] if len(answer) > 1 else None, at=returned)
    return result


class Checker(unittest.TestCase):
    def kinds(self, *events, **options):
        return [violation.kind for violation in check(history(*events), **options)]

    def test_a_read_sees_the_last_acknowledged_write(self):
        self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("r", 1, 2, 3)), [])

    def test_an_empty_key_is_a_miss(self):
        self.assertEqual(self.kinds(("r", None, 2, 3)), [])

    def test_a_lost_write_is_found(self):
        self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("r", None, 2, 3)), [checker.LOST])
        self.assertEqual(self.kinds(("w", DELETE, None, 0, 1, False), ("w", PUT, 1, 2, 3), ("r", None, 4, 5)),
                         [checker.LOST])

    def test_a_stale_read_is_found(self):
        self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("w", PUT, 2, 2, 3), ("r", 1, 4, 5)), [checker.STALE])

    def test_an_undone_delete_is_found(self):
        self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("w", DELETE, None, 2, 3), ("r", 1, 4, 5)), [checker.UNDONE])

    def test_a_value_that_was_never_written_is_found(self):
        self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("r", 7, 2, 3)), [checker.PHANTOM])
        self.assertEqual(self.kinds(("r", 1, 2, 3)), [checker.PHANTOM])
        self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("r", "rubbish", 2, 3)), [checker.PHANTOM])

    def test_a_value_read_before_it_was_written_is_found(self):
        self.assertEqual(self.kinds(("r", 1, 0, 1), ("w", PUT, 1, 2, 3)), [checker.PHANTOM])

    def test_a_read_beside_a_write_may_see_either(self):
        for value in (1, 2):
            self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("w", PUT, 2, 2, 5), ("r", value, 3, 4)), [])
        for value in (1, None):
            self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("w", DELETE, None, 2, 5), ("r", value, 3, 4)), [])

    def test_a_read_beside_several_writes_may_see_any_of_them(self):
        writes = [("w", PUT, 1, 0, 1), ("w", PUT, 2, 3, 4), ("w", DELETE, None, 5, 6), ("w", PUT, 3, 7, 8)]
        for value in (1, 2, None, 3):
            self.assertEqual(self.kinds(*writes, ("r", value, 2, 9)), [])
        self.assertEqual(self.kinds(*writes, ("r", 1, 5, 9)), [checker.STALE])
        self.assertEqual(self.kinds(*writes, ("r", None, 2, 4.5)), [checker.LOST])
        self.assertEqual(self.kinds(*writes, ("r", 3, 2, 6.5)), [checker.PHANTOM])

    def test_an_unacknowledged_last_write_may_or_may_not_have_happened(self):
        for value in (1, 2):
            self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("w", PUT, 2, 2, None), ("r", value, 8, 9)), [])
        for value in (1, None):
            self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("w", DELETE, None, 2, None), ("r", value, 8, 9)), [])

    def test_it_may_not_bring_back_what_was_there_before(self):
        writes = [("w", PUT, 1, 0, 1), ("w", PUT, 2, 2, 3), ("w", PUT, 3, 4, None)]
        self.assertEqual(self.kinds(*writes, ("r", 1, 8, 9)), [checker.STALE])
        self.assertEqual(self.kinds(*writes, ("r", None, 8, 9)), [checker.LOST])

    def test_an_unacknowledged_write_may_take_effect_late(self):
        writes = [("w", PUT, 1, 0, None), ("w", PUT, 2, 2, 3)]
        self.assertEqual(self.kinds(*writes, ("r", 2, 4, 5), ("r", 1, 6, 7), ("r", 2, 8, 9)), [])
        writes = [("w", PUT, 1, 0, 1), ("w", DELETE, None, 2, None), ("w", PUT, 2, 4, 5)]
        self.assertEqual(self.kinds(*writes, ("r", None, 6, 7)), [])
        self.assertEqual(self.kinds(*writes, ("r", 1, 6, 7)), [checker.STALE])

    def test_a_write_that_was_seen_and_is_gone_is_found(self):
        writes = [("w", PUT, 1, 0, 1), ("w", PUT, 2, 2, None)]
        self.assertEqual(self.kinds(*writes, ("r", 2, 4, 5), ("r", 1, 6, 7)), [checker.WENT_BACK])
        self.assertEqual(self.kinds(*writes, ("r", 2, 4, 7), ("r", 1, 6, 8)), [])
        writes = [("w", PUT, 1, 0, 1), ("w", PUT, 2, 2, 20)]
        self.assertEqual(self.kinds(*writes, ("r", 2, 4, 5), ("r", 1, 6, 7)), [checker.WENT_BACK])
        writes = [("w", PUT, 1, 0, 1), ("w", DELETE, None, 2, None)]
        self.assertEqual(self.kinds(*writes, ("r", None, 4, 5), ("r", 1, 6, 7)), [checker.WENT_BACK])

    def test_a_wrong_increment_is_found(self):
        writes = [("w", INCR, 10, 0, 1), ("w", INCR, 11, 2, 3)]
        self.assertEqual(self.kinds(*writes, ("w", INCR, 12, 4, 5), ("r", 12, 6, 7)), [])
        self.assertEqual(self.kinds(*writes, ("w", INCR, 12, 4, 5, 13)), [checker.ANSWER])
        self.assertEqual(self.kinds(*writes, ("w", INCR, 12, 4, 5, 11), ("r", 11, 6, 7)), [checker.ANSWER])
        self.assertEqual(self.kinds(*writes, ("w", INCR, 12, 4, None), ("w", INCR, 13, 6, 7, 12)), [])

    def test_a_delete_that_missed_or_hit_wrongly_is_found(self):
        self.assertEqual(self.kinds(("w", PUT, 1, 0, 1), ("w", DELETE, None, 2, 3, False)), [checker.ANSWER])
        self.assertEqual(self.kinds(("w", DELETE, None, 2, 3, True)), [checker.ANSWER])
        self.assertEqual(self.kinds(("w", PUT, 1, 0, None), ("w", DELETE, None, 2, 3, False)), [])

    def test_a_version_that_does_not_grow_is_found(self):
        self.assertEqual(self.kinds(("w", PUT, 1, 0, 1, True, 100), ("w", PUT, 2, 2, 3, True, 101)), [])
        self.assertEqual(self.kinds(("w", PUT, 1, 0, 1, True, 100), ("w", PUT, 2, 2, 3, True, 100)),
                         [checker.VERSION])

    def test_exempt_reads_may_be_old_but_not_invented(self):
        writes = [("w", PUT, 1, 0, 1), ("w", PUT, 2, 2, 3)]
        self.assertEqual(self.kinds(*writes, ("r", 1, 4, 5), is_exempt=lambda read: read.via == "n1"), [])
        self.assertEqual(self.kinds(*writes, ("r", 1, 4, 5), is_exempt=lambda read: read.via == "n2"),
                         [checker.STALE])
        self.assertEqual(self.kinds(*writes, ("r", 7, 4, 5), is_exempt=lambda read: True), [checker.PHANTOM])

    def test_with_a_lag_reads_may_be_old_for_so_long_and_no_longer(self):
        writes = ("w", PUT, 1, 0, 1), ("w", PUT, 2, 2, 3)
        self.assertEqual(self.kinds(*writes, ("r", 1, 3.5, 3.6), lag=1.0), [])
        self.assertEqual(self.kinds(*writes, ("r", 1, 4.5, 4.6), lag=1.0), [checker.STALE])

    def test_a_history_that_cannot_be_judged_is_refused(self):
        log = History()
        log.invoke("k", PUT, 1)
        with self.assertRaises(ValueError):
            log.invoke("k", PUT, 2)
        log = history(("w", PUT, 2, 0, 1))
        with self.assertRaises(ValueError):
            log.invoke("k", PUT, 2)

    def test_it_agrees_with_a_store_that_is_right_and_catches_one_that_forgets(self):
        """Random histories of a real register: never a violation. The same with one read falsified: always one."""
        for seed in range(300):
            rng = random.Random(seed)
            log, values = self.random_history(rng)
            self.assertEqual(check(log), [], "seed %d" % seed)
            wrong = rng.choice([value for value in [None, 10 ** 9] + values if value != values[-1]])
            log.read("k", 1e6, wrong, "n1", at=1e6 + 1)
            self.assertNotEqual(check(log), [], "seed %d" % seed)

    @staticmethod
    def random_history(rng):
        """A register whose writes take effect somewhere between invocation and return, and reads likewise."""
        log, effects, now = History(), [(0.0, None)], 0.0
        number = 0
        for _ in range(rng.randrange(2, 15)):
            invoked = now + rng.random()
            effect = invoked + rng.random()
            now = effect + rng.random()
            is_present = effects[-1][1] is not None
            number += 1
            if is_present and rng.random() < 0.3:
                write, value = log.invoke("k", DELETE, at=invoked), None
            else:
                write, value = log.invoke("k", PUT, number, at=invoked), number
            effects.append((effect, value))
            write.acknowledge(True, at=now)
        for _ in range(rng.randrange(1, 20)):
            invoked = rng.random() * (now + 2)
            effect = invoked + rng.random()
            value = [value for at, value in effects if at <= effect][-1]
            log.read("k", invoked, value, "n1", at=effect + rng.random())
        return log, [value for _, value in effects]


if __name__ == "__main__":
    unittest.main()
