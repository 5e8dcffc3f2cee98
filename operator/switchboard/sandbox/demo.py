"""`make demo`: from `kubectl apply` to an answered text, on one machine, with nothing that has to be there before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import yaml

from switchboard.kube.client import Changed, Synced
from switchboard.kube.errors import KubeError
from switchboard.kube.resources import (
    AGENT_REVISIONS,
    AGENTS,
    CONVERSATIONS,
    EXECUTIONS,
    MESSAGES,
    TWILIO_CONNECTORS,
    ResourceType,
)
from switchboard.sandbox import stack
from switchboard.sandbox.phone import Phone
from switchboard.sandbox.processes import Guard, ProcessFailed
from switchboard.sandbox.stack import Cluster, Kubectl, Manifest, NotInTime, condition, reason
from switchboard.sandbox.story import Story
from switchboard.sandbox.tables import table
from switchboard.sandbox.twilio.control import Control
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec, SenderSpec

WIDE = 110
LEFT_OUT = {"Direction", "Channel"}
"""Columns that a terminal of less than WIDE columns has no room for."""
QUICKSTART = Path("examples/quickstart")
PERSON = "+14155550100"
OLD_WEBHOOK = "https://old.example.com/sms"
SHOWN: Sequence[tuple[str, ResourceType, Sequence[str] | None]] = (
    ("agents", AGENTS, None),
    ("agentrevisions", AGENT_REVISIONS, None),
    ("twilioconnectors", TWILIO_CONNECTORS, None),
    ("conversations", CONVERSATIONS, None),
    ("messages", MESSAGES, ("Name", "Direction", "Channel", "State", "Delivery", "Execution", "Body")),
    ("executions", EXECUTIONS, None),
)


def demo(story: Story, directory: Path, *, stay: bool) -> int:
    """Runs the demo.

    Args:
        story: Where it is told; it has its title already.
        directory: Where logs and the kubeconfig are put.
        stay: Whether a phone to type into is offered after the answers.

    Returns:
        0; or 1 when something did not come up, whose reason was printed; or 130 after Ctrl-C.
    """
    if not QUICKSTART.is_dir():
        story.say(f"{QUICKSTART} is not here: run the demo in a checkout of Switchboard.")
        return 1
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_guarded(story, directory.resolve(), stay=stay))
    except (ProcessFailed, NotInTime, KubeError, aiohttp.ClientError, OSError, TimeoutError) as error:
        story.say(f"\nThe demo stopped: {str(error) or type(error).__name__}\nLogs: {directory.resolve()}")
        return 1
    except KeyboardInterrupt:
        return 130


async def _guarded(story: Story, directory: Path, *, stay: bool) -> int:
    """Ends, with all that was started, when it is interrupted, when the terminal goes, and when a part of it ends."""
    guard = Guard()
    work = asyncio.create_task(_demo(story, directory, guard, stay=stay))
    failing = asyncio.create_task(guard.failure())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, work.cancel)
    await asyncio.wait({work, failing}, return_when=asyncio.FIRST_COMPLETED)
    if failing.done():
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)  # it may have failed of the same
        raise failing.result()
    failing.cancel()
    try:
        return work.result()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _demo(story: Story, directory: Path, guard: Guard, *, stay: bool) -> int:
    objects = stack.manifests(QUICKSTART)
    async with AsyncExitStack() as running:
        async with story.step("a Kubernetes API and a node, embedded"):
            cluster = await running.enter_async_context(stack.cluster(directory, guard=guard))
        async with story.step("Twilio, simulated: an account, a number, a WhatsApp sender"):
            url, control = await running.enter_async_context(stack.simulator(directory, guard=guard))
            number = await _open_account(control, objects)
        kubectl = await running.enter_async_context(stack.kubectl(cluster.kubeconfig))
        async with story.step("kubectl apply -f crds/"):
            await kubectl.install()
        environment = {
            "KUBECONFIG": str(cluster.kubeconfig),
            "SWITCHBOARD_PUBLIC_URL": cluster.router,
            "SWITCHBOARD_TWILIO_BASE_URL": url,
        }
        async with story.step("the operator"):
            await running.enter_async_context(stack.operator(directory, environment, guard=guard))

        story.title(f"kubectl apply -f {QUICKSTART}/")
        await kubectl.apply(objects)
        await _connected(story, kubectl, objects)

        story.title("Two texts")
        phone = Phone(control, PERSON, story)
        await phone.ask(number, "What are your hours?", "SMS")
        await phone.ask(number, "Where is order 1234?", "WhatsApp")
        await _delivered(kubectl, _namespace(objects))

        await _show(story, kubectl, _namespace(objects))
        story.say(f"\nAnswered {story.elapsed:.0f} s after the beginning.")
        if stay:
            await _stay(story, cluster, phone, number, _namespace(objects))
    return 0


def _namespace(objects: Sequence[Manifest]) -> str:
    return next(str(entry["metadata"]["name"]) for entry in objects if entry["kind"] == "Namespace")


async def _open_account(control: Control, objects: Sequence[Manifest]) -> str:
    """Gives the simulator the account that the quickstart's Secret speaks of; the number has a webhook already."""
    secret = next(entry for entry in objects if entry["kind"] == "Secret")["stringData"]
    connector = next(entry for entry in objects if entry["kind"] == "TwilioConnector")
    number = str(connector["spec"]["fromNumber"])
    account = AccountSpec(
        sid=secret["accountSid"],
        auth_token=secret["authToken"],
        friendly_name="Acme",
        numbers=[NumberSpec(phone_number=number, sms_url=OLD_WEBHOOK)],
        senders=[SenderSpec(phone_number=number)],
    )
    await control.create_account(account)
    return number


