"""One embedded API server a worker, in a thread of its own, for tests that talk to it from outside."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.conformance.kubesandbox.http import Api

from kubesandbox.assembly import Options, Sandbox


@contextmanager
def serving(options: Options) -> Iterator[Sandbox]:
    """A sandbox on a thread's event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def call(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    sandbox = Sandbox(options)
    call(sandbox.__aenter__())
    try:
        yield sandbox
    finally:
        call(sandbox.__aexit__())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def api() -> Iterator[Sandbox]:
    """The API alone: no controllers, no node."""
    with serving(Options(controllers=False, node=False)) as sandbox:
        yield sandbox


@pytest.fixture
def ask(api: Sandbox) -> Api:
    """The API, asked as its administrator."""
    return Api(api.url)


@pytest.fixture
def space(ask: Api) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"t-{next(_numbers)}-{os.getpid()}"
    ask.good("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    ask("DELETE", f"/api/v1/namespaces/{name}")


_numbers = itertools.count(1)
