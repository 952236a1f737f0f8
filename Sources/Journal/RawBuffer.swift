// Growable bytes with manual memory: the one place of this module that owns unsafe memory.

/// A growable run of bytes, moved between threads but never shared.
///
/// `@unchecked Sendable`: the memory has exactly one owner (the type is not copyable), so handing it on is a move.
package struct RawBuffer: ~Copyable, @unchecked Sendable {
    package private(set) var count = 0
    private var storage: UnsafeMutableRawBufferPointer

    package init(capacity: Int = 0) {
        storage = .allocate(byteCount: max(capacity, 64), alignment: 16)
    }

    deinit { storage.deallocate() }

    package var capacity: Int { storage.count }

    /// The bytes so far; valid until the next mutation.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[0..<count]) }

    /// Makes room for `additional` more bytes; capacity at least doubles, so appending is O(1) amortised.
    package mutating func reserve(_ additional: Int) {
        guard count + additional > storage.count else { return }
        let grown = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(count + additional, storage.count * 2), alignment: 16)
        grown.copyMemory(from: bytes)
        storage.deallocate()
        storage = grown
    }

    /// Adds `additional` bytes and returns them for the caller to fill at once.
    package mutating func extend(by additional: Int) -> UnsafeMutableRawBufferPointer {
        reserve(additional)
        let added = UnsafeMutableRawBufferPointer(rebasing: storage[count..<count + additional])
        count += additional
        return added
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        extend(by: bytes.count).copyMemory(from: bytes)
    }

    /// Forgets the content; keeps the memory unless it has grown above `limit` bytes.
    package mutating func removeAll(keepingCapacityUpTo limit: Int = .max) {
        count = 0
        guard storage.count > limit else { return }
        storage.deallocate()
        storage = .allocate(byteCount: max(limit, 64), alignment: 16)
    }
}

extension UnsafeMutableRawBufferPointer {
    func store<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: Number.self)
    }
}

extension UnsafeRawBufferPointer {
    func number<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type = Number.self) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }

    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[range]) }
}
