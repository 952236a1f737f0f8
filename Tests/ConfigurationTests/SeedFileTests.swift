// The example file the project began with, and how the loader behaves on damaged copies of it.

import Configuration
import TestSupport
import Testing

/// Byte for byte: four spaces of indentation, tabs, comments after values and after continuation lines.
let seedFile = #"""
        #This is the configuration file.

        [local]
        node_id = 1					#this is the id of the node which this file will drive. Any string is valid
        node_port = 8001			#the port at which this node should communicate. valid entry regex \:[0-9]{4,5}$
        reconstruct = False			#should the node read the events journal to restore last known state? valid: True/False
    	cache_size = 1000			#Maximum number of keys this cache is allowed to hold. After this limit is hit,
    								#the cache will start evicting keys using an LRU mechanism
        
        [network]					#simply the list of peers this node should connect to.
        peer = 127.0.0.1:8002,		#it is a comma separated list of the form <ipv4address>:<port>
               127.0.0.1:8003		#valid entry regex is: ^([0-9]{1,3}\.){3}[0-9]{1,3}\:[0-9]{4,5}$

    """#

@Suite("The seed's example file")
struct SeedFileTests {
    @Test("loads exactly as printed")
    func loads() throws {
        #expect(seedFile.utf8.count == 793)
        let loaded = try NodeConfiguration.load(fileName: "node1.ini", fileBytes: Array(seedFile.utf8))
        let configuration = loaded.configuration
        var expected = NodeConfiguration()
        expected.local.maxKeys = 1000
        expected.network.peers = [
            Endpoint(host: .loopback, port: 8002), Endpoint(host: .loopback, port: 8003),
        ]
        #expect(configuration == expected)
        #expect(
            loaded.origins == [
                "local.node_id": .file(name: "node1.ini", line: 4),
                "local.node_port": .file(name: "node1.ini", line: 5),
                "local.reconstruct": .file(name: "node1.ini", line: 6),
                "local.cache_size": .file(name: "node1.ini", line: 7),
                "network.peer": .file(name: "node1.ini", line: 11),
            ])
    }

    @Test("is the same with a byte order mark, CR LF line ends, no indentation or no final line feed")
    func variants() throws {
        let expected = try NodeConfiguration.load(fileBytes: Array(seedFile.utf8))
        let crlf = seedFile.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
        let flush = seedFile.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.drop { $0 == " " || $0 == "\t" } }.joined(separator: "\n")
        for variant in [crlf, flush, String(seedFile.dropLast()), seedFile + "\n\n"] {
            #expect(try NodeConfiguration.load(fileBytes: Array(variant.utf8)) == expected)
            #expect(try NodeConfiguration.load(fileBytes: [0xEF, 0xBB, 0xBF] + variant.utf8) == expected)
        }
    }

    @Test("cut at any byte either loads or names lines of the file that exist")
    func truncation() {
        let bytes = Array(seedFile.utf8)
        var loaded = 0
        for length in 0...bytes.count where Self.survives(Array(bytes[..<length])) { loaded += 1 }
        // Cuts inside comments and between lines are complete files.
        #expect(loaded > bytes.count / 2)
    }

    @Test("with random bytes changed, dropped and added never traps", arguments: [1, 2, 3, 4] as [UInt64])
    func mutations(seed: UInt64) {
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let spice = Array("[]=#;,\"\\\t\r\n :.-0_".utf8) + [0x00, 0x80, 0xC3, 0xA9, 0xFF]
        for _ in 0..<1500 {
            var bytes = Array(seedFile.utf8)
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                let byte =
                    Bool.random(using: &random)
                    ? spice[Int.random(in: 0..<spice.count, using: &random)] : .random(in: 0...255, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes[index] = byte
                case 1: bytes.remove(at: index)
                default: bytes.insert(byte, at: index)
                }
            }
            _ = Self.survives(bytes)
        }
    }

    /// Loads; checks what must hold of any outcome. True when there were no problems.
    private static func survives(_ bytes: [UInt8]) -> Bool {
        let lines = bytes.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
        do throws(ConfigurationErrors) {
            let loaded = try NodeConfiguration.load(fileName: "f", fileBytes: bytes)
            let again = try NodeConfiguration.load(fileName: "f", fileBytes: Array(loaded.iniText.utf8))
            #expect(again.configuration == loaded.configuration)
            return true
        } catch {
            #expect(!error.problems.isEmpty)
            for problem in error.problems {
                guard case .file("f", let line) = problem.origin else {
                    Issue.record("no place: \(problem)")
                    continue
                }
                #expect((1...lines).contains(line))
            }
            #expect(error.description.split(separator: "\n").count == error.problems.count)
            return false
        }
    }
}
