"""`switchboard`: both processes of the images, and what a person runs.

A command's libraries are imported by the command alone: the webhook must not pay for what the operator needs.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_settings import SettingsError

EXIT_CONFIGURATION = 2

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
"""Of an object or a namespace: part of a URL's path, in which `x/status` would be another resource."""


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no object's name: lowercase letters, digits, '-' and '.'")
    return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def _checkout(text: str) -> Path:
    root = Path(text)
    if not (root / "charts" / "switchboard" / "values.yaml").is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no checkout: it has no charts/switchboard")
    return root


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="switchboard", description="Connect AI agents to SMS and WhatsApp through Twilio, on your own cluster."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("operator", help="run the operator (settings: SWITCHBOARD_* in the environment)")

    release = commands.add_parser(
        "release", help="before an uninstall: put every connector's old webhook back at Twilio (settings: as operator)"
    )
    release.add_argument("deployment", nargs="?", help="the operator's Deployment, which is scaled to 0 first")

    webhook = commands.add_parser("webhook", help="run or check a revision's webhook")
    webhook.add_argument("action", choices=["serve", "check"], help="serve; or prove that serving can work, and exit")

    generate = commands.add_parser("generate", help="write what is generated from the models (CRDs, reference)")
    generate.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    generate.add_argument("--root", type=_checkout, default=".", help="the checkout (default: here)")

    for decision in ("approve", "reject"):
        decide = commands.add_parser(decision, help=f"{decision} who asks to write to an agent")
        decide.add_argument("name", type=_name, help="name of the AccessRequest")
        decide.add_argument("-n", "--namespace", type=_name, help="its namespace (default: the kubeconfig's)")
        decide.add_argument("--note", default=None, help="why, for colleagues")

    test = commands.add_parser("test", help="check a connector at Twilio now, and say what was found")
    test.add_argument("resource", help="twilioconnector/NAME")
    test.add_argument("-n", "--namespace", type=_name, help="its namespace (default: the kubeconfig's)")
    test.add_argument("--timeout", type=_seconds, default=60, help="seconds to wait for the answer (default: 60)")

    demo = commands.add_parser("demo", help="the whole product on this machine: no cluster, no Twilio account")
    demo.add_argument("--exit", action="store_true", help="end after the answers, also on a terminal")
    demo.add_argument("--directory", type=Path, default=Path(".demo"), help="where logs and the kubeconfig are put")
    return parser


def _run(work: Coroutine[Any, Any, int | None]) -> int:
    from switchboard.kube.access import AccessError

    try:
        return asyncio.run(work) or 0
    except AccessError as error:
        print(f"switchboard: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _operator() -> int:
    from switchboard.controller.main import run
    from switchboard.settings import OperatorSettings
    from switchboard.telemetry import logs

    settings = OperatorSettings()
    logs.configure(settings.log_level, settings.log_format)
    return _run(run(settings))


def _release(deployment: str | None) -> int:
    from switchboard.cli.release import release
    from switchboard.settings import OperatorSettings
    from switchboard.telemetry import logs

    settings = OperatorSettings()
    logs.configure(settings.log_level, settings.log_format)
    return _run(release(settings, deployment))


def _webhook(action: str) -> int:
    from switchboard.settings import WebhookSettings
    from switchboard.telemetry import logs

    settings = WebhookSettings()
    logs.configure(settings.log_level, settings.log_format)
    if action == "check":
        from switchboard.webhook.checking import check

        return asyncio.run(check(settings))
    from switchboard.webhook.main import serve

    return _run(serve(settings))


def _process(arguments: argparse.Namespace) -> int:
    """What runs in pods, with settings from the environment."""
    match arguments.command:
        case "operator":
            return _operator()
        case "release":
            return _release(arguments.deployment)
        case _:
            return _webhook(arguments.action)


def _fail(error: ValidationError | SettingsError) -> NoReturn:
    """Settings that are wrong are named as the environment names them."""
    if isinstance(error, SettingsError):  # raised before validation, of the fields that are lists and maps
        problems = [(re.findall(r'field "(\w+)"', str(error))[:1], f"is not JSON: {error.__cause__}")]
    else:
        problems = [([str(part) for part in it["loc"]], it["msg"]) for it in error.errors()]
    for path, message in problems:
        print(f"switchboard: {'_'.join(['SWITCHBOARD', *path]).upper()}: {message}", file=sys.stderr)
    raise SystemExit(EXIT_CONFIGURATION)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code: 0 done, 1 it failed (the reason is on standard error), 2 wrong arguments or settings.
    """
    arguments = _parser().parse_args(argv)
    try:
        match arguments.command:
            case "operator" | "release" | "webhook":
                return _process(arguments)
            case "generate":
                from switchboard.cli.generate import generate

                return generate(arguments.root, check=arguments.check)
            case "approve" | "reject":
                from switchboard.cli.access import decide

                return _run(decide(arguments.command, arguments.name, arguments.namespace, arguments.note))
            case "test":
                from switchboard.cli.test import test

                return _run(test(arguments.resource, arguments.namespace, arguments.timeout))
            case _:
                from switchboard.sandbox.story import Story

                story = Story()
                story.title("Switchboard on this machine")  # the imports of what follows take a moment
                from switchboard.sandbox.demo import demo

                return demo(story, arguments.directory, stay=not arguments.exit and sys.stdin.isatty())
    except (ValidationError, SettingsError) as error:
        _fail(error)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("switchboard.sandbox"):
            raise
        print("switchboard: the demo is not part of the image: run `make demo` in a checkout", file=sys.stderr)
        return 1
