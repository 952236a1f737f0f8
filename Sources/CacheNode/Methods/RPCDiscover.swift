// rpc.discover and /openrpc.json: the API's description, generated from the table that dispatches (OpenRPC 1.2.6).

import JSONRPC

enum RPCDiscover {
    static let one = RPCMethod(
        name: "rpc.discover",
        summary: "Describes every method: the OpenRPC document of this node.",
        resultSchema: #"{"type":"object"}"#
    ) { context, _ throws(MethodFailure) in
        OpenRPCDocument.write(MethodTable.all, into: &context.reply)
    }
}

/// Writes an OpenRPC document.
enum OpenRPCDocument {
    static func write(_ methods: [RPCMethod], into sink: inout some ByteSink) {
        sink.append(
            """
            {"openrpc":"1.2.6","info":{"title":"SpyderCache","version":"1.0.0",\
            "description":"A distributed in-memory cache: JSON-RPC 2.0 over HTTP. POST to /rpc."},"methods":[
            """)
        for (index, method) in methods.enumerated() {
            if index > 0 { sink.append(",") }
            sink.append("\n{\"name\":\"")
            sink.append(method.name)
            sink.append("\",\"summary\":")
            sink.appendJSONString("\(method.summary)")
            sink.append(",\"paramStructure\":\"either\",\"params\":[")
            for (index, parameter) in method.parameters.enumerated() {
                if index > 0 { sink.append(",") }
                sink.append("\n  {\"name\":\"")
                sink.append(parameter.name)
                sink.append("\",\"summary\":")
                sink.appendJSONString("\(parameter.summary)")
                sink.append(",\"required\":")
                sink.append(parameter.isRequired ? "true" : "false")
                sink.append(",\"schema\":")
                sink.append(parameter.schema)
                sink.append("}")
            }
            sink.append("],\n \"result\":{\"name\":\"result\",\"schema\":")
            sink.append(method.resultSchema)
            sink.append("}}")
        }
        sink.append("],\n\"components\":{\"errors\":{")
        for (index, code) in RPCErrorCode.allCases.enumerated() {
            if index > 0 { sink.append(",") }
            sink.append("\n\"")
            sink.append(decimal: Int64(code.rawValue))
            sink.append("\":{\"code\":")
            sink.append(decimal: Int64(code.rawValue))
            sink.append(",\"message\":\"")
            sink.append(code.message)
            sink.append("\"}")
        }
        sink.append("}}}")
    }
}
