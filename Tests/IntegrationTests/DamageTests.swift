// Damaged journals: single flipped bits, torn tails at every byte, a disk that is full. Never a wrong value.

import Foundation
import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct Damage {
        private static let reconstruct = "local.reconstruct=True"

        @Test func `200 single-bit flips yield no wrong value`() throws {
            let seed: UInt64 = 200
            print("seed \(seed)")
            var random = SeededRandom(seed: seed)
            let settings = [Self.reconstruct, "journal.segment_size=8KiB"]
            let (original, expected, keys) = try journalWithHistory(settings, random: &random)
            let clean = try NodeProcess.start(settings, directory: try original.copy())
            try #require(
                try clean.client().values(keys) == expected, "an undamaged journal has to give everything back")
            let cleanPeakKiB = try clean.memoryKiB("VmHWM")
            let files = try original.files().filter { $0.name.hasPrefix("journal/") && $0.sizeBytes > 0 }
            let totalBytes = files.reduce(0) { $0 + $1.sizeBytes }
            var (refused, withMisses, reported) = (0, 0, 0)
            for flip in 0..<200 {
                let directory = try original.copy()
                var offset = Int.random(in: 0..<totalBytes, using: &random)
                var file = files[0]
                for candidate in files {
                    file = candidate
                    if offset < candidate.sizeBytes { break }
                    offset -= candidate.sizeBytes
                }
                let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &random)
                var bytes = try directory.read(file.name)
                bytes[offset] ^= bit
                try directory.overwrite(file.name, with: bytes)
                let place = "flip \(flip): bit \(bit) of byte \(offset) of \(file.name)"
                let verified = try runCommand(Repository.binary, ["journal", "verify", directory.path])
                reported += verified.status == .exited(1) ? 1 : 0
                if verified.status == .exited(0) { print("verify does not see", place) }
                #expect([.exited(0), .exited(1)].contains(verified.status), "\(place): verify \(verified.status)")
                let node = try NodeProcess(settings, directory: directory)
                do {
                    try node.waitUntilReady()
                } catch {
                    // The last resort: a clear refusal. Anything else is a crash or a hang.
                    #expect(try node.process.waitForExit(within: .seconds(1)) == .exited(74), "\(place): \(error)")
                    refused += 1
                    continue
                }
                let client = try node.client()
                let found = try client.values(keys)
                for (key, value) in found {
                    #expect(value == expected[key], "\(place): \(key) is wrong")
                }
                withMisses += found.count < expected.count ? 1 : 0
                try client.put("after", "\(flip)")
                #expect(try client.value("after") == "\(flip)")
                #expect(try node.memoryKiB("VmHWM") <= cleanPeakKiB + 64 << 10, "\(place)")
            }
            print("200 flips: verify reported \(reported), \(withMisses) cost keys, \(refused) refused to start")
            #expect(reported >= 190, "a flip that verify does not see shows a gap in the checksums, or no flip")
            #expect(withMisses + refused > 20, "the flips have to hit live data")
            #expect(refused <= 20)
        }

        /// Writes a history of overwrites and deletes and kills the node; the journal, what is current, and all keys.
        private func journalWithHistory(
            _ settings: [String], random: inout SeededRandom
        ) throws -> (TemporaryDirectory, [String: String], [String]) {
            let directory = try TemporaryDirectory()
            let node = try NodeProcess.start(settings, directory: directory)
            let client = try node.client()
            let keys = (0..<60).map { "key-\($0)" }
            var expected: [String: String] = [:]
            for serial in 0..<500 {
                let key = keys[Int.random(in: 0..<keys.count, using: &random)]
                if Int.random(in: 0..<8, using: &random) == 0 {
                    try client.call("cache.delete", "[\"\(key)\"]")
                    expected[key] = nil
                    continue
                }
                var value = "\"\(serial)\""
                if serial % 9 == 0 {
                    value = "\"\(serial) " + String(repeating: "words that deflate ", count: 80) + "\""
                }
                if serial % 7 == 0 {
                    value = "\"\(serial) " + (0..<60).map { _ in String(random.next(), radix: 36) }.joined() + "\""
                }
                try client.put(key, value)
                expected[key] = value
            }
            // Killed while it compresses, a node leaves files that nothing is read from; flips are to hit what counts.
            try waitUntil("segments are compressed") {
                let names = try directory.files().map(\.name)
                return names.filter { $0.hasSuffix(".seg") || $0.hasSuffix(".tmp") }.count == 1 ? () : nil
            }
            try node.killHard()
            return (directory, expected, keys)
        }

        @Test func `a cut at every byte of the last records costs only the torn record`() throws {
            let original = try TemporaryDirectory()
            let node = try NodeProcess.start([Self.reconstruct], directory: original)
            let client = try node.client()
            for index in 0..<10 { try client.put("t\(index)", "\(index)") }
            let before = try original.files()
            try client.put("t10", "\"last but one\"")
            try client.put("t11", "\"last\"")
            try node.killHard()
            // The file that the last two records went to: grown, or, when space is reserved ahead, changed.
            let grown = try original.files().filter { file in
                !before.contains { $0 == file } && file.sizeBytes > 0
            }
            let active = try #require(grown.first ?? before.max { $0.sizeBytes < $1.sizeBytes })
            let bytes = try original.read(active.name)
            let end = try #require(bytes.lastIndex { $0 != 0 }) + 1
            var kept = 12
            var lost: [Int] = []
            for cut in stride(from: end, through: end - 150, by: -1) {
                let directory = try original.copy()
                try directory.overwrite(active.name, with: Array(bytes[..<cut]))
                let restarted = try NodeProcess.start([Self.reconstruct], directory: directory)
                let again = try restarted.client()
                let found = try again.values((0..<12).map { "t\($0)" })
                #expect(Set(found.keys) == Set((0..<found.count).map { "t\($0)" }), "cut at \(cut)")
                #expect(found.count == kept || found.count == kept - 1, "cut at \(cut): \(found.count) after \(kept)")
                if found.count < kept { lost.append(cut) }
                kept = found.count
                for index in 0..<min(10, kept) { #expect(found["t\(index)"] == "\(index)") }
                if cut % 16 == 0 {
                    try again.put("t11", "\"again\"")
                    try restarted.killHard()
                    let third = try NodeProcess.start([Self.reconstruct], directory: directory)
                    #expect(try third.client().value("t11") == "\"again\"", "written after the repair of cut \(cut)")
                }
            }
            print("records torn when cut at \(lost) of \(end) bytes")
            #expect(lost.first == end - 1, "one byte less than everything tears the last record")
            #expect(lost.count >= 2, "the cuts have to reach the last record but one")
        }

        @Test func `verify and dump judge a journal by their exit status`() throws {
            let directory = try TemporaryDirectory()
            let node = try NodeProcess.start(directory: directory)
            let client = try node.client()
            for index in 0..<20 { try client.put("dumped-\(index)", "[\(index)]") }
            try client.call("cache.delete", "[\"dumped-3\"]")
            #expect(try node.terminate() == .exited(0))
            let verified = try runCommand(Repository.binary, ["journal", "verify", directory.path])
            #expect(verified.status == .exited(0), "\(verified.text)\(verified.errorText)")
            let dumped = try runCommand(Repository.binary, ["journal", "dump", directory.path])
            #expect(dumped.status == .exited(0))
            let lines = try dumped.text.split(separator: "\n").map { try RawJSON(String($0)) }
            #expect(lines.count >= 21)
            #expect(dumped.text.contains("dumped-19"))
            let file = try #require(
                try directory.files().first {
                    Data(try directory.read($0.name)).range(of: Data("dumped-7".utf8)) != nil
                })
            var bytes = try directory.read(file.name)
            let place = try #require(Data(bytes).range(of: Data("dumped-7".utf8)))
            bytes[place.lowerBound] ^= 1
            try directory.overwrite(file.name, with: bytes)
            #expect(try runCommand(Repository.binary, ["journal", "verify", directory.path]).status == .exited(1))
            let damaged = try runCommand(Repository.binary, ["journal", "dump", directory.path])
            #expect(damaged.status == .exited(1))
            #expect(damaged.text.contains("dumped-19"), "what is intact is printed")
            let absent = try runCommand(Repository.binary, ["journal", "verify", directory.path("absent")])
            #expect(absent.status == .exited(74))
            #expect(!absent.errorText.isEmpty)
        }

        @Test func `on a full disk writes are refused with 1201, reads go on and nothing is lost`() throws {
            let mount = try TemporaryDirectory()
            let isMounted =
                try getuid() == 0
                && runCommand("mount", ["-t", "tmpfs", "-o", "size=3m", "none", mount.path]).status == .exited(0)
            defer { if isMounted { _ = try? runCommand("umount", ["-l", mount.path]) } }
            // Without the right to mount a small file system a limit on the size of each file has to do.
            let wrapper = isMounted ? [] : ["prlimit", "--fsize=1000000", "env", "--ignore-signal=XFSZ"]
            var random = SeededRandom(seed: 12)
            let settings = [Self.reconstruct, "journal.compress=False"]
            let node = try NodeProcess.start(settings, directory: mount, wrapper: wrapper)
            let client = try node.client()
            var expected: [String: String] = [:]
            var refusal: RPCReply?
            while refusal == nil, expected.count < 2000 {
                let value = "\"" + (0..<400).map { _ in String(random.next(), radix: 36) }.joined() + "\""
                let reply = try client.put("k\(expected.count)", value)
                if reply["stored"]?.boolean == true {
                    expected["k\(expected.count)"] = value
                } else {
                    refusal = reply
                }
            }
            let failed = try #require(refusal, "3 MB took \(expected.count) values of 5 kB")
            #expect(failed.errorCode == 1201, "\(failed)")
            #expect(failed.errorData?["retryable"]?.boolean != nil)
            #expect(expected.count > 50)
            let keys = Array(expected.keys)
            #expect(try client.values(keys) == expected, "reads have to go on")
            #expect(try client.call("cache.delete", "[\"k0\"]").errorCode == 1201)
            #expect(try client.value("k0") == expected["k0"])
            #expect(try client.call("cache.incr", "[\"n\",1,1]").errorCode == 1201)
            let notice = node.logLines.first { $0.json?["level"]?.string == "error" }
            #expect(notice != nil, "a failed journal has to be logged as an error")
            try node.killHard()
            let restarted = try NodeProcess.start(settings, directory: try mount.copy())
            #expect(try restarted.client().values(keys) == expected)
        }
    }
}
