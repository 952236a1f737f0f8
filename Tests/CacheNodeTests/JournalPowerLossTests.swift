import CacheNode
import Glibc
import Journal
import Testing

@Suite("Journal and power loss")
struct JournalPowerLossTests {
    private static let modes: [JournalSettings.Synchronisation] = [.always, .interval(milliseconds: 1), .never]

    /// Segments of a dozen records, or of so many that several sectors of one commit can be lost apart.
    private func settings(_ mode: JournalSettings.Synchronisation, segmentBytes: Int = 1500) -> JournalSettings {
        var settings = JournalSettings(synchronisation: mode, segmentBytes: segmentBytes, compress: true)
        settings.layout = SegmentLayout(growsTo: 400, roomBytes: 2000)
        return settings
    }

    /// What a start on this disk finds, and mends.
    private func start(on disk: SimulatedDisk) throws -> (survivors: HarnessModel, report: RecoveryReport) {
        var survivors = HarnessModel()
        let recovered = try JournalDirectory("/data", files: disk).recover(
            limits: JournalLimits(), codec: HarnessCodec.codec, into: &survivors)
        return (survivors, recovered.report)
    }

    @Test(
        "After power losses at random moments a clean prefix is left, with everything that was durable",
        arguments: modes, 1...40)
    func powerLoss(mode: JournalSettings.Synchronisation, seed: UInt64) throws {
        var random = JournalRandom(seed: seed)
        // Where each commit is synchronised a disk need not keep the order of what it writes.
        var disk = SimulatedDisk(isUnordered: mode == .always)
        let settings = settings(mode, segmentBytes: seed % 2 == 0 ? 1500 : 20_000)
        var expected: [[UInt8]: HarnessEntry] = [:]
        for round in 0..<3 {
            let harness = try JournalHarness(disk, settings: settings, keepsHistory: true)
            #expect(harness.entries == expected, "\(mode), seed \(seed), round \(round)")
            disk.cutPower(atCall: disk.calls + Int.random(in: 1...150, using: &random))
            for step in 0..<400 where harness.service.isOpen {
                guard let sequence = harness.randomChange(using: &random) else { break }
                if step % 7 == 0 { harness.service.requestCommit() }
                if step % 20 == 0, !harness.waitForAcknowledgement(of: sequence) { break }
                if step % 90 == 50, settings.segmentBytes < 2000 { harness.service.requestCompaction() }
            }
            harness.service.close()
            let promised = mode == .always ? harness.service.watermark : harness.service.status.durableSequence
            disk = disk.afterPowerLoss(seed: seed &* 31 &+ UInt64(round))
            let (survivors, report) = try start(on: disk.copy())
            #expect(report.lastSequence >= promised, "\(mode), seed \(seed), round \(round)")
            #expect(report.damageCount == 0 && survivors.losses == 0, "\(mode), seed \(seed): \(report.damaged)")
            let prefix = harness.history(at: report.lastSequence) ?? expected
            #expect(survivors.entries == prefix, "\(mode), seed \(seed), round \(round): not a prefix")
            expected = survivors.entries
        }
    }

