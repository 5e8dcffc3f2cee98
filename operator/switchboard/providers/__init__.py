"""Messaging providers: what one can do (`base`) and the one there is (`twilio`)."""
