import CacheNode
import Journal
import Testing

@Suite("Journal and power loss")
struct JournalPowerLossTests {
    private static let modes: [JournalSettings.Synchronisation] = [.always, .interval(milliseconds: 1), .never]

    private func settings(_ mode: JournalSettings.Synchronisation) -> JournalSettings {
        JournalSettings(synchronisation: mode, segmentBytes: 1500, compress: true)
    }

    @Test(
        "After power losses at random moments a clean prefix is left, with everything that was durable",
        arguments: modes, 1...40)
    func powerLoss(mode: JournalSettings.Synchronisation, seed: UInt64) throws {
        var random = JournalRandom(seed: seed)
        var disk = SimulatedDisk()
        var expected: [[UInt8]: HarnessEntry] = [:]
        for round in 0..<3 {
            let harness = try JournalHarness(disk, settings: settings(mode), keepsHistory: true)
            #expect(harness.entries == expected, "\(mode), seed \(seed), round \(round)")
            disk.cutPower(atCall: disk.calls + Int.random(in: 1...150, using: &random))
            for step in 0..<400 where harness.service.isOpen {
                guard let sequence = harness.randomChange(using: &random) else { break }
                if step % 7 == 0 { harness.service.requestCommit() }
                if step % 20 == 0, !harness.waitForAcknowledgement(of: sequence) { break }
                if step % 90 == 50 { harness.service.requestCompaction() }
            }
            harness.service.close()
            let promised = mode == .always ? harness.service.watermark : harness.service.status.durableSequence
            disk = disk.afterPowerLoss(seed: seed &* 31 &+ UInt64(round))
            var survivors = HarnessModel()
            let inspected = try JournalDirectory("/data", files: disk.copy())
            let report = try inspected.recover(
                limits: JournalLimits(), codec: HarnessCodec.codec, into: &survivors
            ).report
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
            var survivors = HarnessModel()
            let report = try JournalDirectory("/data", files: image).recover(
                limits: JournalLimits(), codec: HarnessCodec.codec, into: &survivors
            ).report
            #expect(report.lastSequence >= acknowledged, "\(mode), seed \(seed), step \(step)")
            #expect(report.damageCount == 0, "\(mode), seed \(seed), step \(step): \(report.damaged)")
            #expect(
                survivors.entries == harness.history(at: report.lastSequence), "\(mode), seed \(seed), step \(step)")
        }
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
        var survivors = HarnessModel()
        let report = try JournalDirectory("/data", files: disk.afterPowerLoss(seed: 1)).recover(
            limits: JournalLimits(), codec: HarnessCodec.codec, into: &survivors
        ).report
        #expect(report.lastSequence < sequence)
        harness.service.close()
    }
}
