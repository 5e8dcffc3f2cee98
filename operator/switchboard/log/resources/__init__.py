"""The conversation log as custom resources: needs nothing but the cluster.

What decides is small, and each step is one write that the API server takes or refuses:

- A message is there once because its name is its content's.
- An Execution's creation begins a turn: executions are numbered in their conversation, so of two workers who begin the
  same one, one does. What its status says of lease, end and replies is replaced by compare-and-set.
- A message belongs to the turn that first wrote its name into the message's status.

Everything else in a status (counts, `Answered`) follows from these and is written a little later, for people.
"""

from switchboard.log.resources.log import ResourcesLog

__all__ = ["ResourcesLog"]
