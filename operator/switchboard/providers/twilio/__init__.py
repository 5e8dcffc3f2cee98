"""Twilio: signatures, inbound messages, delivery callbacks, and its REST API through the official package.

Nothing is imported here: a webhook process that never calls the API does not load the SDK.
"""
