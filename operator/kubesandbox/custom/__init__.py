"""Custom resources: their definitions, and the kinds these bring."""
