"""`make demo`: from `kubectl apply` to an answered text, on one machine, with nothing that has to be there before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
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
from switchboard.sandbox.processes import ProcessFailed
from switchboard.sandbox.stack import Cluster, Kubectl, Manifest, NotInTime, condition, reason
from switchboard.sandbox.story import Story
from switchboard.sandbox.tables import table
from switchboard.sandbox.twilio.control import Control
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec, SenderSpec

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


def demo(directory: Path, *, stay: bool) -> int:
    """Runs the demo.

    Args:
        directory: Where logs and the kubeconfig are put.
        stay: Whether a phone to type into is offered after the answers.

    Returns:
        0; or 1 when something did not come up, whose reason was printed; or 130 after Ctrl-C.
    """
    story = Story()
    if not QUICKSTART.is_dir():
        story.say(f"{QUICKSTART} is not here: run the demo in a checkout of Switchboard.")
        return 1
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return asyncio.run(_until_signalled(_demo(story, directory.resolve(), stay=stay)))
    except (ProcessFailed, NotInTime, KubeError, aiohttp.ClientError, OSError, TimeoutError) as error:
        story.say(f"\nThe demo stopped: {str(error) or type(error).__name__}\nLogs: {directory.resolve()}")
        return 1
    except KeyboardInterrupt:
        return 130


async def _until_signalled(work: Coroutine[None, None, int]) -> int:
    """Ends as Ctrl-C does when the terminal goes away or somebody terminates the process."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _demo(story: Story, directory: Path, *, stay: bool) -> int:
    objects = stack.manifests(QUICKSTART)
    async with AsyncExitStack() as running:
        story.title("Switchboard on this machine")
        async with story.step("a Kubernetes API and a node, embedded"):
            cluster = await running.enter_async_context(stack.cluster(directory))
        async with story.step("Twilio, simulated: an account, a number, a WhatsApp sender"):
            url, control = await running.enter_async_context(stack.simulator(directory))
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
            await running.enter_async_context(stack.operator(directory, environment))

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
    """Shows what happens until the connector is connected."""
    namespace = _namespace(objects)
    connector = next(entry for entry in objects if entry["kind"] == "TwilioConnector")["metadata"]["name"]
    watching = [
        asyncio.create_task(_narrate(story, kubectl, kind, namespace))
        for kind in (AGENTS, AGENT_REVISIONS, TWILIO_CONNECTORS)
    ]
    try:
        await kubectl.until(TWILIO_CONNECTORS, connector, lambda it: reason(it) == "Connected", namespace)
    finally:
        # The last line of each is printed before the tasks end: they run on the same loop as the wait above.
        await asyncio.sleep(0)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


async def _narrate(story: Story, kubectl: Kubectl, kind: ResourceType, namespace: str) -> None:
    said: dict[str, str] = {}
    async for event in kubectl.api.watch(kind, namespace):
        found = event.items if isinstance(event, Synced) else [event.object] if isinstance(event, Changed) else []
        for entry in found:
            name = f"{kind.kind.lower()}/{entry['metadata']['name']}"
            state = str(entry.get("status", {}).get("state") or reason(entry))
            if state and said.get(name) != state:
                said[name] = state
                story.event(f"{name:<34} {state}", condition(entry, "Ready").get("message", ""))


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
    async with aiohttp.ClientSession() as session:
        for name, kind, columns in SHOWN:
            story.title(f"kubectl get {name} -n {namespace}" + (" -o wide" if columns else ""))
            header, rows = await table(session, server + kind.path(namespace), columns)
            story.table(header, rows)


async def _stay(story: Story, cluster: Cluster, phone: Phone, number: str, namespace: str) -> None:
    story.title("Yours")
    story.say(f"In another terminal:\n\n  export KUBECONFIG={os.fspath(cluster.kubeconfig)}")
    story.say(
        f"  kubectl get switchboard -n {namespace}\n  kubectl describe twilioconnector production-sms -n {namespace}\n"
    )
    story.say(f"You are {phone.number}, writing to {number}.")
    with contextlib.suppress(asyncio.CancelledError):
        await phone.converse(number)


if __name__ == "__main__":
    sys.exit(demo(Path(".demo"), stay=sys.stdin.isatty()))
