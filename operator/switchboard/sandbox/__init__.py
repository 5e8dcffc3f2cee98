"""Everything on one machine: the Twilio simulator, the demo, and the phone. Never in an image."""
