// Flat arrays of plain values straight from the kernel: zero-filled, page aligned, never seen by the allocator, and
// given back on deinit. The only place of this module that maps and unmaps memory. Not an Array: no copies on write,
// no reference counts, bounds checked in debug builds only.

import Glibc

/// Whole pages of zeroed anonymous memory.
enum Pages {
    /// The granularity in which memory is mapped and accounted, in bytes.
    static let byteCount = 4096

    /// `bytes` rounded up to whole pages.
    static func rounded(_ bytes: Int) -> Int {
        (bytes &+ byteCount &- 1) & ~(byteCount &- 1)
    }

    /// Maps `bytes` (whole pages), or nil when the system refuses.
    static func map(bytes: Int) -> UnsafeMutableRawPointer? {
        assert(bytes > 0 && bytes % byteCount == 0)
        let base = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        return base == MAP_FAILED ? nil : base
    }

    /// What the processor maps with one entry of its page table cache, in bytes.
    static let hugeByteCount = 2 << 20

    /// Maps `bytes` of huge pages, or what stands in for them where the system has none; a touched one is wholly resident.
    ///
    /// Random look-ups among 10^6 entries are a third faster with them: the page table walk is most of a cache miss.
    static func mapHuge(bytes: Int) -> UnsafeMutableRawPointer? {
        assert(bytes % hugeByteCount == 0)
        guard let base = map(bytes: bytes + hugeByteCount) else { return nil }
        let misaligned = Int(bitPattern: base) & (hugeByteCount - 1)
        let before = misaligned == 0 ? 0 : hugeByteCount - misaligned
        let aligned = base + before
        if before > 0 { unmap(base, bytes: before) }
        unmap(aligned + bytes, bytes: hugeByteCount - before)
        // Advice alone: without huge pages everything works, slower.
        _ = madvise(aligned, bytes, MADV_HUGEPAGE)
        return aligned
    }

    /// Gives back what `map` returned for the same `bytes`.
    static func unmap(_ base: UnsafeMutableRawPointer, bytes: Int) {
        let result = munmap(base, bytes)
        precondition(result == 0, "unmapping pages that were mapped here cannot fail")
    }
}

/// A growing array of plain values; an element never written reads as zero bytes.
///
/// Growing doubles and copies, so it is for tables that stay small beside the entries (the big ones are chunked).
struct FlatTable<Element: BitwiseCopyable>: ~Copyable {
    private var base: UnsafeMutablePointer<Element>?
    private(set) var capacity = 0
    private var mappedBytes = 0

    /// Bytes mapped; all of them count against the limit.
    var footprintBytes: Int { mappedBytes }

    /// Makes room for `count` elements; false when the system refuses, and nothing has changed then.
    mutating func reserve(_ count: Int) -> Bool {
        guard count > capacity else { return true }
        let stride = MemoryLayout<Element>.stride
        let bytes = Pages.rounded(max(count, capacity * 2) * stride)
        guard let mapped = Pages.map(bytes: bytes) else { return false }
        let elements = mapped.bindMemory(to: Element.self, capacity: bytes / stride)
        if let base {
            elements.update(from: base, count: capacity)
            Pages.unmap(base, bytes: mappedBytes)
        }
        base = elements
        capacity = bytes / stride
        mappedBytes = bytes
        return true
    }

    /// The element at `index`, which must lie within `capacity`.
    subscript(index: Int) -> Element {
        @inline(__always) get {
            assert(index >= 0 && index < capacity, "table index out of bounds")
            return base.unsafelyUnwrapped[index]
        }
        @inline(__always) nonmutating set {
            assert(index >= 0 && index < capacity, "table index out of bounds")
            base.unsafelyUnwrapped[index] = newValue
        }
    }

    /// The address of one element, valid until the table grows.
    @inline(__always) func pointer(to index: Int) -> UnsafeMutablePointer<Element> {
        assert(index >= 0 && index < capacity, "table index out of bounds")
        return base.unsafelyUnwrapped + index
    }

    deinit {
        if let base { Pages.unmap(base, bytes: mappedBytes) }
    }
}

// The table owns its pages alone and cannot be copied, so it may move between threads; a writer has it `inout` or,
// for `nonmutating set`, is the one holder of the store that owns it (the shard's lock in the shell).
extension FlatTable: @unchecked Sendable {}
