"""The operator's process: observes, lets `reconcile` decide, applies, reports."""
