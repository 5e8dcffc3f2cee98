"""The parts of A2A that are spoken here: JSON-RPC of protocol 0.3 (kagent and most agents) and 1.0.

https://a2a-protocol.org/v0.3.0/specification and https://a2a-protocol.org/v1.0.0/specification. The two differ in
names of methods, roles, states and parts; `Dialect` holds all of that, so that the engine knows one protocol.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from pydantic import Field, JsonValue

from switchboard.api.meta import Model

CARD_PATHS = ("/.well-known/agent-card.json", "/.well-known/agent.json")
"""Where an agent's card is: since 0.3, and before."""

TASK_NOT_FOUND = -32001
ID_MAX = 500
"""Characters of an id that an agent gave."""

JsonObject = dict[str, JsonValue]


class Interface(Model):
    """One address of an agent."""

    url: str
    protocol_binding: str | None = None
    """1.0."""
    transport: str | None = None
    """0.3."""
    protocol_version: str = ""


class AgentCard(Model):
    """What an agent says of itself; either version's card, as far as it matters here."""

    name: str = ""
    supported_interfaces: list[Interface] = []
    """1.0."""
    url: str | None = None
    """0.3, like those below."""
    preferred_transport: str = "JSONRPC"
    protocol_version: str = ""
    additional_interfaces: list[Interface] = []
    default_input_modes: list[str] = []

    def takes(self, content_type: str) -> bool:
        """Whether the agent takes files of that media type."""
        kind = content_type.partition("/")[0]
        return any(mode in (content_type, f"{kind}/*", "*/*", "*") for mode in self.default_input_modes)


class State(Enum):
    """How far a task is."""

    RUNNING = "running"
    COMPLETED = "completed"
    INPUT_REQUIRED = "input-required"
    AUTH_REQUIRED = "auth-required"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"


class File(Model):
    """The file of a 0.3 file part."""

    name: str | None = None
    mime_type: str | None = None
    uri: str | None = None


class Part(Model):
    """A piece of a message or artifact, of either version."""

    text: str | None = None
    data: JsonValue = None
    file: File | None = None
    url: str | None = None
    raw: str | None = None
    filename: str | None = None
    media_type: str | None = None

    def as_text(self) -> str:
        """What a text message can carry of it."""
        if self.text is not None:
            return self.text
        if self.file is not None:
            return self.file.uri or f"[{self.file.name or self.file.mime_type or 'file'}]"
        if self.url is not None or self.raw is not None:
            return self.url or f"[{self.filename or self.media_type or 'file'}]"
        return "" if self.data is None else json.dumps(self.data, ensure_ascii=False)


class Message(Model):
    """What was said."""

    role: str = ""
    parts: list[Part] = []
    context_id: str | None = None
    task_id: str | None = None

    @property
    def text(self) -> str:
        """Its text; data only where there is no text."""
        return _text(self.parts)


class Artifact(Model):
    """What a task made."""

    parts: list[Part] = []


class Status(Model):
    """A task's status."""

    state: str = ""
    message: Message | None = None


class Task(Model):
    """A piece of work."""

    id: str
    context_id: str | None = None
    status: Status
    artifacts: list[Artifact] | None = None
    history: list[Message] | None = None

    @property
    def state(self) -> State:
        """Its state, by either version's name. One that is not known counts as running, until the deadline."""
        name = self.status.state.removeprefix("TASK_STATE_").lower().replace("_", "-")
        return _STATES.get(name, State.RUNNING)

    @property
    def text(self) -> str:
        """Its result: artifacts, else what it says of its state, else the agent's last words."""
        made = "\n".join(filter(None, (_text(artifact.parts) for artifact in self.artifacts or [])))
        said = self.status.message.text if self.status.message is not None else ""
        if self.state is State.INPUT_REQUIRED:
            return said or made
        last = next((m.text for m in reversed(self.history or []) if m.role in ("agent", "ROLE_AGENT")), "")
        return made or said or last


class RpcError(Model):
    """A JSON-RPC error."""

    code: int
    message: str = ""


class RpcAnswer(Model):
    """A JSON-RPC answer."""

    result: JsonValue = None
    error: RpcError | None = None


_STATES = {state.value: state for state in State} | {"cancelled": State.CANCELED}


