// What must not come back while a journal is read again into a live store.

/// Keys removed, each with the version of its removal, and the version of the last flush.
struct RemovedKeys {
    private var versions: [[UInt8]: UInt64] = [:]
    private var flushed: UInt64 = 0

    mutating func remove(_ key: UnsafeRawBufferPointer, version: UInt64) {
        versions[Array(key), default: 0] = max(versions[Array(key)] ?? 0, version)
    }

    mutating func flush(version: UInt64) {
        flushed = max(flushed, version)
        versions.removeAll()
    }

    /// Whether an entry of this version was removed since.
    func covers(_ key: UnsafeRawBufferPointer, version: UInt64) -> Bool {
        version <= flushed || version <= versions[Array(key)] ?? 0
    }
}