    @Test("A process killed at any moment loses nothing that was acknowledged, in every mode", arguments: modes, 1...20)
    func killed(mode: JournalSettings.Synchronisation, seed: UInt64) throws {
        var random = JournalRandom(seed: seed)
        let disk = SimulatedDisk()
        let harness = try JournalHarness(disk, settings: settings(mode), keepsHistory: true)
        for step in 0..<120 {
            guard let sequence = harness.randomChange(using: &random) else { break }
            if step % 5 == 0 { harness.service.requestCommit() }
            if step % 50 == 30 { harness.service.requestCompaction() }
            guard step % 10 == 9 else { continue }
            _ = harness.waitForAcknowledgement(of: sequence - 4)
            let acknowledged = harness.service.watermark
            let image = disk.copy()
            let (survivors, report) = try start(on: image)
            #expect(report.lastSequence >= acknowledged, "\(mode), seed \(seed), step \(step)")
            #expect(report.damageCount == 0, "\(mode), seed \(seed), step \(step): \(report.damaged)")
            #expect(
                survivors.entries == harness.history(at: report.lastSequence), "\(mode), seed \(seed), step \(step)")
        }
        harness.service.close()
    }

    @Test("Where commits are synchronised, a sector lost of one that was acknowledged is damage, not a torn tail")
    func acknowledgedSector() throws {
        let disk = SimulatedDisk()
        let harness = try JournalHarness(disk, settings: settings(.always, segmentBytes: 100_000))
        for index in 0..<40 {
            let sequence = try #require(harness.put(JournalHarness.key(index % 20), [UInt8](repeating: 65, count: 90)))
            #expect(harness.waitForAcknowledgement(of: sequence))
        }
        let path = try #require(disk.paths.first { $0.hasSuffix(".seg") })
        let content = try #require(disk.content(path))
        #expect(content.suffix(100).allSatisfy { $0 == 0 }, "nothing was laid out")
        for sector in 2..<10 {
            let image = disk.copy()
            var lossy = content
            for index in sector * 512..<(sector + 1) * 512 { lossy[index] = 0 }
            image.overwrite(path, lossy)
            let (survivors, report) = try start(on: image)
            #expect(report.damageCount > 0, "sector \(sector)")
            for (key, entry) in survivors.entries { #expect(harness.entries[key] == entry) }
        }
        // A seal says that the last commit was durable, too.
        for index in 0..<20 { harness.put(JournalHarness.key(index), [UInt8](repeating: 66, count: 90)) }
        harness.service.close()
        let closed = try #require(disk.content(path))
        var lossy = closed
        let sector = (closed.count - 1200) / 512 * 512
        for index in sector..<sector + 512 { lossy[index] = 0 }
        let image = disk.copy()
        image.overwrite(path, lossy)
        let (_, report) = try start(on: image)
        #expect(report.damageCount > 0, "the last commit was taken for one under way")
        #expect(closed.last == JournalFormat.endMark, "what was laid out is still there")
    }

    @Test("What is torn of a damaged segment is cut off: the next one's records are not taken for repetitions")
    func tornAndDamaged() throws {
        let disk = SimulatedDisk()
        let settings = settings(.always, segmentBytes: 100_000)
        let value = [UInt8](repeating: 65, count: 90)
        do {
            let harness = try JournalHarness(disk, settings: settings)
            for index in 0..<20 { harness.put(JournalHarness.key(index), value) }
            #expect(harness.waitForAcknowledgement(of: 20))
            // One commit of many sectors.
            disk.inject { operation, _, _ in operation == .synchronise ? .error(EIO) : nil }
            for index in 0..<20 { harness.put(JournalHarness.key(index), [UInt8](repeating: 66, count: 90)) }
            harness.service.requestCommit()
            harness.service.close()
            disk.inject(nil)
        }
        let path = try #require(disk.paths.first { $0.hasSuffix("1.seg") })
        var content = try #require(disk.content(path))
        let end = (content.lastIndex { $0 != 0 } ?? 0) + 1
        let lost = (end - 1500) / 512 * 512
        for index in lost..<lost + 512 { content[index] = 0 }
        content[70] ^= 1
        disk.overwrite(path, content)
        let again = try JournalHarness(disk, settings: settings, beginsUpkeep: false)
        for index in 0..<8 {
            let sequence = try #require(again.put(JournalHarness.key(index), [67]))
            #expect(again.waitForAcknowledgement(of: sequence))
        }
        let expected = again.entries
        let (survivors, _) = try start(on: disk.copy())
        for (key, entry) in survivors.entries { #expect(expected[key] == entry, "an old value is served") }
        for index in 0..<8 { #expect(survivors.entries[JournalHarness.key(index)]?.value == [67]) }
        again.service.close()
    }

    @Test("A sealed segment is cut to its content, and a full disk lays nothing out but takes writes")
    func layout() throws {
        let disk = SimulatedDisk()
        let harness = try JournalHarness(
            disk, settings: settings(.always, segmentBytes: 3000), beginsUpkeep: false)
        disk.inject { operation, path, _ in
            // What is laid out is written in pieces of this size, and nothing else is.
            operation == .write && path.hasSuffix("0000000002.seg") ? .short(1999) : nil
        }
        // So many that the last segment has grown to where it is laid out.
        for index in 0..<64 {
            let sequence = try #require(harness.put(JournalHarness.key(index % 20), [UInt8](repeating: 65, count: 90)))
            #expect(harness.waitForAcknowledgement(of: sequence))
        }
        let segments = disk.paths.filter { $0.hasSuffix(".seg") }
        #expect(segments.count > 2)
        for path in segments.dropLast() {
            #expect(disk.content(path)?.last == JournalFormat.endMark, "\(path) was not cut")
        }
        let killed = disk.copy()
        let (survivors, report) = try start(on: killed)
        #expect(report.isClean && survivors.entries == harness.entries)
        let last = try #require(segments.last)
        #expect(disk.content(last)?.last == 0 && killed.content(last)?.last == JournalFormat.endMark, "not cut")
        harness.service.close()
    }

    @Test("The simulation notices a journal that acknowledges without writing")
    func notices() throws {
        let disk = SimulatedDisk()
        let harness = try JournalHarness(disk, settings: settings(.always))
        // Every write claims success and every sync too, but the disk keeps nothing of them.
        let sequence = try #require(harness.put(JournalHarness.key(1), [49]))
        #expect(harness.waitForAcknowledgement(of: sequence))
        let path = try #require(disk.paths.first { $0.hasSuffix(".seg") })
        disk.overwrite(path, Array(try #require(disk.content(path)).prefix(128)))
        let (_, report) = try start(on: disk.afterPowerLoss(seed: 1))
        #expect(report.lastSequence < sequence)
        harness.service.close()
    }
}
