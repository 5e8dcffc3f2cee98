"""A Twilio of one's own: its REST API, its webhooks and its faults, for the demo and the tests.

`python -m switchboard.sandbox.twilio --port N` runs it as a process, `TwilioSimulator` inside a test, and `control`
orders what a phone or a bad day would do.
"""

from switchboard.sandbox.twilio.control import Control
from switchboard.sandbox.twilio.server import TwilioSimulator

__all__ = ["Control", "TwilioSimulator"]
