"""Decisions: from what was observed, and the time, to what is wanted. Pure: nothing here reads, writes or waits."""
