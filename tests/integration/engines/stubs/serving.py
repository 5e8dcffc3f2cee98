"""What every stub shares: a free port, told on the first line of its output, and a record of what it was asked."""

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import web


class Record:
    """Requests that came, and answers that are to be given before the ordinary one."""

    def __init__(self) -> None:
        self.requests: list[dict[str, object]] = []
        self.planned: list[dict[str, object]] = []

    async def next(self, request: web.Request) -> dict[str, object] | None:
        """Notes a request; the planned answer to it, if one is."""
        raw = await request.text()
        self.requests.append(
            {
                "method": request.method,
                "path": request.path,
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "raw": raw,
                "json": json.loads(raw) if raw else None,
            }
        )
        return self.planned.pop(0) if self.planned else None


def planned_response(planned: dict[str, object]) -> web.Response:
    headers = planned.get("headers") or {}
    body = planned.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    return web.Response(
        status=int(str(planned["status"])),
        text=text,
        content_type=str(planned.get("type", "application/json")),
        headers=headers,  # type: ignore[arg-type]
    )


def application() -> tuple[web.Application, Record]:
    """An application whose `/_plan` takes answers to come and whose `/_requests` tells what came."""
    record = Record()
    app = web.Application(client_max_size=64 << 20)

    async def plan(request: web.Request) -> web.Response:
        record.planned += await request.json()
        return web.json_response({})

    async def forget(request: web.Request) -> web.Response:
        record.planned.clear()
        record.requests.clear()
        return web.json_response({})

    async def requests(request: web.Request) -> web.Response:
        return web.json_response(record.requests)

    app.router.add_post("/_plan", plan)
    app.router.add_post("/_forget", forget)
    app.router.add_get("/_requests", requests)
    return app, record


def serve(app: web.Application) -> None:
    """Serves until the process is ended."""

    async def run() -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        sys.stdout.write(f"http://{host}:{port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

    asyncio.run(run())
