"""`python -m kubesandbox node`: joins a node to the control plane of a kubeconfig."""

import argparse
import asyncio
import logging
import re
import signal
import sys
from pathlib import Path

import aiohttp

from kubesandbox.client import ApiError, Client, Config, ConfigError, Object
from kubesandbox.node.agent import STOP_SECONDS, Node, NodeOptions
from kubesandbox.node.registration import NodeNameTakenError


def main(argv: list[str]) -> int:
    """Run until SIGTERM or SIGINT; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="kubesandbox node",
        description="Joins a node to a control plane, real or embedded: pods that are bound to it run as processes of "
        "this machine, and a router on one local port leads to their Services and Ingresses.",
    )
    parser.add_argument("--kubeconfig", type=Path, required=True, help="how to reach the control plane")
    parser.add_argument("--name", default="kubesandbox", help="the Node's name")
    parser.add_argument("--router-port", type=int, default=0, help="port of the router; 0, the default, takes any")
    parser.add_argument("--root", type=Path, help="directory of the pods' files; a temporary one by default")
    parser.add_argument(
        "--stop-seconds",
        type=float,
        default=STOP_SECONDS,
        help=f"how long containers get to end when the node ends ({STOP_SECONDS:g} by default, 0 kills them at once)",
    )
    parser.add_argument(
        "--register-with-taints",
        type=_taints,
        default=(),
        metavar="KEY[=VALUE]:EFFECT,…",
        help="what pods must tolerate to be scheduled here",
    )
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    try:
        config = Config.load(options.kubeconfig)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    chosen = NodeOptions(
        name=options.name,
        router_port=options.router_port,
        root=options.root,
        stop_seconds=options.stop_seconds,
        taints=options.register_with_taints,
    )
    try:
        return asyncio.run(_serve(config, chosen))
    except NodeNameTakenError as error:
        print(error, file=sys.stderr)
    except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
        print(f"cannot join {config.server}: {error}", file=sys.stderr)
    return 1


def _taints(text: str) -> tuple[Object, ...]:
    """The kubelet's way to write taints."""
    found: list[Object] = []
    for entry in text.split(","):
        match = re.fullmatch(r"([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)", entry)
        if match is None:
            raise argparse.ArgumentTypeError(f"{entry!r} is no taint: write KEY=VALUE:EFFECT or KEY:EFFECT")
        found.append({"key": match[1], "effect": match[3], **({"value": match[2]} if match[2] else {})})
    return tuple(found)


async def _serve(config: Config, options: NodeOptions) -> int:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(name, done.set)
    async with Client(config, user_agent="kubelet") as client, Node(client, options) as node:
        print(f"node {node.name} is ready, router at {node.router_url}", flush=True)
        failed = asyncio.create_task(node.wait())
        ended = asyncio.create_task(done.wait())
        await asyncio.wait({failed, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if failed.done():
            failed.result()
        failed.cancel()
    return 0
