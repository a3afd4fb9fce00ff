"""A small server of tools for the tests, made with the package `mcp` of PyPI.

    crm.py stdio | crm.py http PORT | crm.py mute

Each call of a tool that writes is a line of the file in $CRM_JOURNAL: what it did, and that it was cancelled.
"""

import asyncio
import os
import sys
import time

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

server = MCPServer("crm")


def note(line: str) -> None:
    with open(os.environ["CRM_JOURNAL"], "a", encoding="utf-8") as journal:
        journal.write(line + "\n")


@server.tool()
def find_customer(phone: str) -> dict[str, str]:
    """Finds a customer by the number."""
    return {"name": "Ana", "phone": phone}


@server.tool()
def open_ticket(title: str, phone: str) -> str:
    """Opens a ticket."""
    note(f"open {title} {phone}")
    return "ticket 4711"


@server.tool()
def fail(text: str) -> str:
    """Fails."""
    raise ToolError(text)


async def wait(name: str, seconds: float) -> str:
    note(f"{name} begins")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        note(f"{name} cancelled")
        raise
    note(f"{name} ends")
    return name


@server.tool()
async def find_slowly(seconds: float) -> str:
    """Reads for so long."""
    return await wait("find_slowly", seconds)


@server.tool()
async def write_slowly(seconds: float) -> str:
    """Writes for so long."""
    return await wait("write_slowly", seconds)


@server.tool()
def die() -> str:
    """Ends the server in the middle of the call."""
    note("die")
    os._exit(1)


@server.tool()
def ask() -> str | InputRequiredResult:
    """Wants a form to be filled in."""
    form = ElicitRequestFormParams(message="Your name?", requested_schema={"type": "object", "properties": {}})
    return InputRequiredResult(input_requests={"who": ElicitRequest(params=form)})


@server.tool()
def variables() -> list[str]:
    """Names the variables of the environment."""
    return sorted(os.environ)


if sys.argv[1] == "mute":
    time.sleep(600)
elif sys.argv[1] == "http":
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
else:
    server.run("stdio")
