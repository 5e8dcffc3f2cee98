"""A PostgreSQL server as a process, from the wheel that carries one."""

from __future__ import annotations


class Server:
    pass
