"""Condition types, their reasons, and the reasons of Events. Each reason has an entry in the troubleshooting guide."""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    """Condition types of all kinds."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    # Agent
    REVISION_READY = "RevisionReady"
    CONNECTORS_READY = "ConnectorsReady"
    # AgentRevision
    AVAILABLE = "Available"
    # TwilioConnector
    CREDENTIALS_VALID = "CredentialsValid"
    AGENT_BOUND = "AgentBound"
    WEBHOOK_REGISTERED = "WebhookRegistered"


class ConnectorReason(StrEnum):
    """Reasons of a TwilioConnector's conditions. `Connected` means that all is well."""

    CONNECTED = "Connected"
    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    SECRET_NOT_ALLOWED = "SecretNotAllowed"  # noqa: S105 - a reason, not a secret
    ACCOUNT_SUSPENDED = "AccountSuspended"
    NUMBER_NOT_FOUND = "NumberNotFound"
    NUMBER_NOT_CAPABLE = "NumberNotCapable"
    NUMBER_CONFLICT = "NumberConflict"
    SENDER_NOT_FOUND = "SenderNotFound"
    SENDER_OFFLINE = "SenderOffline"
    AGENT_NOT_BOUND = "AgentNotBound"
    WAITING_FOR_AGENT = "WaitingForAgent"
    PUBLIC_URL_MISSING = "PublicURLMissing"
    HOST_NOT_ALLOWED = "HostNotAllowed"
    WEBHOOK_OVERRIDDEN_BY_APPLICATION = "WebhookOverriddenByApplication"
    WEBHOOK_OVERRIDDEN_BY_SERVICE = "WebhookOverriddenByService"
    WEBHOOK_CONTESTED = "WebhookContested"
    WEBHOOK_REPAIRED = "WebhookRepaired"  # Event only
    WEBHOOK_RESTORED = "WebhookRestored"  # Event only
    WEBHOOK_NOT_RESTORED = "WebhookNotRestored"  # Event only
    CREDENTIALS_ROLLED_OUT = "CredentialsRolledOut"  # Event only
    SET_BY_HAND = "SetByHand"
    TWILIO_UNAVAILABLE = "TwilioUnavailable"
    VALID = "Valid"
    BOUND = "Bound"
    REGISTERED = "Registered"
    CHECKING = "Checking"
    INVALID = "Invalid"
    NAME_TAKEN = "NameTaken"
    REJECTED = "Rejected"
    RELEASING = "Releasing"


class AgentReason(StrEnum):
    """Reasons of an Agent's and an AgentRevision's conditions."""

    SERVING = "Serving"
    DEPLOYING = "Deploying"
    REVISION_AVAILABLE = "RevisionAvailable"
    REVISION_FAILED = "RevisionFailed"
    REVISION_MISSING = "RevisionMissing"
    REVISION_NAME_TAKEN = "RevisionNameTaken"
    INVALID = "Invalid"
    INSTRUCTIONS_MISSING = "InstructionsMissing"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a secret
    SECRET_NOT_ALLOWED = "SecretNotAllowed"  # noqa: S105 - a reason, not a secret
    HOST_NOT_ALLOWED = "HostNotAllowed"
    CONNECTOR_MISSING = "ConnectorMissing"
    CONNECTOR_TAKEN = "ConnectorTaken"
    CONNECTORS_NOT_READY = "ConnectorsNotReady"
    CONNECTORS_CONNECTED = "ConnectorsConnected"
    NO_CONNECTORS = "NoConnectors"
    NAME_TAKEN = "NameTaken"
    CHECKING = "Checking"
    REVISION_CREATED = "RevisionCreated"  # Event only
    REVISION_LIVE = "RevisionLive"  # Event only
    REVISION_REMOVED = "RevisionRemoved"  # Event only
    LABELLED_BY_HAND = "LabelledByHand"  # Event only
    PROGRESSING = "Progressing"
    STANDBY = "Standby"
    SUPERSEDED = "Superseded"
