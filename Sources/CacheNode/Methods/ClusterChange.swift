// cluster.connect, cluster.remove, cluster.leave: an operator's words about who belongs to the cluster.

import Configuration
import JSONRPC
import Membership
import NIOCore

enum ClusterChange {
    private static let addressSchema: StaticString = #"{"type":"string","pattern":"^.+:[0-9]{1,5}$"}"#

    static let connect = RPCMethod(
        name: "cluster.connect",
        summary: "Connects this node to a peer: it joins the peer's cluster, or the peer joins this one's.",
        parameters: [.required("address", addressSchema, "host:port of the peer.")],
        resultSchema: #"{"type":"object","required":["connected"],"properties":{"connected":{"type":"boolean"}}}"#
    ) { context, arguments throws(MethodFailure) in
        let address = try address(arguments, context)
        context.node.cluster.connect(to: address)
        context.reply.append("{\"connected\":true}")
    }

    static let remove = RPCMethod(
        name: "cluster.remove",
        summary: "Declares the member at an address dead: it is told to go, and its keys move to the next nodes.",
        parameters: [.required("address", addressSchema, "host:port of the member.")],
        resultSchema: #"{"type":"object","required":["removed"],"properties":{"removed":{"type":"boolean"}}}"#
    ) { context, arguments throws(MethodFailure) in
        let address = try address(arguments, context)
        let isMember = context.thread.routing.view?.members.contains { $0.address == address } ?? false
        if isMember { context.node.cluster.remove(address: address) }
        context.reply.append(isMember ? "{\"removed\":true}" : "{\"removed\":false}")
    }

    static let leave = RPCMethod(
        name: "cluster.leave",
        summary: "Hands this node's keys over to the others, then leaves; cluster.connect brings it back.",
        resultSchema: #"{"type":"object","required":["left"],"properties":{"left":{"type":"boolean"}}}"#,
        answersLater: true
    ) { context, _ throws(MethodFailure) in
        let pending = context.pendingMessage()
        let mark = context.reply.mark
        let slot = pending.addSlot(from: mark, to: mark, id: context.callID)
        let loop = context.thread.loop
        let bound = NIOLoopBound(pending, eventLoop: loop)
        context.node.cluster.leave { hasLeft in
            loop.execute {
                var result = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
                result.append(hasLeft ? "{\"left\":true}" : "{\"left\":false}")
                bound.value.settle(slot, .result(result))
            }
        }
    }

    static let leaving = RPCMethod(
        name: "peer.leaving",
        summary: "Asks the coordinator whether a member may leave now; one does at a time.",
        parameters: [.required("member", #"{"type":"string"}"#, "Who asks.")],
        resultSchema: #"{"type":"boolean"}"#,
        answersLater: true
    ) { context, arguments throws(MethodFailure) in
        guard let value = arguments[0], let id = string(of: value, in: context.body) else {
            throw MethodFailure(.invalidParams)
        }
        let pending = context.pendingMessage()
        let mark = context.reply.mark
        let slot = pending.addSlot(from: mark, to: mark, id: context.callID)
        let loop = context.thread.loop
        let bound = NIOLoopBound(pending, eventLoop: loop)
        context.node.cluster.mayLeave(MemberID(id)) { mayLeave in
            loop.execute {
                var result = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
                result.append(mayLeave ? "true" : "false")
                bound.value.settle(slot, .result(result))
            }
        }
    }

    private static func address(
        _ arguments: borrowing BoundParameters, _ context: CallContext
    ) throws(MethodFailure) -> String {
        let path = ParameterPath("address")
        guard let value = arguments[0], let text = string(of: value, in: context.body) else {
            throw .invalid(path, "must be a string")
        }
        do throws(ValueProblem) {
            return try Endpoint(parsing: text).description
        } catch {
            throw .invalid(path, "must be host:port")
        }
    }
}
