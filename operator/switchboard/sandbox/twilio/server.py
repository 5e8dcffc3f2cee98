"""The simulator as an application, and as a context manager for tests."""

from types import TracebackType
from typing import Self

from aiohttp import web

from switchboard.sandbox.twilio import api_messages, api_messaging, api_numbers, builder, control_api
from switchboard.sandbox.twilio.control import Control
from switchboard.sandbox.twilio.control_models import Config
from switchboard.sandbox.twilio.http import WORLD, api
from switchboard.sandbox.twilio.inbound import Inbound
from switchboard.sandbox.twilio.opt_out import OptOuts
from switchboard.sandbox.twilio.outbound import Outbound
from switchboard.sandbox.twilio.webhooks import Webhooks
from switchboard.sandbox.twilio.world import World


class TwilioSimulator:
    """`async with TwilioSimulator() as twilio:` serves on `twilio.url`; `twilio.control` orders what is to happen.

    `port` 0 takes a free one. Raises OSError if the port is taken.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, config: Config | None = None) -> None:
        self.world = World()
        self.url = ""
        self._host, self._port = host, port
        self._config = config or Config()
        self._webhooks = Webhooks(self.world)
        self._outbound = Outbound(self.world, self._webhooks)
        self._runner: web.AppRunner | None = None
        self._control: Control | None = None

    @property
    def control(self) -> Control:
        """A client of the control API, closed with the simulator."""
        if self._control is None:
            self._control = Control(self.url)
        return self._control

    async def start(self) -> None:
        world = self.world
        world.settings = self._config.settings
        for account in self._config.accounts:
            builder.add_account(world, account)
        app = web.Application(middlewares=[api, control_api.errors], client_max_size=64 * 1024 * 1024)
        app[WORLD] = world
        app[api_messages.OUTBOUND] = self._outbound
        app[control_api.INBOUND] = Inbound(world, self._webhooks, self._outbound, OptOuts(world))
        for module in (api_numbers, api_messages, api_messaging, control_api):
            app.add_routes(module.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        shown = "127.0.0.1" if self._host == "0.0.0.0" else self._host
        self.url = world.base_url = f"http://{shown}:{port}"

    async def close(self) -> None:
        if self._control is not None:
            await self._control.close()
        await self._outbound.close()
        await self._webhooks.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
