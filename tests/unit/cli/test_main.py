"""What the command says when it cannot do what it was asked."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from switchboard.cli.main import main


@pytest.mark.parametrize(
    "arguments",
    [["operator"], ["release", "switchboard-operator"], ["approve", "acr-1"], ["test", "twilioconnector/sms"]],
    ids=lambda arguments: arguments[0],
)
def test_a_missing_kubeconfig_is_one_sentence(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main(arguments) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said == [
        f"switchboard: {tmp_path}/none: cannot be read: No such file or directory. Set KUBECONFIG to a kubeconfig file."
    ]


class _NotKnown(http.server.BaseHTTPRequestHandler):
    """An API server that takes nobody's credentials."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "Unauthorized"}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PATCH(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize(
    ("arguments", "what"), [(["approve", "acr-1"], "written"), (["test", "twilioconnector/sms"], "asked")]
)
def test_credentials_that_are_not_taken_are_said_to_be_the_matter(
    arguments: list[str],
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _NotKnown) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            document = {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "users": [{"name": "u", "user": {"token": "old"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
            (tmp_path / "config").write_text(json.dumps(document))
            monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
            assert main(arguments) == 1
        finally:
            server.shutdown()
            serving.join()
    [said] = capsys.readouterr().err.strip().splitlines()
    assert said.startswith(f"Not {what}: the API server does not take your credentials. Log in again")


def test_an_operator_whose_port_is_taken_says_which_setting_is_the_matter(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(
        '{"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}], "users": [],'
        ' "contexts": [{"name": "x", "context": {"cluster": "c"}}], "current-context": "x"}'
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("SWITCHBOARD_HEALTH_HOST", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("SWITCHBOARD_HEALTH_PORT", str(taken.getsockname()[1]))
        command = [sys.executable, "-m", "switchboard", "operator"]
        assert subprocess.run(command, timeout=60, check=False).returncode == 1
    said = "".join(capfd.readouterr())
    assert "SWITCHBOARD_HEALTH_PORT: cannot be listened on" in said
    assert "Traceback" not in said


def test_a_wrong_setting_is_named_as_the_environment_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWITCHBOARD_CHECK_INTERVAL", "soon")
    with pytest.raises(SystemExit, match="2"):
        main(["operator"])
    assert "SWITCHBOARD_CHECK_INTERVAL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        (["operator"], "SWITCHBOARD_NAMESPACES", "acme"),
        (["webhook", "check"], "SWITCHBOARD_MEDIA_TYPES", "image/*"),
        (["release"], "SWITCHBOARD_POD_ENVIRONMENT", "A=b"),
    ],
)
def test_a_setting_that_is_no_json_is_named_in_one_line(
    command: list[str],
    name: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="2"):
        main(command)
    [said] = capsys.readouterr().err.strip().splitlines()
    assert said.startswith(f"switchboard: {name}: is not JSON: Expecting value")


def test_a_place_that_is_no_checkout_is_said_to_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["generate", "--root", str(tmp_path)])
    assert "is no checkout" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["soon", "-1", "0", "inf", "nan"])
def test_a_time_to_wait_is_a_number_of_seconds(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["test", "twc/sms", "--timeout", seconds])
    assert f"'{seconds}' is no number of seconds" in capsys.readouterr().err


def test_what_only_the_operator_sets_on_its_pods_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWITCHBOARD_POD_ENVIRONMENT", '{"HTTPS_PROXY": "http://p", "SWITCHBOARD_HOST": "0.0.0.0"}')
    with pytest.raises(SystemExit, match="2"):
        main(["operator"])
    assert "SWITCHBOARD_POD_ENVIRONMENT: Value error, SWITCHBOARD_HOST is the operator's" in capsys.readouterr().err


def test_an_image_without_the_sandbox_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("switchboard.sandbox")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Without(), *sys.meta_path])
    assert main(["demo", "--exit"]) == 1
    assert "make demo" in capsys.readouterr().err


class _Without:
    """An image that lacks `switchboard.sandbox`."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.startswith("switchboard.sandbox"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize("stale", ["crds/switchboard.dev_agents.yaml", "charts/switchboard/templates/_rules.tpl"])
def test_generate_finds_a_stale_file_and_what_is_left_over(
    stale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[3]
    chart = tmp_path / "charts" / "switchboard"
    chart.mkdir(parents=True)
    for name in ("README.md", "values.yaml"):
        (chart / name).write_text((root / "charts" / "switchboard" / name).read_text("utf-8"), encoding="utf-8")
    generate = ["generate", "--root", str(tmp_path)]
    assert main(generate) == 0
    assert main([*generate, "--check"]) == 0
    (tmp_path / stale).write_text("old", encoding="utf-8")
    (tmp_path / "docs" / "reference" / "gone.md").write_text("left", encoding="utf-8")
    assert main([*generate, "--check"]) == 1
    said = capsys.readouterr().err
    assert stale in said
    assert "docs/reference/gone.md" in said
    assert main(generate) == 0
    assert main([*generate, "--check"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["approve", "ask/status"],
        ["reject", "ask?x=y"],
        ["approve", "../secrets/x"],
        ["approve", ""],
        ["approve", "ask", "-n", "acme/x"],
        ["test", "twilioconnector/sms/status"],
        ["test", "agent/support"],
        ["test", "twilioconnector/sms", "--timeout", "nan"],
        ["test", "twilioconnector/sms", "--timeout", "-1"],
    ],
)
def test_what_is_no_name_is_not_asked_for(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    assert capsys.readouterr().err
