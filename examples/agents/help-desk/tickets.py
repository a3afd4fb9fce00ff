#!/usr/bin/env python3
"""A help desk as an MCP server, for the example: it keeps tickets in a file.

    tickets.py FILE

It needs nothing but Python 3.8. Each line of its input is a request, each line of its output an answer (MCP over stdio). It speaks
the protocol of 2026-07-28 and the one before it. A real server is better made with an SDK: https://modelcontextprotocol.io
"""

import json
import sys
import time

PHONE = {"type": "string", "description": "The number of the caller."}
TOOLS = [
    {
        "name": "open_ticket",
        "description": "Abre un ticket. Antes, resume el problema y pregunta si es correcto.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "title": {"type": "string", "minLength": 3, "maxLength": 80, "description": "El problema en una frase."},
                "details": {"type": "string", "maxLength": 500, "description": "Desde cuándo, a quién afecta."},
                "phone": PHONE,
            },
            "required": ["title", "phone"],
        },
    },
    {
        "name": "find_tickets",
        "description": "Los tickets de quien llama, el último primero.",
        "inputSchema": {"type": "object", "properties": {"phone": PHONE}, "required": ["phone"]},
    },
    {
        "name": "delete_all",
        "description": "Borra todos los tickets.",
        "inputSchema": {"type": "object", "properties": {}},
    },
]


def tickets(path):
    """All tickets, in the order in which they were opened."""
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []


def call(path, name, arguments):
    """Carries a tool out. What goes wrong is an error of the tool, which the assistant can speak about."""
    if name == "open_ticket":
        ticket = {
            "number": 4711 + len(tickets(path)),
            "title": arguments["title"],
            "details": arguments.get("details", ""),
            "phone": arguments["phone"],
            "opened": time.strftime("%Y-%m-%d %H:%M"),
            "state": "open",
        }
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(ticket, ensure_ascii=False) + "\n")
        return {"number": ticket["number"]}
    if name == "find_tickets":
        own = [ticket for ticket in tickets(path) if ticket["phone"] == arguments["phone"]]
        return {"tickets": own[::-1]}
    if name == "delete_all":
        open(path, "w", encoding="utf-8").close()
        return {}
    raise ValueError(f"no such tool: {name}")


def result(path, method, params):
    """The result of a request, or None if the method is not known."""
    if method == "server/discover":
        found = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "public"}
        return {"resultType": "complete", **found}
    if method == "initialize":
        info = {"name": "tickets", "version": "1.0"}
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"resultType": "complete", "tools": TOOLS, "ttlMs": 600_000, "cacheScope": "public"}
    if method == "tools/call":
        try:
            found = call(path, params["name"], params.get("arguments", {}))
            text, is_error = json.dumps(found, ensure_ascii=False), False
        except KeyError as error:
            found, text, is_error = None, f"missing: {error}", True
        except Exception as error:
            found, text, is_error = None, str(error), True
        answer = {"resultType": "complete", "content": [{"type": "text", "text": text}], "isError": is_error}
        return answer if is_error else {**answer, "structuredContent": found}
    return None


def main():
    path = sys.argv[1]
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request or "method" not in request:
            continue
        found = result(path, request["method"], request.get("params", {}))
        answer = {"result": found} if found is not None else {"error": {"code": -32601, "message": "no such method"}}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}), flush=True)


main()
