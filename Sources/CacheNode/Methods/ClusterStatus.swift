// cluster.members, cluster.status, cluster.ring, cluster.owner: the cluster as this node sees it.

import HashRing
import JSONRPC
import Membership

enum ClusterStatus {
    private static let memberSchema: StaticString = """
        {"type":"object","required":["members","coordinator","epoch"],"properties":{"members":{"type":"array","items":\
        {"type":"object","required":["id","address","state","role","incarnation"]}},\
        "coordinator":{"type":["string","null"]},"epoch":{"type":"integer"}}}
        """

    static let members = RPCMethod(
        name: "cluster.members",
        summary: "All known nodes with their state and role, the coordinator and the epoch of the view.",
        resultSchema: memberSchema
    ) { context, _ throws(MethodFailure) in
        var writer = ObjectWriter(sink: context.reply)
        writer.open()
        write(members: context, &writer)
        writer.close()
        context.reply = writer.sink
    }

    static let status = RPCMethod(
        name: "cluster.status",
        summary: "Whether this node serves, how far hand-off is, how many keys lack copies, and the view.",
        resultSchema: """
            {"type":"object","required":["node","ready","acting","epoch","coordinator","members","handoffPercent",\
            "underReplicated","topology"],"properties":{"node":{"type":"string"},"ready":{"type":"boolean"},\
            "acting":{"type":"boolean"},"epoch":{"type":"integer"},"handoffPercent":{"type":"integer"},\
            "underReplicated":{"type":"integer"},"topology":{"enum":["static","etcd"]}}}
            """
    ) { context, _ throws(MethodFailure) in
        let node = context.node
        let table = context.thread.routing
        let progress = node.cluster.progress
        var writer = ObjectWriter(sink: context.reply)
        writer.open()
        writer.string("node", node.nodeID)
        writer.string("cluster", node.configuration.network.cluster)
        writer.string("topology", node.configuration.network.topology.rawValue)
        writer.boolean("ready", node.isReady)
        writer.boolean("acting", node.cluster.routing.mayAct(now: NodeClock.monotonicMilliseconds()))
        writer.boolean("serving", table.isServing)
        writer.integer("replicas", Int64(node.configuration.network.replicas))
        writer.boolean("degraded", table.isServing && table.availableReplicas < node.configuration.network.replicas)
        writer.integer("handoffPercent", Int64(progress.percent))
        writer.integer("underReplicated", Int64(progress.underReplicated))
        write(members: context, &writer)
        writer.close()
        context.reply = writer.sink
    }

    static let ring = RPCMethod(
        name: "cluster.ring",
        summary: "The hash ring: the part of all keys that each serving member owns.",
        resultSchema: """
            {"type":"object","required":["epoch","virtualNodes","members"],"properties":{"epoch":{"type":"integer"},\
            "virtualNodes":{"type":"integer"},"members":{"type":"array"}}}
            """
    ) { context, _ throws(MethodFailure) in
        let table = context.thread.routing
        var writer = ObjectWriter(sink: context.reply)
        writer.open()
        writer.integer("epoch", Int64(clamping: table.epoch.number))
        writer.integer("virtualNodes", Int64(context.node.configuration.network.virtualNodes))
        writer.name("members")
        writer.sink.append("[")
        for (index, (id, share)) in zip(table.ring.members, table.ring.shares()).enumerated() {
            if index > 0 { writer.sink.append(",") }
            writer.open()
            writer.string("id", id)
            writer.ratio("share", thousandths: Int64(share * 1000))
            writer.close()
        }
        writer.sink.append("]")
        writer.close()
        context.reply = writer.sink
    }

    static let owner = RPCMethod(
        name: "cluster.owner",
        summary: "Which node owns a key, and which hold its replicas.",
        parameters: [.required("key", CacheGet.keySchema, "The key.")],
        resultSchema: """
            {"type":"object","required":["owner","replicas","epoch"],"properties":{"owner":{"type":["string","null"]},\
            "replicas":{"type":"array","items":{"type":"string"}},"epoch":{"type":"integer"}}}
            """
    ) { context, arguments throws(MethodFailure) in
        guard let value = arguments[0] else { throw MethodFailure(.invalidParams) }
        let key = try context.key(value, ParameterPath("key"))
        let table = context.thread.routing
        let owners = table.owners(of: key.bytes)
        var writer = ObjectWriter(sink: context.reply)
        writer.open()
        if let owner = owners.first { writer.string("owner", owner) } else { writer.null("owner") }
        writer.strings("replicas", Array(owners.dropFirst()))
        writer.integer("epoch", Int64(clamping: table.epoch.number))
        writer.close()
        context.reply = writer.sink
    }

    private static func write(members context: CallContext, _ writer: inout ObjectWriter<ReplyBuffer>) {
        let table = context.thread.routing
        writer.integer("epoch", Int64(clamping: table.epoch.number))
        if let coordinator = table.view?.coordinator {
            writer.string("coordinator", coordinator.text)
        } else {
            writer.null("coordinator")
        }
        writer.name("members")
        writer.sink.append("[")
        for (index, member) in context.node.cluster.members.enumerated() {
            if index > 0 { writer.sink.append(",") }
            writer.open()
            writer.string("id", member.identity.id.text)
            writer.string("address", member.identity.address)
            writer.string("state", member.state.rawValue)
            writer.string("role", table.role(of: member.identity.id))
            writer.integer("incarnation", Int64(clamping: member.identity.incarnation))
            writer.close()
        }
        writer.sink.append("]")
        writer.needsCommaNext()
    }
}
