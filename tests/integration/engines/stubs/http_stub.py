"""An endpoint that takes docs/engines/http.md's JSON and repeats what it was sent."""

from __future__ import annotations

from aiohttp import web
from serving import Record, application, planned_response, serve

RECORD = web.AppKey("record", Record)


async def answer(request: web.Request) -> web.StreamResponse:
    planned = await request.app[RECORD].next(request)
    if planned is not None:
        if "endless" in planned:
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(100):
                await response.write(b"x" * 65_536)
            return response
        return planned_response(planned)
    turn = await request.json()
    return web.json_response({"reply": f"you said {turn['messages'][-1]['text']}", "usage": {"inputTokens": 3}})


if __name__ == "__main__":
    app, record = application()
    app[RECORD] = record
    app.router.add_route("*", "/agent", answer)
    app.router.add_route("*", "/elsewhere", answer)
    serve(app)
