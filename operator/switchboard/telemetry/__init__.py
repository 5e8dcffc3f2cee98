"""Logs, metrics and traces. Imports nothing of ours."""
