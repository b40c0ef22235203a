#!/usr/bin/env python3
"""FastMCP 4.x's client against $MCP_URL, with its own OAuth: callback server, preflight, and $BROWSER opened by Python."""

import os
import shlex

import driver

# The ampersand makes Python's webbrowser not wait for the browser: FastMCP listens only after it has opened one.
os.environ["BROWSER"] = f"{shlex.quote(str(driver.BROWSER))} %s &"

from fastmcp import Client  # noqa: E402
from fastmcp.client.auth import OAuth  # noqa: E402
from key_value.aio.stores.filetree import (  # noqa: E402
    FileTreeStore,
    FileTreeV1CollectionSanitizationStrategy,
    FileTreeV1KeySanitizationStrategy,
)


def oauth():
    given = {"client_id": driver.CLIENT_ID, "client_secret": driver.CLIENT_SECRET} if driver.CLIENT_ID else {}
    metadata = {"token_endpoint_auth_method": driver.AUTH_METHOD}
    return OAuth(token_storage=storage(), additional_client_metadata=metadata, **given)


def storage():
    directory = driver.STATE_DIR / "fastmcp"
    directory.mkdir(mode=0o700, exist_ok=True)
    return FileTreeStore(
        data_directory=directory,
        key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(directory),
        collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(directory),
    )


async def use_tool():
    mode = {"mode": driver.PROTOCOL} if driver.PROTOCOL else {}
    async with Client(driver.URL, auth=oauth(), **mode) as client:
        tools = await client.list_tools()
        return tools, await client.call_tool(driver.TOOL, driver.ARGUMENTS, raise_on_error=False)


async def session():
    return await driver.session_or_lost_browser(use_tool())


driver.drive("python-fastmcp", "fastmcp-slim", session)
