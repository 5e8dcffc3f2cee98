"""Replays a recorded kubectl session and says, command by command, what it prints otherwise than on kube-apiserver."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

_BLANKS = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uid>"),
    (re.compile(r"(?m)^(\s*Resource Version:\s+)\d+"), r"\1<rv>"),
    (re.compile(r"(?m)^(\s*resourceVersion: )\"\d+\""), r"\1<rv>"),
    (re.compile(r"\b10\.96\.\d+\.\d+\b"), "<ip>"),
    (re.compile(r"\b\d+(?:\.\d+)?(?:ms|s|m\d*s?)\b"), "<age>"),
    (re.compile(r"<invalid>|<unknown>"), "<age>"),
    (re.compile(r"-[a-z0-9]{5}\b(?= |$)", re.MULTILINE), "-<suffix>"),
    (re.compile(r"[ \t]+"), " "),
]


def blanked(text: str) -> str:
    """Output with ages, times and the like blanked, and runs of blanks as one."""
    for pattern, by in _BLANKS:
        text = pattern.sub(by, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def run(steps: list[dict[str, Any]], kubectl: str, kubeconfig: Path) -> list[str | None]:
    """How each command differs from what was recorded; None where it does not."""
    return [_differs(step, *_run(step, kubectl, kubeconfig)) for step in steps]


def load(path: Path) -> list[dict[str, Any]]:
    """The commands of a session."""
    steps: list[dict[str, Any]] = json.loads(path.read_text())
    return steps


def _run(step: dict[str, Any], kubectl: str, kubeconfig: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [kubectl, "--kubeconfig", str(kubeconfig), *step["args"]],
        input=step.get("stdin"),
        text=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "KUBECACHEDIR": f"{kubeconfig}.cache"},
        check=False,
    )
    return done.returncode, blanked(done.stdout), blanked(done.stderr)


def _differs(step: dict[str, Any], code: int, out: str, err: str) -> str | None:
    if code != step["rc"]:
        return f"exit code: wanted {step['rc']}, got {code}: {err or out}"
    if step.get("loose"):
        wanted = [line.split()[0] for line in step["stdout"].splitlines() if line.split()]
        missing = [word for word in wanted if word not in out]
        return f"stdout lacks {missing}" if missing else None
    if out != step["stdout"]:
        return f"stdout:\n--- kube-apiserver\n{step['stdout']}\n--- here\n{out}"
    if code and err != step["stderr"]:
        return f"stderr:\n--- kube-apiserver\n{step['stderr']}\n--- here\n{err}"
    return None
