"""What answers: a model, an endpoint of one's own, or a script."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from switchboard.api.meta import HttpUrl, Model, ObjectName, SecretKey, SecretReference, SecretValue

TEXT_MAX = 32768
"""Characters that instructions may have."""


class ConfigMapKeyReference(Model):
    """One key of a ConfigMap of the same namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: SecretKey
    """Key within the ConfigMap's data."""


class InstructionsSource(Model):
    """Where instructions are read from. They are copied into the revision, so that a change makes a new one."""

    config_map_ref: ConfigMapKeyReference
    """The ConfigMap and its key."""


class ModelSettings(Model):
    """What is handed to the model with every request."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """Sampling temperature."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling: the probability mass that is considered."""
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    """The most tokens that one answer may have."""
    parallel_tool_calls: bool | None = None
    """Whether the model may call several tools at once."""
    seed: int | None = Field(default=None, ge=0, le=2_147_483_647)
    """Seed for models that can repeat themselves."""


class UsageLimits(Model):
    """What one turn may spend, after which it fails instead of going on."""

    requests: int = Field(default=20, ge=1, le=1000)
    """Requests to the model."""
    tool_calls: int = Field(default=40, ge=0, le=1000)
    """Calls of tools."""
    total_tokens: int | None = Field(default=None, ge=1)
    """Tokens in and out, all requests together."""


class McpServer(Model):
    """A Model Context Protocol server (streamable HTTP) whose tools the model may call."""

    name: str = Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=40)
    """Prefix of its tools' names."""
    url: HttpUrl
    """Where it listens, for example `http://orders-mcp/mcp`."""
    headers_secret_ref: SecretReference | None = None
    """A Secret each of whose keys is sent as a header of that name."""


class ModelEngine(Model):
    """A language model, called by pydantic-ai."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*:[^\s]+$", max_length=200)
    """`provider:model`, as pydantic-ai names them: `openai:gpt-5.2`, `anthropic:claude-sonnet-4-5`."""
    instructions: str = Field(default="", max_length=TEXT_MAX)
    """The system prompt."""
    instructions_from: InstructionsSource | None = None
    """Where the system prompt is read from, instead of `instructions`."""
    api_key: SecretValue | None = None
    """The provider's key."""
    base_url: HttpUrl | None = Field(default=None, alias="baseURL")
    """Another server that speaks the provider's protocol: vLLM, Ollama, LiteLLM, a gateway."""
    api_version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+$", max_length=40)
    """Provider azure: the `api-version` of its requests. Not needed where baseURL ends in `/openai/v1`."""
    region: str | None = Field(default=None, pattern=r"^[a-z0-9-]+$", max_length=40)
    """Provider bedrock: the AWS region. Default: the pod's own, as AWS sets it in the environment."""
    stream: bool = False
    """Ask for the answer piece by piece: for servers that only stream, and gateways that cut idle connections."""
    settings: ModelSettings = ModelSettings()
    """Settings of each request."""
    limits: UsageLimits = UsageLimits()
    """Limits of each turn."""
    mcp_servers: Annotated[
        list[McpServer],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """Servers whose tools the model may call."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.instructionsFrom) || !has(self.instructions) || self.instructions == ''",
                    "message": "set instructions or instructionsFrom, not both",
                }
            ]
        }
    }


class EndpointEngine(Model):
    """An agent of one's own, reached over HTTP."""

    url: HttpUrl
    """For A2A the agent's base URL (its card is read below it), for HTTP where each turn is posted.

    Headers go to this origin only."""
    protocol: Literal["A2A", "HTTP"] = "A2A"
    """A2A (https://a2a-protocol.org) or a plain JSON POST."""
    headers_secret_ref: SecretReference | None = None
    """A Secret each of whose keys is sent as a header of that name."""
    signing_secret: SecretValue | None = None
    """Protocol HTTP: the key that signs each request, so that the endpoint knows who calls."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.signingSecret) || self.protocol == 'HTTP'",
                    "message": "signingSecret is for protocol HTTP",
                }
            ]
        }
    }


class ScriptRule(Model):
    """One rule of a script."""

    match: str = Field(min_length=1, max_length=1000)
    """An RE2 regular expression, searched in the message: `(?i)hours`. It cannot hang: RE2 runs in linear time."""
    reply: str = Field(min_length=1, max_length=1600)
    """The answer; `{name}` stands for what the group `(?P<name>…)` matched."""


class ScriptEngine(Model):
    """Answers by rule: deterministic, for menus, demonstrations and tests."""

    rules: Annotated[list[ScriptRule], Field(max_length=200)] = []
    """Tried in order; the first that matches answers."""
    fallback: str = Field(default="Sorry, I did not get that.", min_length=1, max_length=1600)
    """The answer when no rule matches."""


class Engine(Model):
    """What answers: exactly one of model, endpoint and script."""

    model: ModelEngine | None = None
    """A language model."""
    endpoint: EndpointEngine | None = None
    """An agent of one's own."""
    script: ScriptEngine | None = None
    """Rules."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "[has(self.model), has(self.endpoint), has(self.script)].filter(x, x).size() == 1",
                    "message": "set exactly one of model, endpoint and script",
                }
            ]
        }
    }

    @property
    def kind(self) -> Literal["model", "endpoint", "script"]:
        """Which of the three is set."""
        if self.model is not None:
            return "model"
        return "endpoint" if self.endpoint is not None else "script"
