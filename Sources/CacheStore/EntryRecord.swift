// The bytes of one entry in the arena. A record is one contiguous run, aligned to 4 bytes:
//
//   0  previous        u32   neighbours in the eviction policy's list, as entry addresses
//   4  next            u32
//   8  version         u64
//  16  lastAccess      u32   16 ms ticks of the monotonic clock, wraps after 2 years
//  20  keyLength       u16
//  22  hits            u16   saturates
//  24  lengthAndFlags  u32   bits 0-26 stored length | 27-28 policy's own | 29 dead | 30 expiring | 31 deflated
//  28  when expiring:  deadline i64, wheelPrevious u32, wheelNext u32
//  ..  when deflated:  originalBytes u32, crc32 u32
//  ..  key, then value, then padding to the arena's granule
//
// There is no table of slots beside the records: the index and the lists hold addresses of records, and a record that
// moves has its index position found again by hashing its key. That saves the back pointer, the forward pointer and one
// cache miss a look-up against a slot array: 28 bytes and 2 misses instead of 36 bytes and 3. Entries without a
// deadline pay nothing for expiry, plain ones nothing for compression.
// A dead record keeps its lengths and flags, so that the cleaner can walk over it.

import Glibc

/// Where an entry lives: segment and granule, or the number of a region of its own. Changes when the cleaner moves it.
struct EntryAddress: Equatable, BitwiseCopyable, Sendable {
    var raw: UInt32

    /// No entry.
    static let none = EntryAddress(raw: .max)
    /// Set in addresses of entries that have a region of their own.
    static let largeBit: UInt32 = 1 << 31
    /// With `largeBit`: not an entry but a slot of the timing wheel (region numbers stay below this bit).
    static let wheelBit: UInt32 = 1 << 30

    var isLarge: Bool { raw & Self.largeBit != 0 }
}

/// The sizes of a record about to be written.
struct RecordShape {
    static let fixedBytes = 28
    static let expiryBytes = 16
    static let deflatedBytes = 8
    /// The longest value a record can hold, in stored bytes (128 MiB - 1).
    static let maxValueBytes = 1 << 27 - 1
    static let maxKeyBytes = Int(UInt16.max)

    let keyBytes: Int
    let valueBytes: Int
    let isDeflated: Bool
    let isExpiring: Bool

    /// Bytes of the whole record without padding.
    var bytes: Int {
        Self.fixedBytes + (isExpiring ? Self.expiryBytes : 0) + (isDeflated ? Self.deflatedBytes : 0) + keyBytes
            + valueBytes
    }
}

/// A view of one record's bytes; as short-lived as the address it came from.
struct EntryRecord {
    let base: UnsafeMutableRawPointer

    private enum Flags {
        static let length: UInt32 = 1 << 27 - 1
        static let policyShift: UInt32 = 27
        static let policy: UInt32 = 3 << 27
        static let dead: UInt32 = 1 << 29
        static let expiring: UInt32 = 1 << 30
        static let deflated: UInt32 = 1 << 31
    }

    var previous: EntryAddress {
        get { base.load(as: EntryAddress.self) }
        nonmutating set { base.storeBytes(of: newValue, as: EntryAddress.self) }
    }

    var next: EntryAddress {
        get { base.load(fromByteOffset: 4, as: EntryAddress.self) }
        nonmutating set { base.storeBytes(of: newValue, toByteOffset: 4, as: EntryAddress.self) }
    }

    var version: UInt64 {
        get { base.loadUnaligned(fromByteOffset: 8, as: UInt64.self) }
        nonmutating set { base.storeBytes(of: newValue, toByteOffset: 8, as: UInt64.self) }
    }

    var lastAccess: UInt32 {
        get { base.load(fromByteOffset: 16, as: UInt32.self) }
        nonmutating set { base.storeBytes(of: newValue, toByteOffset: 16, as: UInt32.self) }
    }

    var keyBytes: Int { Int(base.load(fromByteOffset: 20, as: UInt16.self)) }

    var hits: UInt16 {
        get { base.load(fromByteOffset: 22, as: UInt16.self) }
        nonmutating set { base.storeBytes(of: newValue, toByteOffset: 22, as: UInt16.self) }
    }

    private var lengthAndFlags: UInt32 {
        get { base.load(fromByteOffset: 24, as: UInt32.self) }
        nonmutating set { base.storeBytes(of: newValue, toByteOffset: 24, as: UInt32.self) }
    }

