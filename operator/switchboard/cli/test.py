"""`switchboard test twilioconnector/NAME`: check a connector at Twilio now, and say what was found."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, datetime

from switchboard.api.connector import LastTest, TwilioConnector
from switchboard.api.meta import ANNOTATION_TEST, DNS1123_SUBDOMAIN
from switchboard.kube.client import Changed, KubeApi, connect
from switchboard.kube.errors import KubeError, NotFound, Unauthorized
from switchboard.kube.patience import patiently
from switchboard.kube.resources import TWILIO_CONNECTORS

_KINDS = ("twilioconnector", "twilioconnectors", "twc")


async def test(resource: str, namespace: str | None, timeout: float) -> int:  # noqa: ASYNC109
    """Asks the operator for a check, by the annotation that anybody may set, and waits for the answer.

    Returns:
        0 when the connector is connected, 1 when not or when there was no answer, 2 for a resource of another kind.
    """
    kind, _, name = resource.partition("/")
    if kind not in _KINDS or not re.fullmatch(DNS1123_SUBDOMAIN, name):
        print(f"switchboard: resource: {resource!r} is not twilioconnector/NAME", file=sys.stderr)
        return 2
    requested = datetime.now(UTC).isoformat()
    async with await connect(user_agent="switchboard-cli") as api:
        where = namespace or api.access.namespace or "default"
        patch = {"metadata": {"annotations": {ANNOTATION_TEST: requested}}}
        try:
            await patiently(lambda: api.merge_patch(TWILIO_CONNECTORS, name, where, patch, manager="switchboard-cli"))
            async with asyncio.timeout(timeout):
                answer = await _answer(api, name, where, requested)
        except NotFound:
            print(
                f"There is no TwilioConnector {name!r} in namespace {where}: `kubectl get twc -n {where}`.",
                file=sys.stderr,
            )
            return 1
        except Unauthorized as error:
            print(f"Not asked: {error.mend}", file=sys.stderr)
            return 1
        except KubeError as error:
            print(f"Not asked: {error}", file=sys.stderr)
            return 1
        except TimeoutError:
            print(
                f"No answer within {timeout:g} s: is the operator running, and does it watch {where}?", file=sys.stderr
            )
            return 1
    print(f"twilioconnector.switchboard.dev/{name}: {answer.message}")
    return 0 if answer.succeeded else 1


async def _answer(api: KubeApi, name: str, namespace: str, requested: str) -> LastTest:
    async for event in api.watch(TWILIO_CONNECTORS, namespace, field_selector=f"metadata.name={name}"):
        for found in [event.object] if isinstance(event, Changed) else event.items:
            last = TwilioConnector.model_validate(found).status.last_test
            if last is not None and last.requested == requested:
                return last
    raise TimeoutError
