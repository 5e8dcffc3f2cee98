"""A bare aiohttp handler that parses the form and answers: what a webhook can cost at the least, the usual way."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web


async def receive(request: web.Request) -> web.Response:
    await request.post()
    return web.Response(text="<Response/>", content_type="text/xml")


async def main(port: int) -> None:
    app = web.Application()
    app.router.add_post("/{path:.*}", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
