"""Faults on order: what strikes which request, and how."""

import itertools
import random
from fnmatch import fnmatchcase

from switchboard.sandbox.twilio.control_models import Fault, FaultSpec


class Faults:
    """Those ordered, in the order of ordering; the first that fits strikes."""

    def __init__(self, seed: int = 0) -> None:
        self.all: dict[str, Fault] = {}
        self._ids = itertools.count(1)
        self._random = random.Random(seed)

    def add(self, spec: FaultSpec) -> Fault:
        fault = Fault(id=f"fault-{next(self._ids)}", **spec.model_dump())
        self.all[fault.id] = fault
        return fault

    def strike(self, method: str, path: str, account: str) -> Fault | None:
        """The fault that this request meets, counted."""
        for fault in self.all.values():
            if fault.times is not None and fault.struck >= fault.times:
                continue
            if fault.method not in {"", method} or fault.account not in {"", account}:
                continue
            if fault.path and not fnmatchcase(path, fault.path):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            fault.struck += 1
            return fault
        return None
