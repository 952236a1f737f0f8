"""Judges what clients saw: no acknowledged write lost, no stale read, no delete undone.

Each key has one writer, which never has two writes of a key in flight; reads come from anywhere. The values a key is
given are integers that only grow. The writes of a key are then a sequence w1, w2, ..., and what a read may see follows
from four moments alone:

          w4 acknowledged                         w6 invoked
    ----------|--------- [ read ............ read ] ---|-----------> time
                   w5 invoked ...|

The read may see w4 (the last write acknowledged before the read began) or w5 (invoked before the read ended), nothing
older and nothing newer. A miss counts as the value of a delete, and of the time before w1.

A write without an acknowledgement (an error, a time-out) may take effect at any time after its invocation or never. The
check is therefore sharpest when a writer leaves a key alone after such a write; it stays sound when it does not.

A history is recorded by many threads, each time from the one monotonic clock of this process, and checked at the end.
"""

import bisect
import threading
import time
from collections import namedtuple

Violation = namedtuple("Violation", "kind key text")

# What a violation is; the texts say which value was seen and which one was due.
LOST = "acknowledged write lost"
STALE = "stale read"
UNDONE = "delete undone"
PHANTOM = "value never written"
ANSWER = "write answered wrongly"
VERSION = "cas did not grow"
WENT_BACK = "unacknowledged write seen and gone"

PUT, INCR, DELETE = "put", "incr", "delete"


class Write:
    """One write of one key. For an increment `value` is what it must return. `cas` is the version it was given."""

    __slots__ = ("key", "kind", "value", "invoked", "returned", "acknowledged", "answer", "cas", "via")

    def __init__(self, key, kind, value, invoked):
        self.key, self.kind, self.value, self.invoked = key, kind, value, invoked
        self.returned, self.acknowledged, self.answer, self.cas, self.via = None, False, None, None, None

    def acknowledge(self, answer, cas=None, via=None, at=None):
        """`answer`: the new value of an increment; of a delete, whether there was something to delete; else True."""
        self.answer, self.cas, self.via = answer, cas, via
        self.returned = time.monotonic() if at is None else at
        self.acknowledged = True

    def abandon(self, at=None):
        """No acknowledgement came: it may or may not have happened."""
        self.returned = time.monotonic() if at is None else at

    @property
    def is_as_expected(self):
        """An increment that returned something else did not make the expected value: one violation is enough."""
        return self.kind != INCR or self.answer == self.value

    def told(self):
        text = "%s of %s" % (self.kind, self.value) if self.kind != DELETE else "delete"
        return text + (" via %s" % self.via if self.via else "")


Read = namedtuple("Read", "key invoked returned value via")
Read.__doc__ = "`value` is None for a miss; anything that is no integer counts as never written. `via` names the node."


class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.writes, self.reads = {}, {}
        self.highest = {}

    def invoke(self, key, kind, value=None, at=None):
        """Call before the write is sent, then acknowledge() or abandon() what this returns."""
        write = Write(key, kind, value, time.monotonic() if at is None else at)
        with self.lock:
            writes = self.writes.setdefault(key, [])
            if writes and writes[-1].returned is None:
                raise ValueError("two writes of %r at once: the history could not be judged" % key)
            if value is not None and value <= self.highest.get(key, value - 1):
                raise ValueError("the values of %r do not grow" % key)
            self.highest[key] = value if value is not None else self.highest.get(key, 0)
            writes.append(write)
        return write

    def read(self, key, invoked, value, via=None, at=None):
        read = Read(key, invoked, time.monotonic() if at is None else at, value, via)
        with self.lock:
            self.reads.setdefault(key, []).append(read)

    def keys(self):
        with self.lock:
            return sorted(self.writes)

    def size(self):
        with self.lock:
            return sum(map(len, self.writes.values())), sum(map(len, self.reads.values()))


def check(history, is_exempt=lambda read: False, lag=0.0):
    """All violations. A read for which `is_exempt` may be old, but must still be of a value that was written.

    `lag`: how many seconds after its acknowledgement a write may not be seen yet, where nodes keep copies.
    """
    violations = []
    for key in sorted(set(history.writes) | set(history.reads)):
        writes, reads = history.writes.get(key, []), history.reads.get(key, [])
        violations += _Key(key, writes, lag).check(reads, is_exempt)
    return violations


