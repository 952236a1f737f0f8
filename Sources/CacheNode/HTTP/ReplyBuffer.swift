// The body of one reply while methods write it: plain JSON bytes, with compressed values standing in it as stored.
// Not the HTTP head; ReplyBuffer+Finish adds that once the length is known.

import Compression
import JSONRPC
import NIOCore

/// A growing reply body. A value that is stored compressed is appended as its deflate blocks where the client accepts
/// gzip, and inflated into place where it does not.
///
/// Invariant: `splices` are in ascending order of `offset` and do not overlap; bytes outside of them are JSON text.
struct ReplyBuffer: ByteSink {
    /// Deflate blocks that stand in `bytes` in place of the text they decode to.
    struct Splice {
        /// Where the blocks begin, in bytes from the start of `bytes`' storage.
        var offset: Int
        var storedBytes: Int
        var originalBytes: UInt32
        var crc32: UInt32
    }

    /// A place in the reply to which `rollBack` returns.
    struct Mark {
        fileprivate(set) var writerIndex: Int
        fileprivate(set) var spliceCount: Int
        fileprivate(set) var textBytes: Int
    }

    var bytes: ByteBuffer
    private(set) var splices: [Splice] = []
    /// True when a compressed value is part of the reply, sent compressed or not: the reply then varies by
    /// Accept-Encoding.
    private(set) var holdsCompressedValues = false
    /// Length of the reply's JSON text, with every value inflated.
    private(set) var textBytes = 0
    let acceptsGzip: Bool

    /// An empty reply that reuses the memory of `bytes`, whose content is dropped.
    init(bytes: consuming ByteBuffer, acceptsGzip: Bool) {
        bytes.clear(minimumCapacity: Self.headRoomBytes + 192)
        bytes.moveWriterIndex(to: Self.headRoomBytes)
        self.bytes = bytes
        self.acceptsGzip = acceptsGzip
    }

    @inline(__always)
    mutating func append(byte: UInt8) {
        append(upTo: 1) { $0.append(byte: byte) }
    }

    /// Appends what `write` puts into a sink that takes `capacity` bytes, which must be enough: one growth and one
    /// check for several pieces of text.
    @inline(__always)
    mutating func append(upTo capacity: Int, _ write: (inout FixedSink) -> Void) {
        // By the whole storage: NIO's own writing functions make slices of it on the way, at 150 instructions each.
        let start = bytes.writerIndex
        if bytes.capacity &- start < capacity { bytes.reserveCapacity(minimumWritableBytes: capacity) }
        let count = bytes.withVeryUnsafeMutableBytes { storage in
            var sink = FixedSink(UnsafeMutableRawBufferPointer(rebasing: storage[start...]))
            write(&sink)
            precondition(!sink.overflowed, "the capacity that was asked for is enough")
            return sink.count
        }
        bytes.moveWriterIndex(to: start &+ count)
        textBytes &+= count
    }

    /// Opens a response: everything before the result. `id` is the text to echo; nil writes `null`.
    @inline(__always)
    mutating func appendResponsePrefix(id: JSONSlice?, in body: UnsafeRawBufferPointer) {
        append(upTo: 48 + (id?.count ?? 0)) { $0.appendResponsePrefix(id: id, in: body) }
    }

    @inline(__always)
    mutating func append(bytes source: UnsafeRawBufferPointer) {
        append(upTo: source.count) { $0.append(bytes: source) }
    }

    /// Appends deflate blocks as they are stored; only for a client that accepts gzip.
    mutating func append(blocks: UnsafeRawBufferPointer, originalBytes: UInt32, crc32: UInt32) {
        precondition(acceptsGzip, "blocks would reach a client that can't decode them")
        holdsCompressedValues = true
        textBytes &+= Int(originalBytes)
        splices.append(
            Splice(
                offset: bytes.writerIndex, storedBytes: blocks.count, originalBytes: originalBytes, crc32: crc32))
        bytes.writeBytes(blocks)
    }

