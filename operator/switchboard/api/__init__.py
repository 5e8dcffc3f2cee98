"""The kinds of the API group `switchboard.dev`. Imports nothing of ours."""