def describe(violations, limit=12):
    """Violations for a human: how many of each kind, then the first ones."""
    counts = {}
    for violation in violations:
        counts[violation.kind] = counts.get(violation.kind, 0) + 1
    lines = ["%d violations: %s" % (len(violations), ", ".join("%d %s" % (n, kind) for kind, n in counts.items()))]
    lines += ["  %s: %s: %s" % violation for violation in violations[:limit]]
    return "\n".join(lines + (["  ..."] if len(violations) > limit else []))


class _Key:
    """The writes of one key by number, 0 being the time before the first."""

    def __init__(self, key, writes, lag):
        self.lag = lag
        self.key, self.writes = key, [None] + writes
        self.invocations = [write.invoked for write in writes]
        self.numbers = {write.value: number for number, write in enumerate(writes, 1) if write.kind != DELETE}
        acknowledged = [number for number, write in enumerate(writes, 1) if write.acknowledged and write.is_as_expected]
        self.acknowledged = acknowledged
        self.acknowledgements = [self.writes[number].returned for number in acknowledged]
        self.absent = [0] + [number for number, write in enumerate(writes, 1) if write.kind == DELETE]
        self.open = [number for number in range(1, len(self.writes)) if number not in set(acknowledged)]

    def check(self, reads, is_exempt):
        found = list(self._wrong_answers())
        sightings = []
        for read in reads:
            problem = self._problem(read, sightings)
            if problem and not (problem[0] != PHANTOM and is_exempt(read)):
                found.append(problem)
        if not self.lag:
            found += self._gone(sightings)
        return [Violation(kind, self.key, text) for kind, text in found]

    def _problem(self, read, sightings):
        """What is wrong with a read, looked at alone. A good one joins the sightings: (read, oldest, newest number)."""
        oldest, newest = self._due(read), bisect.bisect_right(self.invocations, read.returned)
        if read.value is None:
            absent = [number for number in self.absent if oldest <= number <= newest]
            if absent:
                sightings.append((read, absent[0], absent[-1]))
                return None
            if any(number <= newest and self.writes[number].kind == DELETE for number in self.open):
                return None
            return LOST, "a miss via %s after the acknowledged %s%s" % (read.via, self._told(oldest), _when(read))
        number = self.numbers.get(read.value) if isinstance(read.value, int) else None
        if number is None or number > newest:
            return PHANTOM, "%.100r via %s%s" % (read.value, read.via, _when(read))
        if number >= oldest:
            sightings.append((read, number, number))
            return None
        if number in self.open:
            return None
        kind = UNDONE if self.writes[oldest].kind == DELETE else STALE
        return kind, "%r via %s after the acknowledged %s%s" % (read.value, read.via, self._told(oldest), _when(read))

    def _due(self, read):
        """Number of the last write acknowledged before the read began."""
        count = bisect.bisect_left(self.acknowledgements, read.invoked - self.lag)
        return self.acknowledged[count - 1] if count else 0

    def _told(self, number):
        if number == 0:
            return "nothing"
        write = self.writes[number]
        return "%s (acknowledged at %.3f)" % (write.told(), write.returned)

    def _gone(self, sightings):
        """Reads that, one after the other, went back to before a write that was seen but not yet acknowledged."""
        if any(number < len(self.writes) - 1 for number in self.open):
            return  # an open write with successors may come and go
        ended = sorted(sightings, key=lambda sighting: sighting[0].returned)
        floor, next_ended = (0, None), 0
        for read, _, newest in sorted(sightings, key=lambda sighting: sighting[0].invoked):
            while next_ended < len(ended) and ended[next_ended][0].returned < read.invoked:
                floor = max(floor, (ended[next_ended][1], ended[next_ended][0]), key=lambda pair: pair[0])
                next_ended += 1
            if newest < floor[0]:
                yield WENT_BACK, "%r via %s%s, but %r via %s%s" % (
                    read.value, read.via, _when(read), floor[1].value, floor[1].via, _when(floor[1]))

    def _wrong_answers(self):
        """The writer knows what is there while each of its writes was acknowledged, and so what it must be told."""
        is_present, last_cas = False, None
        for write in self.writes[1:]:
            if not write.acknowledged:
                return  # from here on it does not know
            due = {PUT: True, INCR: write.value, DELETE: is_present}[write.kind]
            if write.answer != due:
                yield ANSWER, "%s returned %r instead of %r at %.3f" % (write.told(), write.answer, due, write.returned)
                return
            if write.cas is not None:
                if last_cas is not None and write.cas <= last_cas:
                    yield VERSION, "%s has %d after %d at %.3f" % (write.told(), write.cas, last_cas, write.returned)
                last_cas = write.cas
            is_present = write.kind != DELETE


def _when(read):
    return " (%.3f to %.3f)" % (read.invoked, read.returned)