    /// Appends the text of deflate blocks, for a client that does not accept gzip.
    ///
    /// Returns false, with nothing appended, when the blocks do not decode to the text they were made from: memory or
    /// disk is damaged.
    mutating func append(
        inflating blocks: UnsafeRawBufferPointer, originalBytes: UInt32, crc32: UInt32, with inflater: inout Inflater
    ) -> Bool {
        holdsCompressedValues = true
        let count = Int(originalBytes)
        // Deflate gives 258 bytes for two bits at best: no room is taken for a length that can't be true.
        guard count <= 1032 * blocks.count else { return false }
        var isWhole = false
        bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            do {
                try inflater.inflateBlocks(
                    blocks, into: UnsafeMutableRawBufferPointer(rebasing: target[..<count]), crc: crc32)
                isWhole = true
                return count
            } catch {
                return 0
            }
        }
        if isWhole { textBytes &+= count }
        return isWhole
    }

    /// Appends what stands in `other` between two marks of it; its compressed values are inflated where this reply's
    /// client does not accept gzip. Returns false, with nothing appended, when one of them is damaged.
    mutating func append(
        _ other: borrowing ReplyBuffer, from start: Mark, to end: Mark, with inflater: inout Inflater
    ) -> Bool {
        let before = mark
        var isWhole = true
        other.bytes.withVeryUnsafeBytes { storage in
            func part(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
                UnsafeRawBufferPointer(rebasing: storage[start..<end])
            }
            var position = start.writerIndex
            for splice in other.splices[start.spliceCount..<end.spliceCount] where isWhole {
                append(bytes: part(position, splice.offset))
                position = splice.offset + splice.storedBytes
                isWhole = append(
                    splicing: part(splice.offset, position), originalBytes: splice.originalBytes, crc32: splice.crc32,
                    with: &inflater)
            }
            append(bytes: part(position, end.writerIndex))
        }
        if !isWhole { rollBack(to: before) }
        return isWhole
    }

    /// Appends a compressed value in the form that the client accepts; false when it is damaged.
    mutating func append(
        splicing blocks: UnsafeRawBufferPointer, originalBytes: UInt32, crc32: UInt32, with inflater: inout Inflater
    ) -> Bool {
        guard acceptsGzip else {
            return append(inflating: blocks, originalBytes: originalBytes, crc32: crc32, with: &inflater)
        }
        append(blocks: blocks, originalBytes: originalBytes, crc32: crc32)
        return true
    }

    /// Appends all of `other`, which keeps its values compressed; only for a reply that takes them so.
    mutating func append(whole other: borrowing ReplyBuffer) {
        precondition(acceptsGzip, "values would have to be inflated")
        other.bytes.withVeryUnsafeBytes { storage in
            var position = Self.headRoomBytes
            for splice in other.splices {
                append(bytes: UnsafeRawBufferPointer(rebasing: storage[position..<splice.offset]))
                position = splice.offset + splice.storedBytes
                append(
                    blocks: UnsafeRawBufferPointer(rebasing: storage[splice.offset..<position]),
                    originalBytes: splice.originalBytes, crc32: splice.crc32)
            }
            append(bytes: UnsafeRawBufferPointer(rebasing: storage[position..<other.bytes.writerIndex]))
        }
    }

    /// Bytes written, values as they are stored: without the room for a head.
    var storedBytes: Int { bytes.writerIndex - Self.headRoomBytes }

    /// The beginning of the reply.
    var start: Mark { Mark(writerIndex: Self.headRoomBytes, spliceCount: 0, textBytes: 0) }

    var mark: Mark {
        Mark(writerIndex: bytes.writerIndex, spliceCount: splices.count, textBytes: textBytes)
    }

    /// Takes back everything written since `mark`, as when a method fails halfway.
    mutating func rollBack(to mark: Mark) {
        bytes.moveWriterIndex(to: mark.writerIndex)
        splices.removeLast(splices.count - mark.spliceCount)
        textBytes = mark.textBytes
    }
}
