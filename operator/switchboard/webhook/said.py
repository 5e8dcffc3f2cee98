"""A kept message as an engine sees it: text for what a phone shows as a map, a button or a quote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from switchboard.api.conversation import Step
from switchboard.engines.base import Media, Said
from switchboard.log.records import Message


def said(message: Message, media: Sequence[Media] | None = None, steps: Sequence[Step] = ()) -> Said:
    """What was said. Without `media` its files are named and hold no bytes."""
    if media is None:
        media = [Media(item.content_type, item.url) for item in message.media]
    return Said(
        by_contact=message.direction == "Inbound",
        text=text(message.body, message.attributes),
        time=message.time,
        media=media,
        steps=steps,
    )


def text(body: str, attributes: Mapping[str, str]) -> str:
    """The words, and what else was sent in words: a place; the button where the body does not name it."""
    lines = [body] if body else []
    button = attributes.get("ButtonText") or attributes.get("ButtonPayload")
    if button and button != body:
        lines.append(button if not body else f"[Button: {button}]")
    if "Latitude" in attributes and "Longitude" in attributes:
        place = f"{attributes['Latitude']}, {attributes['Longitude']}"
        named = ", ".join(attributes[key] for key in ("Label", "Address") if attributes.get(key))
        lines.append(f"[Location: {place} ({named})]" if named else f"[Location: {place}]")
    return "\n".join(lines)


def dialogue(messages: Sequence[Message], steps: Mapping[str, Sequence[Step]]) -> list[Said]:
    """Kept messages, oldest first, as a conversation: an answer's parts as one, and only what reached the contact.

    `steps`: what was done to make each answer, by execution.
    """
    told: list[Said] = []
    last: str | None = None
    for message in messages:
        if message.direction == "Inbound":
            last = None
            told.append(said(message))
            continue
        if message.state in {"Failed", "Cancelled"}:
            continue
        if message.execution is not None and message.execution == last:
            told[-1] = replace(told[-1], text=f"{told[-1].text}\n{message.body}")
            continue
        last = message.execution
        told.append(said(message, steps=steps.get(last, ()) if last else ()))
    return told
