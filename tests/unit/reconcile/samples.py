"""What the tests of decisions are made from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from switchboard.api.agent import Agent, AgentRevision, AgentTemplate
from switchboard.api.connector import TwilioConnector
from switchboard.reconcile.twilio import Account, Carrier, Found, Kind, Number, Sender, Service

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
AGENT_UID = "11111111-1111-1111-1111-111111111111"
ACCOUNT = Account("AC" + "0" * 32, "Acme", "active")
NUMBER = "+15005550006"
NUMBER_SID = "PN" + "1" * 32
PUBLIC = "https://agents.example.com"
URL = f"{PUBLIC}/twilio/acme/sms#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"


def script(fallback: str = "Hello.", **template: Any) -> dict[str, Any]:
    return {"engine": {"script": {"fallback": fallback}}, **template}


def template(fallback: str = "Hello.", **more: Any) -> AgentTemplate:
    return AgentTemplate.model_validate(script(fallback, **more))


def agent(spec: dict[str, Any] | None = None, *, name: str = "support", status: Any = None, **metadata: Any) -> Agent:
    return Agent.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "acme",
                "uid": AGENT_UID,
                "generation": 1,
                "creationTimestamp": "2026-11-22T10:00:00Z",
                **metadata,
            },
            "spec": spec or {"template": script(connectors=[{"name": "sms"}])},
            "status": status or {},
        }
    )


def revision(name: str = "support-v1", *, age: int = 0, status: Any = None, **spec: Any) -> AgentRevision:
    return AgentRevision.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "acme",
                "uid": f"uid-{name}",
                "generation": 1,
                "creationTimestamp": f"2026-11-22T10:{age:02d}:00Z",
            },
            "spec": spec or script(),
            "status": status or {},
        }
    )


def connector(*, name: str = "sms", status: Any = None, annotations: Any = None, **spec: Any) -> TwilioConnector:
    wanted = {"credentials": {"secretRef": {"name": "twilio"}}, "fromNumber": NUMBER, **spec}
    return TwilioConnector.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "acme",
                "uid": f"uid-{name}",
                "generation": 1,
                "annotations": annotations or {},
            },
            "spec": {key: value for key, value in wanted.items() if value is not None},
            "status": status or {},
        }
    )


def number(url: str = "", *, method: str = "POST", **changes: Any) -> Number:
    carrier = Carrier(Kind.NUMBER, NUMBER_SID, NUMBER, url, method)
    return Number(**{"carrier": carrier, "number": NUMBER, "capabilities": ("SMS", "MMS"), **changes})


def found(url: str = "", **changes: Any) -> Found:
    return Found(**{"number": number(url), **changes})


def service(url: str = "", *, numbers: tuple[str, ...] = (NUMBER_SID,), defers: bool = False) -> Service:
    return Service(Carrier(Kind.SERVICE, "MG" + "2" * 32, "A2P", url), defers, numbers)


def sender(url: str = "", *, status: str = "ONLINE") -> Sender:
    return Sender(Carrier(Kind.SENDER, "XE" + "3" * 32, NUMBER, url), status)
