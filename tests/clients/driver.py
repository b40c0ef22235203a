"""What the Python drivers share: settings from the environment, the time limit, one line of JSON. See driver.mjs."""

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path

TIME_LIMIT = 60
MISSING = [name for name in ("MCP_URL", "STATE_DIR", "TOOL") if not os.environ.get(name)]
if MISSING:
    print(json.dumps({"ok": False, "error": f"set {', '.join(MISSING)}"}))
    sys.exit(2)

URL = os.environ["MCP_URL"]
STATE_DIR = Path(os.environ["STATE_DIR"])
TOOL = os.environ["TOOL"]
ARGUMENTS = json.loads(os.environ.get("ARGUMENTS", "{}"))
PROTOCOL = os.environ.get("PROTOCOL")
AUTH_METHOD = os.environ.get("AUTH_METHOD", "none")
REDIRECT_URI = os.environ.get("REDIRECT_URI", "http://localhost:43110/callback")
CLIENT_ID = os.environ.get("CLIENT_ID")
CLIENT_SECRET = os.environ.get("CLIENT_SECRET")
CLIENT_METADATA_URL = os.environ.get("CLIENT_METADATA_URL")
BROWSER = Path(__file__).resolve().parent / "browser.mjs"
CLOCK_AHEAD = float(os.environ.get("CLOCK_AHEAD", "0"))
BROWSER_LOG = STATE_DIR / f"browser-{os.getpid()}.log"

STATE_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
os.environ["BROWSER_LOG"] = str(BROWSER_LOG)

machine_time = time.time
time.time = lambda: machine_time() + CLOCK_AHEAD


def drive(client, package, session):
    """Runs the coroutine function `session`, which gives (tools, result), prints the report and ends the process."""
    started = time.monotonic()
    report = {"client": client, "version": version(package), "ok": False}
    signal.signal(signal.SIGALRM, lambda *_: _finish({**report, "error": f"no result within {TIME_LIMIT} s"}, started))
    signal.alarm(TIME_LIMIT)
    try:
        tools, result = asyncio.run(session())
    except BaseException as error:
        traceback.print_exc()
        _finish({**report, "error": _cause(error)}, started)
    text = "".join(getattr(part, "text", "") for part in result.content)
    _finish({**report, "ok": not result.is_error, "tools": [tool.name for tool in tools], "text": text}, started)


def browser_events():
    """What the browser did in this run, as it wrote to its log."""
    return [json.loads(line) for line in BROWSER_LOG.read_text().splitlines()] if BROWSER_LOG.exists() else []


async def session_or_lost_browser(session):
    """Gives what `session` gives, but fails at once when the browser fails and no callback can arrive."""
    task = asyncio.ensure_future(session)
    while not (await asyncio.wait([task], timeout=0.2))[0]:
        failure = next((event["error"] for event in browser_events() if event["event"] == "failed"), None)
        if failure:
            task.cancel()
            raise RuntimeError(f"browser: {failure}")
    return task.result()


def _finish(report, started):
    browser = browser_events()
    BROWSER_LOG.unlink(missing_ok=True)
    report["signed_in"] = any(event["event"] == "opened" for event in browser)
    report["forms"] = [form for event in browser for form in event.get("forms", [])]
    report["milliseconds"] = round((time.monotonic() - started) * 1000)
    print(json.dumps(report), flush=True)
    os._exit(0 if report["ok"] else 1)


def _cause(error):
    """The innermost error of nested exception groups: the outer ones only wrap it."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
