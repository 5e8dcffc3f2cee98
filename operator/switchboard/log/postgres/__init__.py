"""The conversation log in PostgreSQL: any number of messages, lists by time, and a cost that does not grow with them.

A conversation's row is what serializes it: whoever works on it, or tells what became of its messages, locks the row
first and looks then. `ready_at` in it is the queue. What arrives is inserted many at a time, with whoever came while
the insert before was under way.
"""

from switchboard.log.postgres.log import PostgresLog
from switchboard.log.postgres.schema import migrate

__all__ = ["PostgresLog", "migrate"]
