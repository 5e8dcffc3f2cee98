"""The pages on engines say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from switchboard.api.engine import Engine
from switchboard.engines.endpoint.http import MEDIA_BYTES, TurnReply, TurnRequest
from switchboard.engines.endpoint.transport import ANSWER_BYTES, QUOTED
from switchboard.engines.model.providers import PROVIDERS

DOCS = Path(__file__).parents[3] / "docs" / "engines"
SOURCES = Path(__file__).parents[3] / "operator" / "switchboard" / "engines"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def test_the_table_of_providers_is_the_code_s() -> None:
    rows = re.findall(
        r"^\| `(\S+):` \| (.*?) \| (\w+) \| (\w+) \| `(\S+)` \|$", (DOCS / "model.md").read_text(), re.MULTILINE
    )
    assert rows == [
        (name, one.title, one.key.lower(), one.base_url.lower(), f"switchboard-operator[{one.extra}]")
        for name, one in sorted(PROVIDERS.items())
    ]


def test_the_contract_s_examples_are_valid_and_name_every_field() -> None:
    request, reply = (json.loads(block) for block in blocks("http.md", "json"))
    parsed = TurnRequest.model_validate(request)
    assert parsed.model_dump(mode="json", by_alias=True, exclude_none=True) == request
    assert set(request) == set(TurnRequest.model_json_schema()["properties"])
    assert set(reply) == set(TurnReply.model_json_schema()["properties"])
    assert TurnReply.model_validate(reply).model_dump(mode="json", by_alias=True) == reply


def test_the_contract_s_bounds_are_the_code_s() -> None:
    text = (DOCS / "http.md").read_text()
    assert f"{MEDIA_BYTES >> 20} MiB" in text
    assert f"The body may have {ANSWER_BYTES >> 20} MiB" in text
    assert f"up to {QUOTED} characters" in text


@pytest.mark.parametrize("page", ["script.md", "model.md", "a2a.md", "http.md"])
def test_each_page_s_manifest_is_valid(page: str) -> None:
    (first, *_) = blocks(page, "yaml")
    assert Engine.model_validate(yaml.safe_load(first)["engine"]).kind == (
        "endpoint" if page in ("a2a.md", "http.md") else page[:-3]
    )


def test_every_kind_of_error_that_is_listed_exists() -> None:
    table = (DOCS / "README.md").read_text().split("| who must act |")[1].split("\n\n")[0]
    listed = {kind for kind in re.findall(r"`([A-Z]\w+)`", table) if kind != "Retry"}
    source = "".join(file.read_text() for file in SOURCES.rglob("*.py"))
    assert len(listed) > 20
    assert not {kind for kind in listed if f'"{kind}"' not in source}
