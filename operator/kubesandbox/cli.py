"""`python -m kubesandbox`: the API server with its controllers and node, or a node that joins another."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import signal
import sys
from pathlib import Path

DESCRIPTION = """\
An embedded Kubernetes API, held in memory, with a node that runs pods as local processes.
For demos and tests: it is no cluster, isolates nothing, and keeps nothing when it ends.
What it does not do it answers with 501."""


def main(argv: list[str] | None = None) -> int:
    """Run what the arguments ask for; gives the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["node"]:
        from kubesandbox.node import cli as node

        return int(node.main(arguments[1:]))
    options = _parser().parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubesandbox",
        description=DESCRIPTION,
        epilog="`kubesandbox node --kubeconfig FILE` joins a node to another control plane.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0, the default, takes any")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--kubeconfig", type=Path, help="write a kubeconfig for kubectl and clients here")
    parser.add_argument("--rbac", action="store_true", help="enforce Roles and bindings on all but the administrator")
    parser.add_argument("--router-port", type=int, default=0, help="port of the node's router; 0 takes any")
    parser.add_argument(
        "--stop-seconds",
        type=float,
        default=3.0,
        help="how long containers get to end when the sandbox ends (3 by default, 0 kills them at once)",
    )
    parser.add_argument("--no-node", action="store_true", help="start no node: pods stay pending until one joins")
    parser.add_argument(
        "--no-controllers", action="store_true", help="the API only: no Deployment is rolled out, no pod is scheduled"
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="listen with TLS, so that clients send tokens: who shows none is anonymous, the kubeconfig has one",
    )
    parser.add_argument(
        "--hostile",
        type=int,
        nargs="?",
        const=0,
        metavar="SEED",
        help="be as bad as a cluster can be: late watches and mounts, broken and expired watches, requests that fail; "
        "the same seed, 0 by default, makes the same choices",
    )
    return parser


async def _serve(options: argparse.Namespace) -> None:
    gc.disable()  # what is loaded to start stays: looking for garbage among it only takes time
    from kubesandbox.assembly import Options, Sandbox

    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, done.set)
    chosen = Options(
        options.host,
        options.port,
        rbac=options.rbac,
        controllers=not options.no_controllers,
        node=not options.no_node,
        router_port=options.router_port,
        hostile=options.hostile,
        tls=options.tls,
        stop_seconds=options.stop_seconds,
    )
    async with Sandbox(chosen) as sandbox:
        if options.kubeconfig:
            sandbox.write_kubeconfig(options.kubeconfig)
        print(f"kubesandbox is ready at {sandbox.url}", flush=True)
        gc.freeze()
        gc.enable()
        ended = asyncio.create_task(done.wait())
        failed = asyncio.create_task(sandbox.failed())
        await asyncio.wait({ended, failed}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if failed.done():
            failed.result()
        failed.cancel()
