"""`engine.model`: a language model, called by pydantic-ai."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_ai import Agent, ModelSettings, RunUsage, UsageLimits

from switchboard.api.conversation import BODY_MAX, Usage
from switchboard.api.engine import ModelEngine as ModelSpec
from switchboard.api.runtime import SecretFiles
from switchboard.engines import tracing
from switchboard.engines.base import Answer, EngineError, EngineMisconfigured, EngineUnavailable, TurnInput
from switchboard.engines.model import errors, mcp, messages, providers, telemetry
from switchboard.engines.model.providers import FIELD, Built
from switchboard.engines.model.recording import Recorder
from switchboard.engines.secrets import SecretFile
from switchboard.engines.steps import bounded
from switchboard.engines.texts import Redactor, count, sayable

if TYPE_CHECKING:
    from pydantic_ai import RunContext
    from pydantic_ai.messages import AgentStreamEvent

TOOL_RETRIES = 2
"""How often the model may mend a tool call that was not understood, and an empty answer."""

Factory = Callable[[ModelSpec, str | None], Built]


class ModelEngine:
    """Lets a model answer, with tools of MCP servers."""

    def __init__(self, spec: ModelSpec, secrets: Path, *, factory: Factory = providers.build) -> None:
        if spec.instructions_from is not None and not spec.instructions:
            raise EngineMisconfigured(
                "InstructionsMissing",
                f"{FIELD}.instructionsFrom: the ConfigMap's text was not copied into the revision",
            )
        providers.parse(spec)
        key = None
        if spec.api_key is not None:
            key = SecretFile(secrets / SecretFiles.ENGINE_API_KEY, f"{FIELD}.apiKey")
        self._spec = spec
        self._servers = mcp.servers(spec.mcp_servers, secrets)
        self._models = Models(spec, key, factory)
        self._limits = UsageLimits(
            request_limit=spec.limits.requests,
            tool_calls_limit=spec.limits.tool_calls,
            total_tokens_limit=spec.limits.total_tokens,
        )
        self._instrumentation = telemetry.instrumentation()
        self._agent = Agent[TurnInput, str](
            deps_type=TurnInput,
            name=None,
            model_settings=settings(spec),
            retries=TOOL_RETRIES,
        )

    async def answer(self, turn: TurnInput) -> Answer:
        """What the model says."""
        secrets = [value for server in self._servers for value in server.read_headers().values()]
        usage = RunUsage()
        async with self._models.lease() as lease:
            redactor = Redactor([*secrets, *([lease.api_key] if lease.api_key else [])])
            recorder = Recorder(redactor)
            try:
                text = await self._run(turn, lease, recorder, usage)
            except EngineError as error:
                error.usage, error.steps, error.model = _usage(usage), bounded(recorder.steps), self._spec.name
                if error.kind == "ModelUnauthorized" and self._models.rotated(lease):
                    raise EngineUnavailable(
                        "ModelUnauthorized",
                        "the key was replaced while it was in use",
                        usage=error.usage,
                        steps=error.steps,
                        model=error.model,
                    ) from None
                raise
        return Answer(
            sayable(text, BODY_MAX),
            model=recorder.model or self._spec.name,
            usage=_usage(usage),
            steps=bounded(recorder.steps),
        )

    async def _run(self, turn: TurnInput, lease: Lease, recorder: Recorder, usage: RunUsage) -> str:
        model = lease.built.model
        try:
            async with (
                asyncio.timeout(turn.timeout_seconds) as limit,
                mcp.toolsets(self._servers, recorder.redactor) as toolsets,
            ):
                with tracing.joined(turn.trace_id):
                    result = await self._agent.run(
                        messages.prompt(turn, model.profile),
                        message_history=messages.history(turn.history, [server.prefix for server in self._servers]),
                        model=model,
                        instructions=messages.instructions(self._spec.instructions, turn),
                        deps=turn,
                        usage=usage,
                        usage_limits=self._limits,
                        conversation_id=turn.conversation,
                        metadata={"execution": turn.execution, "agent": turn.agent, "revision": turn.revision},
                        toolsets=toolsets,
                        capabilities=[recorder, *self._instrumentation],
                        event_stream_handler=_read_on if self._spec.stream else None,
                        infer_name=False,
                    )
        except Exception as error:
            if limit.expired():
                raise EngineUnavailable("Timeout", f"no answer within {turn.timeout_seconds:g} seconds") from None
            translated = errors.translate(error, recorder.redactor)
            if translated is None:
                raise
            raise translated from (None if isinstance(translated, EngineMisconfigured) else error)
        return result.output

    async def check(self) -> None:
        """Builds the model and reads every secret."""
        for server in self._servers:
            server.read_headers()
        async with self._models.lease():
            pass

    async def close(self) -> None:
        """Closes connections."""
        await self._models.close()


class Lease:
    """A model in use, and the key that it was built with."""

    def __init__(self, built: Built, api_key: str | None, stamp: object) -> None:
        self.built = built
        self.api_key = api_key
        self.stamp = stamp
        self.users = 0


class Models:
    """The model, built anew when its key changes. The one before is closed when its last turn ends."""

    def __init__(self, spec: ModelSpec, key: SecretFile | None, factory: Factory) -> None:
        self._spec = spec
        self._key = key
        self._factory = factory
        self._current: Lease | None = None
        self._building = asyncio.Lock()

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        """The model for one turn.

        Raises:
            EngineMisconfigured: it cannot be built.
        """
        async with self._building:
            lease = await self._take()
        try:
            yield lease
        finally:
            lease.users -= 1
            await self._close_unused(lease)

    def rotated(self, lease: Lease) -> bool:
        """Whether the key was replaced since a lease was given."""
        return self._stamp() != lease.stamp

    async def close(self) -> None:
        """Closes the model, once its turns have ended."""
        current, self._current = self._current, None
        if current is not None:
            await self._close_unused(current)

    async def _take(self) -> Lease:
        stamp = self._stamp()
        if self._current is not None and self._current.stamp == stamp:
            self._current.users += 1
            return self._current
        api_key = None if self._key is None else self._key.read()
        if self._current is not None and self._current.api_key == api_key:
            # kubelet writes all files of a volume anew when one of them changes.
            self._current.stamp = stamp
            self._current.users += 1
            return self._current
        # The first time loads the provider's library, which takes seconds.
        lease = Lease(await asyncio.to_thread(self._factory, self._spec, api_key), api_key, stamp)
        lease.users = 1
        await lease.built.client.__aenter__()
        before, self._current = self._current, lease
        if before is not None:
            await self._close_unused(before)
        return lease

    async def _close_unused(self, lease: Lease) -> None:
        if lease is not self._current and lease.users == 0:
            lease.users = -1  # Closed once.
            await lease.built.client.__aexit__(None, None, None)

    def _stamp(self) -> object:
        return None if self._key is None else self._key.stamp()


def settings(spec: ModelSpec) -> ModelSettings:
    """The settings of each request. The worker retries with the whole turn in mind, so the libraries must not."""
    given = ModelSettings(max_retries=0)
    if spec.settings.temperature is not None:
        given["temperature"] = spec.settings.temperature
    if spec.settings.top_p is not None:
        given["top_p"] = spec.settings.top_p
    if spec.settings.max_tokens is not None:
        given["max_tokens"] = spec.settings.max_tokens
    if spec.settings.parallel_tool_calls is not None:
        given["parallel_tool_calls"] = spec.settings.parallel_tool_calls
    if spec.settings.seed is not None:
        given["seed"] = spec.settings.seed
    return given


async def _read_on(ctx: RunContext[TurnInput], events: AsyncIterable[AgentStreamEvent]) -> None:
    """Makes pydantic-ai stream: an SMS is sent as a whole, so that the pieces are only gathered."""
    async for _ in events:
        pass


def _usage(usage: RunUsage) -> Usage:
    return Usage(
        requests=usage.requests,
        tool_calls=usage.tool_calls,
        input_tokens=count(usage.input_tokens),
        output_tokens=count(usage.output_tokens),
    )
