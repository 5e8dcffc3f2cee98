"""What is counted. Labels are connectors' names and words of this code, never a number or an id."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "switchboard_webhook_requests",
    "Requests of Twilio's, by what became of them.",
    ["connector", "kind", "outcome"],
)
UNROUTED = Counter(
    "switchboard_webhook_unrouted_messages", "Verified messages that no route takes, by why.", ["connector", "reason"]
)
RECORD_SECONDS = Histogram(
    "switchboard_webhook_record_seconds",
    "Seconds from a request's arrival to its message being durable.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
MESSAGES = Counter(
    "switchboard_messages_recorded", "Inbound messages recorded, by the state they began in.", ["connector", "state"]
)
TURNS = Counter("switchboard_turns", "Turns that ended, by outcome.", ["outcome"])
TURN_SECONDS = Histogram(
    "switchboard_turn_seconds",
    "Seconds that an engine took for an attempt.",
    ["engine"],
    buckets=(0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600),
)
TURN_RETRIES = Counter("switchboard_turn_retries", "Attempts of turns that were tried again, by why.", ["kind"])
WORKING = Gauge("switchboard_turns_running", "Conversations that this pod works on.")
SENDS = Counter("switchboard_sends", "Attempts to send, by what became of them.", ["connector", "outcome"])
DELIVERY_UNKNOWN = Counter(
    "switchboard_delivery_unknown", "Replies that nobody confirmed and that were not sent again.", ["connector"]
)
DELIVERIES = Counter("switchboard_deliveries", "News of replies' delivery.", ["connector", "state"])
REPLY_SECONDS = Histogram(
    "switchboard_reply_seconds",
    "Seconds from a message being recorded to its answer being taken by Twilio.",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)
BACKFILLED = Counter(
    "switchboard_backfilled_messages", "Messages found at Twilio that no webhook had brought.", ["connector", "state"]
)
LOOKS = Counter(
    "switchboard_delivery_looks",
    "Replies looked up at Twilio because no callback told their end, by what that changed.",
    ["connector", "result"],
)
ACCESS_REQUESTS = Counter(
    "switchboard_access_requests", "AccessRequests wanted, by what became of them.", ["connector", "outcome"]
)
MEDIA = Counter("switchboard_media_downloads", "Files that came with messages, by what became of them.", ["outcome"])
LIVE = Gauge("switchboard_revision_live", "1 while this pod's revision is the Agent's live one.")
LOG_ERRORS = Counter("switchboard_log_errors", "Failures of the conversation log.", ["operation"])
TASK_FAILURES = Counter("switchboard_task_failures", "Background tasks that failed and were started again.", ["task"])


@lru_cache(maxsize=1024)
def request(connector: str, kind: str, outcome: str) -> Counter:
    """`REQUESTS` of these labels, looked up once: `labels` costs more than counting."""
    return REQUESTS.labels(connector, kind, outcome)


@lru_cache(maxsize=1024)
def message(connector: str, state: str) -> Counter:
    """`MESSAGES` of these labels, looked up once."""
    return MESSAGES.labels(connector, state)
