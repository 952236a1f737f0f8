// Writes: put, remove, touch.

extension Store {
    /// Stores `value` under `key` when `condition` holds. A new value starts with no hits; an overwrite counts as a use.
    ///
    /// Makes room by evicting, in the policy's order, as far as limits ask for it. O(bytes), plus the cleaner's share.
    package mutating func put(
        _ key: UnsafeRawBufferPointer, hash: KeyHash, value: UnsafeRawBufferPointer, form: StoredForm,
        expiry: PutExpiry, version: UInt64, condition: PutCondition, now: Int64
    ) -> PutOutcome {
        let existing = lookup(key, hash, now)
        if let refusal = refusal(of: condition, existing, version) { return refusal }
        let deadline = deadline(expiry, existing)
        let shape = RecordShape(
            keyBytes: key.count, valueBytes: value.count, isDeflated: form != .plain, isExpiring: deadline != .max)
        guard value.count <= RecordShape.maxValueBytes, key.count <= RecordShape.maxKeyBytes,
            deadline == .max || wheel.prepare()
        else { return refused() }
        guard
            let address = place(
                key, hash, shape, existing, now,
                write: { record in
                    record.write(
                        shape, key: key, value: value, form: form, version: version, deadline: deadline,
                        tick: Self.tick(now))
                })
        else { return refused() }
        if deadline != .max { wheel.insert(address, in: arena) }
        payloadBytes += key.count + value.count
        counters.totalItems &+= 1
        payForCleaning()
        return .stored
    }

    /// Removes the entry under `key`, if `ifVersion` is nil or its version.
    package mutating func remove(
        _ key: UnsafeRawBufferPointer, hash: KeyHash, ifVersion: UInt64?, now: Int64
    ) -> RemoveOutcome {
        guard let address = lookup(key, hash, now) else {
            counters.removeMisses &+= 1
            return .notFound
        }
        let version = arena.record(at: address).version
        if let ifVersion, ifVersion != version { return .versionMismatch(version: version) }
        discard(address, hash: hash)
        counters.removeHits &+= 1
        payForCleaning()
        return .removed
    }

    /// Sets the expiry, and the version if one is given, of the entry under `key`; counts as a use.
    package mutating func touch(
        _ key: UnsafeRawBufferPointer, hash: KeyHash, expiry: PutExpiry, version: UInt64?, now: Int64
    ) -> TouchOutcome {
        guard var address = lookup(key, hash, now) else {
            counters.touchMisses &+= 1
            return .notFound
        }
        let deadline = deadline(expiry, address)
        if deadline != .max && !arena.record(at: address).isExpiring {
            guard let moved = addExpiryFields(address, key, hash, now) else { return .memoryFull }
            address = moved
        } else {
            policy.used(address, in: arena)
        }
        let record = arena.record(at: address)
        if record.isExpiring && record.deadline != deadline {
            if record.deadline != .max { wheel.remove(address, in: arena) }
            record.deadline = deadline
            if deadline != .max { wheel.insert(address, in: arena) }
        }
        record.lastAccess = Self.tick(now)
        if let version { record.version = version }
        counters.touchHits &+= 1
        payForCleaning()
        return .touched
    }

    private func refusal(
        of condition: PutCondition, _ existing: EntryAddress?, _ newVersion: UInt64
    ) -> PutOutcome? {
        let version = existing.map { arena.record(at: $0).version }
        switch condition {
        case .always: return nil
        case .ifAbsent: return version.map { .exists(version: $0) }
        case .ifPresent: return version == nil ? .notFound : nil
        case .ifVersion(let wanted):
            guard let version else { return .notFound }
            return version == wanted ? nil : .versionMismatch(version: version)
        case .ifNewer:
            guard let version, version >= newVersion else { return nil }
            return .exists(version: version)
        }
    }

    private func deadline(_ expiry: PutExpiry, _ existing: EntryAddress?) -> Int64 {
        switch expiry {
        case .never: .max
        case .at(let deadline): max(deadline, 0)
        case .keep: existing.map { arena.record(at: $0).deadline } ?? .max
        }
    }

    private mutating func refused() -> PutOutcome {
        counters.refused &+= 1
        return .memoryFull
    }

    /// Finds the place for a record of `shape` under `key`, in that of `existing` where it fits exactly, has it written,
    /// and leaves it in the index and the policy's order, but not in the wheel; nil when there is no room for it.
    private mutating func place(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ shape: RecordShape, _ existing: EntryAddress?, _ now: Int64,
        write: (EntryRecord) -> Void
    ) -> EntryAddress? {
        let bytes = arena.capacity(for: shape.bytes)
        guard couldHold(bytes) else { return nil }
        if let existing {
            // Used first: making room below then spares it as long as there is another entry.
            policy.used(existing, in: arena)
            let occupied = arena.capacity(of: existing)
            if occupied == bytes {
                retire(existing)
                write(arena.record(at: existing))
                return existing
            }
            guard admit(bytes, replacing: occupied, now: now) else { return nil }
            if existing.isLarge && !fits(bytes) {
                // Both at once would push out others for a moment's sake: the old one goes first.
                discard(existing, hash: hash)
            }
        } else {
            admitKey(now: now)
            guard admit(bytes, replacing: 0, now: now) else { return nil }
        }
        guard makeRoom(for: bytes, now: now) else { return nil }
        // Making room may have moved or evicted the entry to be replaced.
        let replaced = existing == nil ? nil : index.find(hash, key: key, in: arena)
        guard replaced != nil || index.prepare(hash, in: arena, hasher: hasher), let address = allocate(bytes) else {
            return nil
        }
        let record = arena.record(at: address)
        if let replaced {
            retire(replaced)
            let old = arena.record(at: replaced)
            (record.previous, record.next) = (old.previous, old.next)
            write(record)
            record.policyBits = old.policyBits
            index.replace(hash, replaced, with: address)
            policy.moved(from: replaced, to: address, in: arena)
            unpaidBytes += arena.kill(replaced)
        } else {
            write(record)
            index.insert(hash, address)
            policy.inserted(address, in: arena)
        }
        unpaidBytes += bytes
        return address
    }

    /// Takes a record that is about to be overwritten out of the sums and the wheel.
    private mutating func retire(_ address: EntryAddress) {
        let record = arena.record(at: address)
        if record.deadline != .max { wheel.remove(address, in: arena) }
        payloadBytes -= record.keyBytes + record.valueBytes
    }

    /// Copies an entry into a record with room for a deadline; nil, and nothing changed, when there is no memory.
    private mutating func addExpiryFields(
        _ address: EntryAddress, _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ now: Int64
    ) -> EntryAddress? {
        // The value may not stay where it is while room is made, so it is copied out: a first TTL by touch is rare.
        let old = arena.record(at: address)
        let (version, form, hits) = (old.version, old.form, old.hits)
        let shape = RecordShape(
            keyBytes: old.keyBytes, valueBytes: old.valueBytes, isDeflated: old.isDeflated, isExpiring: true)
        guard wheel.prepare() else { return nil }
        let value = UnsafeMutableRawBufferPointer.allocate(byteCount: old.valueBytes, alignment: 8)
        defer { value.deallocate() }
        value.copyMemory(from: old.value)
        let placed = place(key, hash, shape, address, now) { record in
            record.write(
                shape, key: key, value: UnsafeRawBufferPointer(value), form: form, version: version, deadline: .max,
                tick: 0)
            record.hits = hits
        }
        if placed != nil { payloadBytes += key.count + value.count }
        return placed
    }
}
