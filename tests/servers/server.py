#!/usr/bin/env python3
"""A server as the Python packages make it: server.py mcp1|mcp2|fastmcp http|sse PORT

mcp1 is the official SDK 1.x, mcp2 the official SDK 2.x, fastmcp the package FastMCP. All serve with uvicorn, which
makes its redirects absolute, with the scheme of X-Forwarded-Proto.
"""

import sys

LIBRARY, TRANSPORT, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])


def new_server():
    if LIBRARY == "mcp1":
        from mcp.server.fastmcp import Context, FastMCP

        return FastMCP("everyday", host="127.0.0.1", port=PORT), Context
    if LIBRARY == "mcp2":
        from mcp.server.mcpserver import Context, MCPServer

        return MCPServer("everyday"), Context
    from fastmcp import Context, FastMCP

    return FastMCP("everyday"), Context


server, Context = new_server()


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
async def count(to: int, ctx: Context) -> str:
    """Counts, and reports each step as progress."""
    for step in range(1, to + 1):
        await ctx.report_progress(step, to)
    return f"counted to {to}"


@server.tool()
def refuse() -> str:
    """Fails always."""
    raise ValueError("no")


@server.prompt()
def greet(name: str) -> str:
    """Asks for a greeting."""
    return f"Greet {name}."


@server.resource("text://motd")
def motd() -> str:
    """The message of the day."""
    return "Ünïcode ☃"


@server.resource("text://person/{name}")
def person(name: str) -> str:
    """A person."""
    return name


def run():
    transport = {"http": "streamable-http", "sse": "sse"}[TRANSPORT]
    if LIBRARY == "mcp1":
        server.run(transport)
    else:
        server.run(transport, host="127.0.0.1", port=PORT)


run()
