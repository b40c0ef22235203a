#!/usr/bin/env python3
"""The Python SDK (`mcp` 2.x) against $MCP_URL, with its OAuthClientProvider and files for storage."""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import driver
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken


class FileStorage(TokenStorage):
    """Tokens and registration as JSON files in $STATE_DIR; a client given by $CLIENT_ID stands in for a registration."""

    def __init__(self):
        self.tokens = driver.STATE_DIR / "python-tokens.json"
        self.client = driver.STATE_DIR / "python-client.json"

    async def get_tokens(self):
        return OAuthToken.model_validate_json(self.tokens.read_text()) if self.tokens.exists() else None

    async def set_tokens(self, tokens):
        self.tokens.write_text(tokens.model_dump_json(exclude_none=True))

    def expires_at(self):
        """When the stored access token ends, in seconds since 1970; None without one."""
        if not self.tokens.exists():
            return None
        lifetime = json.loads(self.tokens.read_text()).get("expires_in")
        return lifetime and self.tokens.stat().st_mtime + lifetime

    async def get_client_info(self):
        if driver.CLIENT_ID:
            given = {"client_id": driver.CLIENT_ID, "client_secret": driver.CLIENT_SECRET}
            return OAuthClientInformationFull(**metadata().model_dump(exclude_none=True), **given)
        return OAuthClientInformationFull.model_validate_json(self.client.read_text()) if self.client.exists() else None

    async def set_client_info(self, client_info):
        self.client.write_text(client_info.model_dump_json(exclude_none=True))


class BrowserLogin:
    """Opens the authorization URL in the browser script and stores the redirect URI that it reaches."""

    def __init__(self):
        self.callback = ""

    async def redirect(self, url):
        browser = await asyncio.create_subprocess_exec(driver.BROWSER, "--print", url, stdout=asyncio.subprocess.PIPE)
        output, _ = await browser.communicate()
        if browser.returncode:
            raise RuntimeError(next(event["error"] for event in driver.browser_events() if event["event"] == "failed"))
        self.callback = output.decode().strip()

    async def result(self):
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.callback).query).items()}
        if "error" in query:
            raise RuntimeError(f"the authorization ended with {query['error']}: {query.get('error_description')}")
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


def metadata():
    return OAuthClientMetadata(
        client_name="Gateway test client",
        redirect_uris=[driver.REDIRECT_URI],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method=driver.AUTH_METHOD,
    )


async def session():
    login, storage = BrowserLogin(), FileStorage()
    provider = OAuthClientProvider(
        driver.URL,
        metadata(),
        storage,
        login.redirect,
        login.result,
        client_metadata_url=driver.CLIENT_METADATA_URL,
    )
    # The SDK does not store this, and without it opens the browser again instead of refreshing a stored token.
    provider.context.token_expiry_time = storage.expires_at()
    mode = {"mode": driver.PROTOCOL} if driver.PROTOCOL else {}
    async with create_mcp_http_client(auth=provider) as http:
        async with Client(streamable_http_client(driver.URL, http_client=http), **mode) as client:
            tools = (await client.list_tools()).tools
            return tools, await client.call_tool(driver.TOOL, driver.ARGUMENTS)


driver.drive("python-sdk", "mcp", session)
