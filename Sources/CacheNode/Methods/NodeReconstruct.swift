// node.reconstruct: reads the journal again on the fly, as the reconstruct.py script asks.

import HashRing
import JSONRPC

enum NodeReconstruct {
    static let one = RPCMethod(
        name: "node.reconstruct",
        summary: "Brings back from the journal, also one put aside at start, what is missing and was not removed.",
        resultSchema: """
            {"type":"object","required":["records","keys","droppedBytes"],"properties":{\
            "records":{"type":"integer"},"keys":{"type":"integer"},"droppedBytes":{"type":"integer"}}}
            """,
        runsOffLoop: true, isLong: true
    ) { context, _ throws(MethodFailure) in
        let started = NodeClock.monotonicMilliseconds()
        let table = context.thread.routing
        let report = try context.node.storage.reread { table.servesAlone || table.isHolder(at: RingHash.hash($0)) }
        if !table.servesAlone { context.node.cluster.missedReplica() }
        context.node.log.emit(
            .nodeReconstructed,
            [
                "records": .int(report.records), "keys": .int(report.keys),
                "droppedBytes": .int(report.droppedBytes),
                "durationMs": .int(Int(NodeClock.monotonicMilliseconds() - started)),
            ])
        var writer = ObjectWriter(sink: context.reply)
        writer.open()
        writer.integer("records", Int64(report.records))
        writer.integer("keys", Int64(report.keys))
        writer.integer("droppedBytes", Int64(report.droppedBytes))
        writer.close()
        context.reply = writer.sink
    }
}
