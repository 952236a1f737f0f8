"""Keys by their owner, and many keys at once that can be counted afterwards."""


class Keys:
    """Fresh keys by their owner."""

    def __init__(self, cluster, prefix="key"):
        self.cluster, self.prefix, self.count = cluster, prefix, 0
        self.spare = {node.name: [] for node in cluster.nodes}

    def owned_by(self, node):
        while not self.spare[node.name]:
            node.assert_lives()
            key = "%s-%d" % (self.prefix, self.count)
            self.count += 1
            self.spare[owner_of(self.cluster.living()[0], key)].append(key)
        return self.spare[node.name].pop()

    def of_each(self, count=1):
        """Keys of all owners in turn."""
        return [self.owned_by(node) for _ in range(count) for node in self.cluster.living()]


def owner_of(node, key):
    return node.call("cluster.owner", {"key": key})["owner"]


def fill(node, count, prefix="fill", size=100):
    """Keys of all owners, written in large calls."""
    keys = ["%s-%d" % (prefix, number) for number in range(count)]
    for start in range(0, count, 100):
        items = [{"key": key, "value": key + "x" * size} for key in keys[start:start + 100]]
        result = node.call("cache.putMany", {"items": items}, timeout=20)
        assert all(item["stored"] is True for item in result["items"]), result
    return keys


def missing(node, keys, size=100):
    """Those of the keys that `fill` wrote whose value does not come through the node."""
    lost = []
    for start in range(0, len(keys), 100):
        chunk = keys[start:start + 100]
        items = node.call("cache.getMany", {"keys": chunk}, timeout=20)["items"]
        lost += [key for key, item in zip(chunk, items) if item.get("value") != key + "x" * size]
    return lost
