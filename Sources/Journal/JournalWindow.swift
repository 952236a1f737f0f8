// A bounded view that slides over a file, so that files of any size are read in little memory. Does no I/O of its
// own: bytes come from the closure that the shell gives.

/// A sliding, growable buffer over a file of known size. Used by one thread at a time.
package final class JournalWindow {
    /// Reads into the buffer from the offset; returns the bytes read, fewer than asked at the end of the file, 0 past
    /// it.
    package typealias Read = (_ offset: Int, _ into: UnsafeMutableRawBufferPointer) throws(JournalError) -> Int

    /// Bytes of the file; shrinks when the file turns out to be shorter.
    package private(set) var size: Int
    private let read: Read
    private let chunkBytes: Int
    private var buffer: RawBuffer
    private var start = 0
    private var zerosFrom: Int?

    package init(size: Int, chunkBytes: Int = 256 * 1024, read: @escaping Read) {
        self.size = size
        self.read = read
        self.chunkBytes = chunkBytes
        buffer = RawBuffer(capacity: min(chunkBytes, max(size, 64)))
    }

    /// Bytes from `offset` on: at least `needed`, or all there are up to the end of the file. Valid until the next
    /// call. The caller keeps `needed` within its limits: the buffer grows to it.
    package func view(at offset: Int, atLeast needed: Int) throws(JournalError) -> UnsafeRawBufferPointer {
        let available = start + buffer.count - offset
        if offset >= start, available >= needed { return buffer.bytes.slice(offset - start..<buffer.count) }
        let wanted = min(max(needed, chunkBytes), max(size - offset, 0))
        buffer.removeAll(keepingCapacityUpTo: max(chunkBytes, wanted))
        start = offset
        let target = buffer.extend(by: wanted)
        var filled = 0
        while filled < wanted {
            let count = try read(offset + filled, UnsafeMutableRawBufferPointer(rebasing: target[filled...]))
            if count == 0 { break }
            filled += count
        }
        if filled < wanted { size = offset + filled }
        return buffer.bytes.slice(0..<filled)
    }

    /// Takes the file to end here.
    func end(at offset: Int) {
        size = min(size, offset)
        zerosFrom = nil
        // What was read beyond is not part of it any more.
        buffer.removeAll(keepingCapacityUpTo: chunkBytes)
        start = 0
    }

    /// Where the run of zero bytes at the end of the file starts; `size` when it does not end in a zero. O(run), once.
    package func trailingZerosStart() throws(JournalError) -> Int {
        if let zerosFrom { return zerosFrom }
        var end = size
        scan: while end > 0 {
            let from = max(0, end - chunkBytes)
            let bytes = try view(at: from, atLeast: end - from)
            for index in stride(from: min(bytes.count, end - from) - 1, through: 0, by: -1) where bytes[index] != 0 {
                end = from + index + 1
                break scan
            }
            end = from
        }
        zerosFrom = end
        return end
    }

    /// The first offset from `from` on where the four bytes of `magic` stand; nil when there is none. O(bytes passed).
    package func find(magic: UInt32, from: Int) throws(JournalError) -> Int? {
        let first = UInt8(truncatingIfNeeded: magic)
        var offset = from
        while offset + 4 <= size {
            let bytes = try view(at: offset, atLeast: 4)
            guard bytes.count >= 4 else { return nil }
            for index in 0...bytes.count - 4 where bytes[index] == first {
                if bytes.number(at: index, as: UInt32.self) == magic { return offset + index }
            }
            offset += bytes.count - 3
        }
        return nil
    }
}
