"""A PostgreSQL server as a process, from the wheel that carries one."""

from __future__ import annotations

from pathlib import Path
from typing import Self

class Server: pass
