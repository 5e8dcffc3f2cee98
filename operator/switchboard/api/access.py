"""AccessRequest: somebody who asks to be let in."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from switchboard.api.meta import AGE, Column, Model, Names, ObjectName, PhoneNumber, Resource

Decision = Literal["Pending", "Approved", "Rejected"]


class AccessRequestSpec(Model):
    """Who asks, and what was decided."""

    connector: ObjectName = Field(
        json_schema_extra={
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "connector is immutable"}]
        }
    )
    """The connector that was written to."""
    contact: PhoneNumber = Field(
        json_schema_extra={"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "contact is immutable"}]}
    )
    """Who wrote."""
    decision: Decision = "Pending"
    """Approved lets in; Rejected keeps out."""
    note: str = Field(default="", max_length=1000)
    """Why, for colleagues."""
    decided_by: str | None = Field(default=None, max_length=253)
    """Who decided."""


class AccessRequestStatus(Model):
    """What the contact has written so far."""

    contact_name: str | None = Field(default=None, max_length=200)
    """The name that WhatsApp gives."""
    first_message_time: datetime | None = None
    """When the contact first wrote."""
    last_message_time: datetime | None = None
    """When the contact last wrote."""
    messages: int = Field(default=0, ge=0)
    """How many messages there were."""
    decided_time: datetime | None = None
    """When the decision was seen."""
    onboarded: bool = False
    """Whether the onboarding message was sent."""


class AccessRequest(Resource):
    """Somebody unknown who wrote to a connector whose policy is Onboarding. Approve it by setting `spec.decision`."""

    names: ClassVar[Names] = Names(
        kind="AccessRequest",
        plural="accessrequests",
        short=("acr",),
        columns=(
            Column("Connector", ".spec.connector", description="The connector that was written to."),
            Column("Contact", ".spec.contact", description="Who wrote."),
            Column("Decision", ".spec.decision", description="Pending, Approved or Rejected."),
            Column("Messages", ".status.messages", "integer", description="How many messages there were."),
            AGE,
            Column("Name", ".status.contactName", priority=1, description="The name that WhatsApp gives."),
            Column("Decided By", ".spec.decidedBy", priority=1, description="Who decided."),
        ),
        selectable=(".spec.connector", ".spec.contact", ".spec.decision"),
    )
    spec: AccessRequestSpec
    """Who asks, and what was decided."""
    status: AccessRequestStatus = AccessRequestStatus()
    """What the contact has written so far."""