async def _connected(story: Story, kubectl: Kubectl, objects: Sequence[Manifest]) -> None:
    """Shows what happens until the connector is connected and the agent serves."""
    namespace = _namespace(objects)
    connector = next(entry for entry in objects if entry["kind"] == "TwilioConnector")["metadata"]["name"]
    agent = next(entry for entry in objects if entry["kind"] == "Agent")["metadata"]["name"]
    told = _Told(story)

    def connected(found: Manifest) -> bool:
        told.tell(TWILIO_CONNECTORS, found)
        return reason(found) == "Connected"

    def serves(found: Manifest) -> bool:
        told.tell(AGENTS, found)
        return condition(found, "Ready").get("status") == "True"

    narrating = asyncio.create_task(told.follow(kubectl, AGENT_REVISIONS, namespace))
    try:
        await asyncio.gather(
            kubectl.until(TWILIO_CONNECTORS, connector, connected, namespace),
            kubectl.until(AGENTS, agent, serves, namespace),
        )
    finally:
        narrating.cancel()
        await asyncio.gather(narrating, return_exceptions=True)


class _Told:
    """Tells how objects stand, each state once."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._states: dict[str, str] = {}

    def tell(self, kind: ResourceType, found: Manifest) -> None:
        name = f"{kind.kind.lower()}/{found['metadata']['name']}"
        state = str(found.get("status", {}).get("state") or reason(found))
        if state and self._states.get(name) != state:
            self._states[name] = state
            ready = condition(found, "Ready")
            self._story.event(name, state, ready.get("message", ""), good=ready.get("status") == "True")

    async def follow(self, kubectl: Kubectl, kind: ResourceType, namespace: str) -> None:
        async for event in kubectl.api.watch(kind, namespace):
            for found in event.items if isinstance(event, Synced) else [event.object]:
                self.tell(kind, found)


async def _delivered(kubectl: Kubectl, namespace: str) -> None:
    """Waits until both answers are delivered, so that the tables show how it ended."""
    delivered: set[str] = set()
    async with asyncio.timeout(20):
        async for event in kubectl.api.watch(MESSAGES, namespace):
            found = event.items if isinstance(event, Synced) else [event.object] if isinstance(event, Changed) else []
            delivered |= {
                entry["metadata"]["name"] for entry in found if entry.get("status", {}).get("delivery") == "Delivered"
            }
            if len(delivered) >= 2:
                return


async def _show(story: Story, kubectl: Kubectl, namespace: str) -> None:
    server = yaml.safe_load(kubectl.kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"]
    narrow = story.width is not None and story.width < WIDE
    async with aiohttp.ClientSession() as session:
        for name, kind, shown in SHOWN:
            columns = [column for column in shown if not (narrow and column in LEFT_OUT)] if shown else None
            story.title(f"kubectl get {name} -n {namespace}" + (" -o wide" if columns else ""))
            header, rows = await table(session, server + kind.path(namespace), columns)
            story.table(header, rows)


async def _stay(story: Story, cluster: Cluster, phone: Phone, number: str, namespace: str) -> None:
    story.title("Now you")
    story.say("Everything stays up until you leave. In another terminal:\n")
    story.commands(
        f"export KUBECONFIG={shlex.quote(os.fspath(cluster.kubeconfig))}",
        f"kubectl get switchboard -n {namespace}",
        f"kubectl describe twilioconnector production-sms -n {namespace}",
    )
    story.say(f"\nAnd here is a phone: you are {phone.number}, texting {number}.")
    with contextlib.suppress(asyncio.CancelledError):
        await phone.converse(number)
