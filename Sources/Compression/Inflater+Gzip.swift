// Request bodies in gzip (RFC 1952), under a cap that holds whatever the body claims about itself.

import CZlib

#if canImport(Glibc)
    import Glibc
#endif

/// Restored bytes in memory of their own, released with the object. A class, since the closures that lend buffers
/// cannot return a noncopyable value.
package final class InflatedBody {
    private let memory: UnsafeMutableRawPointer?

    /// How many bytes were restored.
    package let count: Int

    /// Takes over memory that came from malloc.
    fileprivate init(adopting memory: UnsafeMutableRawPointer?, count: Int) {
        self.memory = memory
        self.count = count
    }

    deinit { free(memory) }

    /// Lends the bytes for the duration of the call.
    package func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: memory, count: count))
    }
}

extension Inflater {
    /// The first allocation for a body; each further one doubles it.
    private static let firstAllocationBytes = 16 * 1024

    /// Restores one or more gzip members that follow one another (RFC 1952 section 2.2), checking CRC and length of each.
    ///
    /// Throws `tooLarge` as soon as the result passes `limitBytes` (or 4 GiB), `corrupt` for anything that is not a whole number of
    /// members (an empty input too), `outOfMemory`. It holds at most `limitBytes` + 16 KiB at any time: the memory
    /// grows by `realloc`, which moves large blocks by remapping them, not by copying.
    package mutating func inflateGzip(
        _ body: UnsafeRawBufferPointer, limitBytes: Int
    ) throws(CompressionError) -> InflatedBody {
        precondition(limitBytes >= 0, "a limit is never negative")
        let limitBytes = min(limitBytes, Int(UInt32.max) - 1)
        guard let inputLength = UInt32(exactly: body.count), inputLength > 0 else { throw .corrupt }
        inflateReset2(stream, 15 + 16)
        stream.pointee.next_in = UnsafeMutablePointer(mutating: body.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = inputLength

        var memory: UnsafeMutableRawPointer?
        var capacity = 0
        var count = 0
        do throws(CompressionError) {
            while true {
                if count == capacity {
                    // One byte beyond the limit, so that passing it shows as a byte written, not as a guess.
                    capacity = min(limitBytes + 1, max(Self.firstAllocationBytes, capacity * 2))
                    guard let grown = realloc(memory, capacity) else { throw .outOfMemory }
                    memory = grown
                }
                stream.pointee.next_out = memory?.assumingMemoryBound(to: UInt8.self).advanced(by: count)
                stream.pointee.avail_out = UInt32(capacity - count)
                let status = inflate(stream, Z_NO_FLUSH)
                count = capacity - Int(stream.pointee.avail_out)
                if count > limitBytes { throw .tooLarge(limitBytes: limitBytes) }
                switch status {
                case Z_STREAM_END:
                    if stream.pointee.avail_in == 0 { return InflatedBody(adopting: memory, count: count) }
                    inflateReset(stream)
                case Z_OK, Z_BUF_ERROR:
                    // Room left and nothing more to read: the body was cut off.
                    if stream.pointee.avail_out > 0 { throw .corrupt }
                case Z_MEM_ERROR: throw .outOfMemory
                default: throw .corrupt
                }
            }
        } catch {
            free(memory)
            throw error
        }
    }
}
