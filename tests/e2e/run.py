"""The chart on a real cluster: install, text, upgrade, roll back, uninstall.

Makes a kind cluster and an image, unless told to use others. Needs docker, kind, kubectl and helm on the PATH. Another
cluster: `make e2e ARGS="--kubeconfig FILE --image REPOSITORY:TAG --simulator-image …"`, which it can pull.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from switchboard.sandbox.twilio.control import Control
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec, SenderSpec

ROOT = Path(__file__).parents[2]
NUMBER, PERSON = "+15005550006", "+14155550100"
OLD_WEBHOOK = "https://old.example.com/sms"
IMAGE, SIMULATOR = "switchboard:e2e", "switchboard-simulator:e2e"


class Failed(Exception):
    """A step did not do what it should. The message says what was there instead."""


def run(*command: str | Path, stdin: str | None = None, env: dict[str, str] | None = None) -> str:
    """What a command printed."""
    print("$", *command, flush=True)
    done = subprocess.run(
        [str(part) for part in command], input=stdin, env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}")
    return done.stdout


@dataclass(frozen=True)
class Cluster:
    """A cluster, and the images that its nodes have or can pull."""

    kubeconfig: Path
    image: str
    simulator: str

    @property
    def env(self) -> dict[str, str]:
        """The environment in which kubectl and helm reach it."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """What kubectl printed."""
        return run("kubectl", *arguments, stdin=stdin, env=self.env)

    def helm(self, *arguments: str | Path) -> str:
        """What helm printed."""
        return run("helm", *arguments, env=self.env)


@contextlib.contextmanager
def clusters(options: argparse.Namespace, directory: Path) -> Iterator[Cluster]:
    """The named cluster, or a kind cluster that ends with this run."""
    if options.kubeconfig:
        if not (options.image and options.simulator_image):
            raise Failed("--kubeconfig needs --image and --simulator-image, which that cluster can pull")
        yield Cluster(options.kubeconfig.resolve(), options.image, options.simulator_image)
        return
    name, kubeconfig = f"switchboard-{secrets.token_hex(3)}", directory / "kubeconfig"
    node = ["--image", f"kindest/node:{options.kubernetes}"] if options.kubernetes else []
    image = options.image or IMAGE
    if not options.image:
        run("docker", "build", "--tag", image, ".")
    run("docker", "build", "--tag", SIMULATOR, "--build-arg", f"IMAGE={image}", "--file", "tests/e2e/Dockerfile", ".")
    run("kind", "create", "cluster", "--name", name, "--kubeconfig", kubeconfig, "--wait", "120s", *node)
    try:
        run("kind", "load", "docker-image", "--name", name, image, SIMULATOR)
        yield Cluster(kubeconfig, image, SIMULATOR)
    finally:
        if options.keep:
            shutil.copy(kubeconfig, f"{name}.kubeconfig")
            print(f"kept: export KUBECONFIG={name}.kubeconfig; kind delete cluster --name {name}")
        else:
            run("kind", "delete", "cluster", "--name", name)


@contextlib.asynccontextmanager
async def simulator(cluster: Cluster) -> AsyncIterator[Control]:
    """Twilio as a pod, steered through a port-forward."""
    manifest = (ROOT / "tests/e2e/simulator.yaml").read_text(encoding="utf-8")
    cluster.kubectl("apply", "-f", "-", stdin=manifest.replace("SIMULATOR_IMAGE", cluster.simulator))
    cluster.kubectl("rollout", "status", "deployment/twilio", "-n", "twilio", "--timeout", "120s")
    forward = await asyncio.create_subprocess_exec(
        "kubectl", "port-forward", "-n", "twilio", "service/twilio", ":80", env=cluster.env, stdout=subprocess.PIPE
    )
    try:
        if forward.stdout is None:
            raise Failed("kubectl port-forward has no output")
        line = (await asyncio.wait_for(forward.stdout.readline(), 30)).decode()
        port = re.search(r"127\.0\.0\.1:(\d+)", line)
        if port is None:
            raise Failed(f"kubectl port-forward said: {line}")
        async with Control(f"http://127.0.0.1:{port[1]}") as control:
            yield control
    finally:
        with contextlib.suppress(ProcessLookupError):
            forward.terminate()
        await forward.wait()


def values(cluster: Cluster, **more: str) -> list[str]:
    """The chart's values as arguments: webhooks go by the Service's name within the cluster, so no route is needed."""
    repository, _, tag = cluster.image.rpartition(":")
    chosen = {
        "publicURL": "http://support-webhook.acme.svc",
        "route.kind": "None",
        "twilio.baseURL": "http://twilio.twilio.svc",
        "image.repository": repository,
        "image.tag": tag,
        **more,
    }
    return [part for name, value in chosen.items() for part in ("--set-string", f"{name}={value}")]


async def expect(what: str, probe: Callable[[], object], wanted: object) -> None:
    """Asks until the answer is the wanted one, for two minutes."""
    found: object = None
    for _ in range(120):
        found = probe()
        if found == wanted:
            print(f"ok: {what}", flush=True)
            return
        await asyncio.sleep(1)
    raise Failed(f"{what}: {found!r} instead of {wanted!r}")


async def ask(control: Control, text: str, wanted: str) -> None:
    """Texts the agent and compares its answer."""
    before = len(await control.inbox(PERSON, wait=False))
    await control.text(PERSON, NUMBER, text)
    answer = (await control.next_message(PERSON, after=before)).body
    if answer != wanted:
        raise Failed(f"{text!r} was answered with {answer!r} instead of {wanted!r}")
    print(f"ok: {text!r} → {answer!r}", flush=True)


async def scenario(cluster: Cluster) -> None:
    """What a user does in a year, in minutes."""
    sid, token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)

    def reason() -> str:
        return cluster.kubectl(
            "get",
            "twc",
            "production-sms",
            "-n",
            "acme",
            "-o",
            'jsonpath={.status.conditions[?(@.type=="Ready")].reason}',
        )

    async with simulator(cluster) as control:
        await control.create_account(
            AccountSpec(
                sid=sid,
                auth_token=token,
                friendly_name="Acme",
                numbers=[NumberSpec(phone_number=NUMBER, sms_url=OLD_WEBHOOK)],
                senders=[SenderSpec(phone_number=NUMBER)],
            )
        )
        install = ["upgrade", "--install", "switchboard", "charts/switchboard", "--namespace", "switchboard-system"]
        cluster.helm(*install, "--create-namespace", "--wait", "--timeout", "3m", *values(cluster))

        quickstart = cluster.kubectl("kustomize", "examples/quickstart")
        quickstart = quickstart.replace("AC00000000000000000000000000000000", sid)
        cluster.kubectl("apply", "-f", "-", stdin=quickstart.replace("replace-with-your-auth-token", token))
        cluster.kubectl("label", "namespace", "acme", "pod-security.kubernetes.io/enforce=restricted")
        await expect("the quickstart is connected", reason, "Connected")
        await ask(control, "Where is order 1234?", "Order 1234 is on its way.")

        more = values(cluster, **{"operator.logLevel": "DEBUG"})
        cluster.helm(*install, "--wait", "--timeout", "3m", *more)
        await expect("connected after the upgrade", reason, "Connected")
        await ask(control, "hours?", "We are open 9 to 5, Monday to Friday.")
        cluster.helm("rollback", "switchboard", "--namespace", "switchboard-system", "--wait", "--timeout", "3m")
        await expect("connected after the rollback", reason, "Connected")
        await ask(control, "hours?", "We are open 9 to 5, Monday to Friday.")

        cluster.helm("uninstall", "switchboard", "--namespace", "switchboard-system", "--wait", "--timeout", "5m")
        left = (await control.number(sid, NUMBER)).sms_url
        if left != OLD_WEBHOOK:
            raise Failed(f"the number's webhook is {left!r} after the uninstall instead of {OLD_WEBHOOK!r}")
        print("ok: the number's old webhook is back")
        cluster.kubectl("delete", "namespace", "acme", "twilio", "--timeout", "120s")
        print("ok: nothing holds the namespaces back")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the scenario; 1 if a step failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path, help="use this cluster instead of making one")
    parser.add_argument("--kubernetes", help="version of the kind node image: v1.37.0")
    parser.add_argument("--image", help="the product's image; default: built here")
    parser.add_argument("--simulator-image", help="with --kubeconfig: the image of tests/e2e/Dockerfile")
    parser.add_argument("--keep", action="store_true", help="leave the kind cluster")
    options = parser.parse_args(arguments)
    tools = ["kubectl", "helm", *([] if options.kubeconfig else ["docker", "kind"])]
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        print(f"e2e: not on the PATH: {', '.join(missing)}", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory() as directory, clusters(options, Path(directory)) as cluster:
            asyncio.run(scenario(cluster))
    except Failed as error:
        print(f"e2e: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
