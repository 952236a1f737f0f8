// A request as bytes that are written once, with places for the digits of its keys: sending one is a copy and a few
// digits, so that the generator costs less than any server it loads.

/// A request of fixed length.
package struct RequestTemplate: Sendable {
    /// Twelve digits of one of the request's keys.
    private struct Slot {
        var offset: Int
        /// Which of the request's keys.
        var ordinal: Int
    }

    package private(set) var bytes: [UInt8] = []
    private var slots: [Slot] = []
    /// Whether the request reads values.
    package let isRead: Bool
    /// How many keys it names.
    package let keys: Int

    init(isRead: Bool, keys: Int) {
        self.isRead = isRead
        self.keys = keys
    }

    mutating func append(_ text: String) {
        self.bytes.append(contentsOf: text.utf8)
    }

    mutating func append(_ other: [UInt8]) {
        self.bytes.append(contentsOf: other)
    }

    /// Appends the digits of key number `ordinal` of the request.
    mutating func appendKeyDigits(_ ordinal: Int) {
        self.slots.append(Slot(offset: self.bytes.count, ordinal: ordinal))
        self.append([UInt8](repeating: UInt8(ascii: "0"), count: LoadPlan.keyDigits))
    }

    /// Appends another template as the body, whose keys are those of this request.
    mutating func append(_ body: RequestTemplate) {
        let base = self.bytes.count
        self.append(body.bytes)
        self.slots += body.slots.map { Slot(offset: $0.offset + base, ordinal: $0.ordinal) }
    }

    /// Writes the request for `keys`; `target` has room for `bytes.count`.
    func write(to target: UnsafeMutablePointer<UInt8>, keys: UnsafePointer<Int>) {
        self.bytes.withUnsafeBufferPointer { source in
            guard let base = source.baseAddress else { return }
            target.update(from: base, count: source.count)
        }
        self.slots.withUnsafeBufferPointer { slots in
            for slot in slots {
                KeyDigits.write(keys[slot.ordinal], to: target + slot.offset)
            }
        }
    }

    /// The request for `keys` as an array.
    package func bytes(for keys: [Int]) -> [UInt8] {
        precondition(keys.count == self.keys, "a template takes exactly its number of keys")
        return [UInt8](unsafeUninitializedCapacity: self.bytes.count) { buffer, count in
            guard let target = buffer.baseAddress else { return }
            keys.withUnsafeBufferPointer { keys in
                guard let keys = keys.baseAddress else { return }
                self.write(to: target, keys: keys)
            }
            count = self.bytes.count
        }
    }
}

/// Decimal key numbers of fixed width.
enum KeyDigits {
    static func write(_ key: Int, to target: UnsafeMutablePointer<UInt8>) {
        var rest = UInt64(key)
        for index in stride(from: LoadPlan.keyDigits - 1, through: 0, by: -1) {
            target[index] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// Whether the bytes are the digits of `key`.
    static func match(_ key: Int, _ bytes: UnsafePointer<UInt8>) -> Bool {
        var rest = UInt64(key)
        for index in stride(from: LoadPlan.keyDigits - 1, through: 0, by: -1) {
            guard bytes[index] == UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10) else { return false }
            rest /= 10
        }
        return true
    }
}
