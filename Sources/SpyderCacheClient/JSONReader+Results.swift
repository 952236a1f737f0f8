// The results of the cache's methods. Nil means that a result does not have the shape the method promises.

import JSONRPC

/// What `cache.get` says of a key.
enum Lookup {
    case miss
    case hit(CacheItem)

    var item: CacheItem? {
        switch self {
        case .miss: nil
        case .hit(let item): item
        }
    }
}

/// What `cache.incr` says of a key.
enum Count {
    case miss
    case counted(CounterValue)

    var value: CounterValue? {
        switch self {
        case .miss: nil
        case .counted(let value): value
        }
    }
}

extension JSONReader {
    func lookup(_ result: JSONValue) -> Lookup? {
        guard let found = self.flag("found", of: result) else { return nil }
        guard found else { return .miss }
        guard let value = self.member("value", of: result), let version = self.cas(of: result) else { return nil }
        return .hit(CacheItem(value: self.text(of: value), version: version))
    }

    func counter(_ result: JSONValue) -> Count? {
        guard let found = self.flag("found", of: result) else { return nil }
        guard found else { return .miss }
        guard let value = self.member("value", of: result).flatMap({ self.integer($0) }),
            let version = self.cas(of: result)
        else { return nil }
        return .counted(CounterValue(value: value, version: version))
    }

    func putOutcome(_ result: JSONValue) -> PutOutcome? {
        guard let stored = self.flag("stored", of: result) else { return nil }
        if stored { return self.cas(of: result).map { .stored($0) } }
        return self.reason(of: result)
            .flatMap { PutOutcome.Reason(rawValue: $0) }
            .map { .notStored($0, version: self.cas(of: result)) }
    }

    func deleteOutcome(_ result: JSONValue) -> DeleteOutcome? {
        guard let deleted = self.flag("deleted", of: result) else { return nil }
        if deleted { return .deleted }
        switch self.reason(of: result) {
        case nil, "notFound": return .notFound
        case "casMismatch": return .casMismatch(self.cas(of: result))
        case .some: return nil
        }
    }

    /// The outcomes of a many-key call; nil unless there are `count`, each of which `read` understands.
    func items<Outcome>(
        _ result: JSONValue,
        count: Int,
        _ read: (JSONReader, JSONValue) -> Outcome?
    ) -> [Outcome]? {
        guard let list = self.member("items", of: result), let elements = self.elements(of: list) else { return nil }
        let outcomes = elements.compactMap { read(self, $0) }
        return elements.count == count && outcomes.count == count ? outcomes : nil
    }

    func flag(_ name: StaticString, of result: JSONValue) -> Bool? {
        self.member(name, of: result).flatMap { self.bool($0) }
    }

    private func cas(of result: JSONValue) -> CacheVersion? {
        self.member("cas", of: result).flatMap { self.version($0) }
    }

    private func reason(of result: JSONValue) -> String? {
        self.member("reason", of: result).flatMap { self.string($0) }
    }
}