def _text(parts: Sequence[Part]) -> str:
    texts = [part.as_text() for part in parts if part.data is None]
    return "\n".join(filter(None, texts or [part.as_text() for part in parts]))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes to the agent."""

    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of the protocol."""

    version: Literal["0.3", "1.0"]
    send: str
    get: str
    cancel: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with each request."""
        return {"A2A-Version": "1.0"} if self.version == "1.0" else {}

    def send_params(
        self,
        *,
        message_id: str,
        context_id: str,
        task_id: str | None,
        text: str,
        files: Sequence[Attachment],
        metadata: JsonObject,
    ) -> JsonObject:
        """Parameters of the call that sends a message and waits for its outcome."""
        new = self.version == "1.0"
        parts: list[JsonValue] = []
        if text or not files:
            parts.append({"text": text} if new else {"kind": "text", "text": text})
        for file in files:
            content = base64.b64encode(file.data).decode()
            if new:
                parts.append({"raw": content, "mediaType": file.content_type})
            else:
                parts.append({"kind": "file", "file": {"bytes": content, "mimeType": file.content_type}})
        message: JsonObject = {
            "messageId": message_id,
            "role": "ROLE_USER" if new else "user",
            "contextId": context_id,
            "parts": parts,
            "metadata": metadata,
        }
        if task_id is not None:
            message["taskId"] = task_id
        if not new:
            message["kind"] = "message"
        # 1.0 waits unless told otherwise; its field for that was renamed between drafts, so none is sent.
        configuration: JsonObject = {"acceptedOutputModes": ["text/plain"]}
        if not new:
            configuration["blocking"] = True
        return {"message": message, "configuration": configuration}

    @staticmethod
    def without_task(params: JsonObject) -> JsonObject:
        """The same message, but as the beginning of a new task."""
        message = params["message"]
        kept = {key: value for key, value in message.items() if key != "taskId"} if isinstance(message, dict) else {}
        return params | {"message": kept}

    def outcome(self, result: JsonValue) -> Message | Task | None:
        """What a sent message came to, or None if the result is neither message nor task."""
        if not isinstance(result, dict):
            return None
        if isinstance(task := result.get("task"), dict):
            return Task.model_validate(task)
        if isinstance(message := result.get("message"), dict) and "status" not in result:
            return Message.model_validate(message)
        if result.get("kind") == "task" or "status" in result:
            return Task.model_validate(result)
        if result.get("kind") == "message" or "parts" in result:
            return Message.model_validate(result)
        return None


V03 = Dialect(version="0.3", send="message/send", get="tasks/get", cancel="tasks/cancel")
V10 = Dialect(version="1.0", send="SendMessage", get="GetTask", cancel="CancelTask")


def choose(card: AgentCard) -> tuple[Dialect, str] | None:
    """The dialect and address to speak to an agent, or None if it offers none that is known here.

    1.0 is preferred where both are offered.
    """
    offered: list[tuple[Dialect, str]] = []
    for interface in card.supported_interfaces:
        if (interface.protocol_binding or "").upper() == "JSONRPC":
            dialect = _dialect(interface.protocol_version)
            if dialect is not None:
                offered.append((dialect, interface.url))
    offered.sort(key=lambda pair: pair[0].version, reverse=True)
    if not offered and card.url is not None and _dialect(card.protocol_version) is V03:
        if card.preferred_transport.upper() == "JSONRPC":
            offered.append((V03, card.url))
        offered += [(V03, other.url) for other in card.additional_interfaces if (other.transport or "") == "JSONRPC"]
    return offered[0] if offered else None


def _dialect(version: str) -> Dialect | None:
    major, _, rest = version.partition(".")
    if major == "1":
        return V10
    # 0.2 cards say nothing or 0.2.x, and speak the same methods.
    return V03 if version == "" or (major == "0" and rest.partition(".")[0] in ("2", "3")) else None


class Remembered(Model):
    """What a step keeps of an A2A turn, for the turns after it: agents may give a context id of their own."""

    context_id: str = Field(max_length=ID_MAX)
    task_id: str | None = Field(default=None, max_length=ID_MAX)
    """A task that asked for more input: the next message belongs to it."""
    state: str = ""

    @classmethod
    def of(cls, outcome: Message | Task, conversation: str) -> Remembered:
        """What to keep of a turn's outcome."""
        context = outcome.context_id or ""
        waiting = isinstance(outcome, Task) and outcome.state is State.INPUT_REQUIRED and len(outcome.id) <= ID_MAX
        return cls(
            context_id=context if 0 < len(context) <= ID_MAX else conversation,
            task_id=outcome.id if waiting and isinstance(outcome, Task) else None,
            state=outcome.state.value if isinstance(outcome, Task) else "message",
        )
