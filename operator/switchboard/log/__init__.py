"""The conversation log: what was said, what answered, and what became of it (`protocol`), in either of two stores."""
