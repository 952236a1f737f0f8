"""What the scripts beside this file share: arguments, one JSON-RPC call over HTTP, exit statuses.

Python's standard library only, 3.8 or newer. Values are never rebuilt from parsed numbers: replies are cut at the byte
positions where a member's value starts and ends, so 1e400 or 0.1000 is printed exactly as the node stores it.
"""

import argparse
import http.client
import json
import os
import sys

FAILED = 2  # every script's exit status for an error; 0 and 1 are the script's own answers


class Failure(Exception):
    """An error to be told in one line on stderr, with exit status 2."""


class NodeError(Failure):
    """What the node answered is an error, or no answer to this call: it is there."""


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(message + " (--help shows how it is called)")


def _not_json(name):
    raise ValueError(name + " is not JSON")


# Numbers stay text: neither a float's rounding nor Python's limit on digits comes into play.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_not_json)
_SPACE = " \t\n\r"


def parser(description, *positionals):
    """An argument parser with the script's positionals, then HOST and PORT, and the options all scripts have."""
    result = parser_without_node(description, *positionals)
    result.add_argument("host", metavar="HOST", help="name or address of any node; IPv6 with or without brackets")
    result.add_argument("port", metavar="PORT", type=_port)
    return result


def parser_without_node(description, *positionals, timeout=10.0):
    """The same without HOST and PORT, for scripts that learn elsewhere which nodes to ask."""
    result = _Parser(description=description, allow_abbrev=False)
    for name, text in positionals:
        result.add_argument(name.lower(), metavar=name, help=text)
    result.add_argument("--token-file", metavar="F", help="file with the token that the node asks for")
    result.add_argument("--timeout", metavar="S", type=_seconds, default=timeout,
                        help="seconds to wait for the node, each time it is waited for (%(default)g)")
    return result


def parser_with_peer(description):
    """HOST PORT PEER_HOST PEER_PORT: a node, and the member that it is told something about."""
    result = parser(description)
    result.add_argument("peer_host", metavar="PEER_HOST", help="as the node reaches the peer, not as this machine does")
    result.add_argument("peer_port", metavar="PEER_PORT", type=_port)
    return result


def peer_address(options):
    """The JSON text of PEER_HOST:PEER_PORT, brackets around an IPv6 address."""
    host = _without_brackets(utf8_argument(options.peer_host, "PEER_HOST"))
    if not host:
        raise Failure("PEER_HOST is empty")
    return json.dumps(address(host, options.peer_port), ensure_ascii=False)


def run(main):
    """Calls main() and exits with its result; a Failure becomes one line on stderr and status 2."""
    name = os.path.basename(sys.argv[0])
    try:
        status = main()
        sys.stdout.flush()
    except Failure as failure:
        line = " ".join(str(failure).split()) or "failed"
        sys.stderr.buffer.write(("%s: %s\n" % (name, line)).encode("utf-8", "backslashreplace"))
        status = FAILED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = FAILED
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def utf8_argument(text, what):
    """An argument's own bytes as text, whatever the locale; a Failure when they are not UTF-8."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        raise Failure("%s is not valid UTF-8" % what) from None


def valid_json(text, what):
    """The text unchanged when it is one JSON value, else a Failure that says where it stops being one."""
    try:
        _decoder.decode(text)
    except ValueError as error:
        raise Failure("%s is not JSON: %s" % (what, error)) from None
    except RecursionError:
        raise Failure("%s is nested too deeply" % what) from None
    return text


def print_text(text):
    """Text and a newline to stdout as UTF-8, whatever the locale."""
    try:
        data = text.encode("utf-8")
    except UnicodeError:
        raise Failure("the value holds half of a surrogate pair, which has no UTF-8 form") from None
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()


def call(options, method, params):
    """Calls a method with by-name params, a dict of JSON texts, and returns the text of its result."""
    # An empty dict still sends {}: every method takes by-name params.
    members = ",".join("%s:%s" % (json.dumps(name), text) for name, text in params.items())
    body = '{"jsonrpc":"2.0","id":1,"method":%s,"params":{%s}}' % (json.dumps(method), members)
    status, reason, reply = _post(options, _encoded(body))
    answer = _members_of_reply(reply)
    if answer and "error" in answer:
        raise NodeError("%s: %s" % (_node(options), _error_line(answer["error"])))
    if status != 200:
        raise NodeError("%s: HTTP status %d %s" % (_node(options), status, reason))
    if not answer or "result" not in answer or answer.get("id") != "1":
        raise NodeError("%s: the reply is no JSON-RPC response to this call" % _node(options))
    return answer["result"]


def members(text):
    """A JSON object's members as {name: the value's text exactly as it stands}; None when it is no object."""
    def skip(index):
        while index < len(text) and text[index] in _SPACE:
            index += 1
        return index

    index = skip(0)
    if text[index:index + 1] != "{":
        return None
    result = {}
    index = skip(index + 1)
    while text[index:index + 1] == '"':
        name, index = _decoder.raw_decode(text, index)
        index = skip(index)
        if text[index:index + 1] != ":":
            return None
        start = skip(index + 1)
        _, end = _decoder.raw_decode(text, start)
        result[name] = text[start:end]
        index = skip(end)
        if text[index:index + 1] == ",":
            index = skip(index + 1)
    return result if text[index:index + 1] == "}" and skip(index + 1) == len(text) else None


def string_or_json(text):
    """What people want to see of a JSON value: a string's own characters, anything else as it stands."""
    return _decoder.decode(text) if text.startswith('"') else text