    var valueBytes: Int { Int(lengthAndFlags & Flags.length) }
    var isDead: Bool { lengthAndFlags & Flags.dead != 0 }
    var isExpiring: Bool { lengthAndFlags & Flags.expiring != 0 }
    var isDeflated: Bool { lengthAndFlags & Flags.deflated != 0 }

    /// Two bits that belong to the eviction policy; zero in a new record, kept when the record moves.
    var policyBits: UInt32 {
        get { (lengthAndFlags & Flags.policy) >> Flags.policyShift }
        nonmutating set { lengthAndFlags = (lengthAndFlags & ~Flags.policy) | ((newValue & 3) << Flags.policyShift) }
    }

    /// Marks the bytes as reclaimable; the cleaner skips them.
    func markDead() {
        assert(!isDead, "a record dies once")
        lengthAndFlags |= Flags.dead
    }

    var shape: RecordShape {
        RecordShape(keyBytes: keyBytes, valueBytes: valueBytes, isDeflated: isDeflated, isExpiring: isExpiring)
    }

    /// Monotonic milliseconds, `.max` = never.
    var deadline: Int64 {
        get { isExpiring ? base.loadUnaligned(fromByteOffset: RecordShape.fixedBytes, as: Int64.self) : .max }
        nonmutating set {
            assert(isExpiring)
            base.storeBytes(of: newValue, toByteOffset: RecordShape.fixedBytes, as: Int64.self)
        }
    }

    var wheelPrevious: EntryAddress {
        get { base.load(fromByteOffset: RecordShape.fixedBytes + 8, as: EntryAddress.self) }
        nonmutating set {
            assert(isExpiring)
            base.storeBytes(of: newValue, toByteOffset: RecordShape.fixedBytes + 8, as: EntryAddress.self)
        }
    }

    var wheelNext: EntryAddress {
        get { base.load(fromByteOffset: RecordShape.fixedBytes + 12, as: EntryAddress.self) }
        nonmutating set {
            assert(isExpiring)
            base.storeBytes(of: newValue, toByteOffset: RecordShape.fixedBytes + 12, as: EntryAddress.self)
        }
    }

    /// True when the deadline has come; such an entry is never returned.
    func isExpired(at now: Int64) -> Bool { isExpiring && deadline <= now }

    private var deflatedOffset: Int { RecordShape.fixedBytes + (isExpiring ? RecordShape.expiryBytes : 0) }
    private var keyOffset: Int { deflatedOffset + (isDeflated ? RecordShape.deflatedBytes : 0) }

    var form: StoredForm {
        guard isDeflated else { return .plain }
        let offset = deflatedOffset
        return .deflated(
            originalBytes: base.load(fromByteOffset: offset, as: UInt32.self),
            crc32: base.load(fromByteOffset: offset + 4, as: UInt32.self))
    }

    var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + keyOffset, count: keyBytes) }
    var value: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + keyOffset + keyBytes, count: valueBytes) }

    /// Byte-for-byte comparison of the key.
    func hasKey(_ other: UnsafeRawBufferPointer) -> Bool {
        guard keyBytes == other.count else { return false }
        guard let otherBase = other.baseAddress else { return true }
        return memcmp(base + keyOffset, otherBase, other.count) == 0
    }

    /// Takes over all bytes of another record, links included.
    func copy(_ other: EntryRecord, bytes: Int) {
        memcpy(base, other.base, bytes)
    }

    /// Writes everything but the links, which the caller sets or has copied.
    func write(
        _ shape: RecordShape, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, form: StoredForm,
        version: UInt64, deadline: Int64, tick: UInt32
    ) {
        assert(key.count == shape.keyBytes && value.count == shape.valueBytes)
        self.version = version
        lastAccess = tick
        base.storeBytes(of: UInt16(truncatingIfNeeded: shape.keyBytes), toByteOffset: 20, as: UInt16.self)
        hits = 0
        lengthAndFlags =
            UInt32(truncatingIfNeeded: shape.valueBytes) | (shape.isExpiring ? Flags.expiring : 0)
            | (shape.isDeflated ? Flags.deflated : 0)
        if shape.isExpiring { self.deadline = deadline }
        if case .deflated(let originalBytes, let crc32) = form {
            let offset = deflatedOffset
            base.storeBytes(of: originalBytes, toByteOffset: offset, as: UInt32.self)
            base.storeBytes(of: crc32, toByteOffset: offset + 4, as: UInt32.self)
        }
        let keyStart = base + keyOffset
        if let source = key.baseAddress { memcpy(keyStart, source, key.count) }
        if let source = value.baseAddress { memcpy(keyStart + key.count, source, value.count) }
    }
}
