// Turns a value into raw deflate blocks (RFC 1951) that can be laid between other blocks of a gzip stream later.
//
//     deflate blocks … │ 000 │ padding to the byte │ 00 00 FF FF
//                        └─ the empty stored block that Z_SYNC_FLUSH writes: not marked final, ends on a byte boundary
//
// Each call starts with an empty window, so no block refers back beyond its own value and any block may follow it.
// Not here: the gzip frame around the blocks (GzipSplice).

import CZlib

/// A reusable compressor; one an event loop or thread, never shared.
///
/// It holds about 264 KiB from `init` to its end (window 32 KiB, memLevel 8: the defaults, as a smaller memLevel cost
/// more bytes of JSON than it saved memory) and allocates nothing a call but the caller's output.
package struct Deflater: ~Copyable {
    /// On the heap because zlib keeps a pointer back to it and refuses a stream that has moved.
    private let stream: UnsafeMutablePointer<z_stream>

    /// What zlib may be asked for: 0 (store) to 9 (smallest).
    package static let levels = 0...9

    /// `level` is zlib's, 0 to 9 (6 is its usual trade-off). Throws `outOfMemory`.
    package init(level: Int) throws(CompressionError) {
        precondition(Self.levels.contains(level), "the configuration admits levels 0 to 9 only")
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard spyder_deflateInit2(stream, Int32(level), -15, 8) == Z_OK else {
            stream.deallocate()
            throw .outOfMemory
        }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Replaces the contents of `output` by the blocks of `bytes` and returns their length, or nil, with `output` empty,
    /// as soon as they would be more than `maxOutput` bytes. `output` grows as needed and keeps its capacity.
    package mutating func deflateBlocks(
        _ bytes: UnsafeRawBufferPointer, into output: inout [UInt8], maxOutput: Int
    ) -> Int? {
        // Zeros past the end are the room zlib writes into: filling them runs at memory speed, deflate 100 times slower.
        output.removeAll(keepingCapacity: true)
        guard begin(bytes), maxOutput > 0 else { return nil }
        // One byte more than allowed: zlib says "finished" by leaving room, so a full buffer always means "more".
        let ceiling = maxOutput == .max ? maxOutput : maxOutput + 1
        var room = min(ceiling, max(bytes.count / 4, 512))
        while true {
            output.append(contentsOf: repeatElement(0, count: room - output.count))
            let total = output.withUnsafeMutableBytes { flush(into: $0) }
            if let total {
                output.removeLast(output.count - total)
                return total
            }
            guard room < ceiling else {
                output.removeAll(keepingCapacity: true)
                return nil
            }
            room = min(ceiling, room * 2)
        }
    }

    /// Writes the blocks of `bytes` to `output` and returns their length, or nil, leaving rubbish in `output`, as soon as
    /// they would not leave at least one byte of it free.
    package mutating func deflateBlocks(
        _ bytes: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard begin(bytes), !output.isEmpty else { return nil }
        return flush(into: output)
    }

    /// Points the stream at a new input; false for an input beyond zlib's 32-bit counters.
    private mutating func begin(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let length = UInt32(exactly: bytes.count) else { return false }
        deflateReset(stream)
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = length
        return true
    }

    /// Goes on with the input where the last call left off, after the `total_out` bytes already in `output`; the length
    /// of it all when finished, nil when `output` is full.
    private mutating func flush(into output: UnsafeMutableRawBufferPointer) -> Int? {
        let written = Int(stream.pointee.total_out)
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self).advanced(by: written)
        stream.pointee.avail_out = UInt32(clamping: output.count - written)
        let status = deflate(stream, Z_SYNC_FLUSH)
        precondition(status == Z_OK || status == Z_BUF_ERROR, "deflate cannot fail on memory it was given")
        guard stream.pointee.avail_out > 0 else { return nil }
        return Int(stream.pointee.total_out)
    }
}