def address(host, port):
    """host:port as the configuration and the nodes write it: brackets around an IPv6 address."""
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def _port(text):
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError("'%s' is not a port number" % text)
    return number


def _seconds(text):
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError("'%s' is not a number of seconds" % text)
    return number


def _node(options):
    return address(options.host, options.port)


def _without_brackets(host):
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _encoded(body):
    try:
        return body.encode("utf-8")
    except UnicodeError:
        raise Failure("the value is not valid UTF-8") from None


def headers(options):
    """What every request carries; a Failure when the token file does not hold a token."""
    result = {"Content-Type": "application/json", "Connection": "close"}
    if options.token_file:
        try:
            with open(options.token_file, encoding="ascii") as file:
                token = file.read().strip()
        except (OSError, ValueError) as error:
            raise Failure("token file: %s" % error) from None
        if not token or not token.isprintable() or " " in token:
            raise Failure("token file: %s does not hold one token" % options.token_file)
        result["Authorization"] = "Bearer " + token
    return result


def _post(options, body):
    """Status, reason and body text of one POST /rpc. http.client knows no proxies: the node is asked directly."""
    options.host = _without_brackets(options.host)
    if not options.host:
        raise Failure("HOST is empty")
    request_headers = headers(options)
    connection = http.client.HTTPConnection(options.host, options.port, timeout=options.timeout)
    try:
        connection.request("POST", "/rpc", body, request_headers)
        response = connection.getresponse()
        status, reason, reply = response.status, response.reason, response.read()
    except UnicodeError:
        raise Failure("HOST is neither a name nor an address: %s" % options.host) from None
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Failure("%s closed the connection: %s" % (_node(options), error)) from None
    except OSError as error:  # refused, unreachable, unknown name, timed out
        raise Failure("cannot reach %s: %s" % (_node(options), error.strerror or error)) from None
    except (http.client.HTTPException, ValueError) as error:
        name = type(error).__name__
        raise Failure("%s does not answer as a node does: %s %s" % (_node(options), name, error)) from None
    finally:
        connection.close()
    try:
        return status, reason, reply.decode("utf-8")
    except UnicodeError:
        raise Failure("%s sent a reply that is not valid UTF-8" % _node(options)) from None


def _members_of_reply(reply):
    try:
        return members(reply)
    except (ValueError, RecursionError):
        return None


def _error_line(text):
    error = members(text) or {}
    line = "error %s: %s" % (error.get("code", "?"), string_or_json(error.get("message", '"no message"')))
    return "%s %s" % (line, error["data"]) if "data" in error else line
