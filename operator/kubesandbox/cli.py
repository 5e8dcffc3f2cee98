"""`python -m kubesandbox`: the API server, or a node that joins another."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Run what the arguments ask for; gives the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["node"]:
        from kubesandbox.node import cli as node

        return int(node.main(arguments[1:]))
    parser = argparse.ArgumentParser(
        prog="kubesandbox",
        description="An embedded Kubernetes API, held in memory, with a node that runs pods as local processes. "
        "For demos and tests: nothing is kept when it ends, and what it does not do it answers with 501.",
        epilog="`kubesandbox node --kubeconfig FILE` joins a node to another control plane.",
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0, the default, takes any")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--kubeconfig", type=Path, help="write a kubeconfig for kubectl and clients here")
    options = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options))
    return 0


async def _serve(options: argparse.Namespace) -> None:
    from kubesandbox import kubeconfig
    from kubesandbox.assembly import Options, Sandbox

    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, done.set)
    async with Sandbox(Options(options.host, options.port)) as sandbox:
        if options.kubeconfig:
            kubeconfig.write(options.kubeconfig, sandbox.url)
        print(f"kubesandbox is ready at {sandbox.url}", flush=True)
        await done.wait()
