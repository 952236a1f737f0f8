// GET endpoints for machines that watch the node: probes, metrics, the API's description.

import JSONRPC

enum PlainEndpoints {
    /// The body for a target, and its status and type in `head`.
    static func answer(_ target: RequestFacts.Target, _ node: NodeCore, _ head: inout ResponseHead) -> [UInt8] {
        switch target {
        case .healthz:
            return text("{\"status\":\"alive\",\"node\":", node.nodeID, "}\n")
        case .readyz:
            guard node.isReady else {
                head.status = .unavailable
                let state: StaticString =
                    node.isDraining ? "draining" : node.hasRecovered ? "not serving in its cluster" : "recovering"
                return text("{\"ready\":false,\"reason\":\"\(state)\",\"node\":", node.nodeID, "}\n")
            }
            return text("{\"ready\":true,\"node\":", node.nodeID, "}\n")
        case .metrics:
            head.content = .metrics
            return PrometheusText.render(node)
        case .openRPC:
            var document: [UInt8] = []
            OpenRPCDocument.write(MethodTable.all, into: &document)
            document.append("\n")
            return document
        case .rpc, .root, .peer, .unknown:
            preconditionFailure("only plain endpoints come here")
        }
    }

    private static func text(_ before: String, _ nodeID: String, _ after: String) -> [UInt8] {
        var body = Array(before.utf8)
        body.appendJSONString(nodeID)
        body.append(contentsOf: after.utf8)
        return body
    }
}
