// What the store no longer knows: the newest version of the entries that left it by eviction or expiry.
//
// A copy of a key that comes from a node which was away may be older than what was forgotten here meanwhile; served again
// it would be a stale answer. One number for all keys would turn away too much, one for each is what was to be forgotten:
// keys share 16,384 numbers by their hash. Off, and without memory, in a store that nobody asks.

/// Upper bounds of versions forgotten, by a part of the key's hash.
struct ForgottenVersions: Sendable {
    private static let slots = 1 << 14
    private var versions: [UInt64] = []

    /// Begins to take notes; 128 KiB.
    mutating func begin() {
        if versions.isEmpty { versions = [UInt64](repeating: 0, count: Self.slots) }
    }

    /// Notes that an entry of this version is gone.
    mutating func note(_ version: UInt64, _ hash: KeyHash) {
        guard !versions.isEmpty else { return }
        let slot = Self.slot(hash)
        if version > versions[slot] { versions[slot] = version }
    }

    /// At least the newest version of `hash`'s key that was forgotten; 0 when nothing like it was.
    subscript(_ hash: KeyHash) -> UInt64 { versions.isEmpty ? 0 : versions[Self.slot(hash)] }

    private static func slot(_ hash: KeyHash) -> Int { Int(hash.fragment >> 2) }
}
