"""Records what a run does: each request to the model and each call of a tool becomes a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_core import to_json

from switchboard.api.conversation import Step
from switchboard.engines.base import TurnInput
from switchboard.engines.model.errors import describe
from switchboard.engines.steps import Stopwatch
from switchboard.engines.texts import MODEL_MAX, RESULT_MAX, Redactor

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_ai import ModelRetry, RunContext
    from pydantic_ai.capabilities import WrapModelRequestHandler, WrapToolExecuteHandler
    from pydantic_ai.models import ModelRequestContext
    from pydantic_ai.tools import ToolDefinition


@dataclass
class Recorder(AbstractCapability[TurnInput]):
    """Steps of one run, free of secrets and within bounds, also of a run that was broken off."""

    redactor: Redactor
    steps: list[Step] = field(default_factory=list)
    model: str | None = None
    """The model that answered last, by its own account."""

    async def wrap_model_request(
        self,
        ctx: RunContext[TurnInput],
        *,
        request_context: ModelRequestContext,
        handler: WrapModelRequestHandler,
    ) -> ModelResponse:
        """Times a request to the model."""
        watch, name = Stopwatch(), request_context.model.model_name
        try:
            response = await handler(request_context)
        except BaseException as error:
            self.steps.append(watch.step("ModelRequest", name, error=self._error(error)))
            raise
        self.model = self.redactor.clean(response.model_name or name, MODEL_MAX)
        tokens = f"{response.usage.input_tokens} tokens in, {response.usage.output_tokens} out"
        calls = ", ".join(part.tool_name for part in response.parts if isinstance(part, ToolCallPart))
        told = f"{tokens}; calls {calls}" if calls else tokens
        self.steps.append(watch.step("ModelRequest", self.model, result=told))
        return response

    async def on_tool_validate_error(
        self,
        ctx: RunContext[TurnInput],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: str | dict[str, Any],
        error: ValidationError | ModelRetry,
    ) -> dict[str, Any]:
        """Notes a call whose arguments are not the tool's; the model is told, and may mend it."""
        step = Stopwatch().step("ToolCall", call.tool_name, arguments=self._text(args), error=self._error(error))
        self.steps.append(step)
        raise error

    async def wrap_tool_execute(
        self,
        ctx: RunContext[TurnInput],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Times a call of a tool."""
        watch = Stopwatch()
        arguments = self._text(args)
        try:
            result = await handler(args)
        except BaseException as error:
            self.steps.append(watch.step("ToolCall", call.tool_name, arguments=arguments, error=self._error(error)))
            raise
        self.steps.append(watch.step("ToolCall", call.tool_name, arguments=arguments, result=self._text(result)))
        return result

    def _text(self, value: object) -> str:
        text = value if isinstance(value, str) else to_json(value, fallback=str).decode()
        return self.redactor.clean(text, RESULT_MAX)

    def _error(self, error: BaseException) -> str:
        return self.redactor.clean(describe(error)) or type(error).__name__
