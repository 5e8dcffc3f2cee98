"""Switchboard: AI agents on phone numbers, declaratively."""

__version__ = "0.1.0"
