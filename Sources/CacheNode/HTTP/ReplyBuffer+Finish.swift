// Turns a reply body into a whole HTTP response: the head in front, and gzip framing where the reply holds blocks.
//
//     identity   [ gap, unused … │ head │ JSON text ]            the head ends where the body begins: no byte is moved
//     gzip       [ head │ gzip header │ stored: {"jsonrpc"…"value": │ blocks │ stored: ,"cas":… │ … │ trailer ]

import Compression
import NIOCore

extension ReplyBuffer {
    /// Room kept in front of the body for the head.
    static let headRoomBytes = ResponseHeads.maxBytes

    /// Completes the response; sets in `head` what follows from the body.
    consuming func finish(_ head: inout ResponseHead, _ heads: ResponseHeads, now: Int64) -> ByteBuffer {
        head.variesByEncoding = head.variesByEncoding || holdsCompressedValues
        guard splices.isEmpty else { return finishAsGzip(&head, heads, now) }
        heads.write(
            head, contentLength: bytes.writerIndex - Self.headRoomBytes, now: now, endingAt: Self.headRoomBytes,
            in: &bytes)
        return bytes
    }

    private func finishAsGzip(_ head: inout ResponseHead, _ heads: ResponseHeads, _ now: Int64) -> ByteBuffer {
        head.isGzip = true
        var length = GzipSplice.frameBytes
        eachPart { literal, splice in
            length += GzipSplice.literalLength(literal.count) + (splice?.storedBytes ?? 0)
        }
        var output = SpliceBuffer(bytes: ByteBuffer())
        output.bytes.reserveCapacity(ResponseHeads.maxBytes + length)
        heads.write(head, contentLength: length, now: now, to: &output.bytes)
        bytes.withVeryUnsafeBytes { storage in
            var gzip = GzipSplice()
            gzip.begin(into: &output)
            eachPart { literal, splice in
                gzip.literal(UnsafeRawBufferPointer(rebasing: storage[literal]), into: &output)
                guard let splice else { return }
                gzip.spliced(
                    UnsafeRawBufferPointer(rebasing: storage[splice.offset..<splice.offset + splice.storedBytes]),
                    originalBytes: Int(splice.originalBytes), crc: splice.crc32, into: &output)
            }
            gzip.finish(into: &output)
        }
        return output.bytes
    }

    /// Calls `body` with each run of JSON text and the blocks behind it (none behind the last run).
    func eachPart(_ body: (Range<Int>, Splice?) -> Void) {
        var start = Self.headRoomBytes
        for splice in splices {
            body(start..<splice.offset, splice)
            start = splice.offset + splice.storedBytes
        }
        body(start..<bytes.writerIndex, nil)
    }
}

/// Lets GzipSplice write into a ByteBuffer.
private struct SpliceBuffer: SpliceOutput {
    var bytes: ByteBuffer

    mutating func append(_ source: UnsafeRawBufferPointer) {
        bytes.writeBytes(source)
    }
}
