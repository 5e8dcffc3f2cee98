"""The documentation says what the code does, as far as a machine can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from switchboard.api import crd, reasons
from switchboard.cli import chart, reference

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
OURS = [
    path
    for folder in (DOCS, ROOT / "examples" / "gitops", ROOT / "examples" / "overlays", ROOT / "charts")
    for path in sorted(folder.rglob("*.md"))
    if "engines" not in path.relative_to(ROOT).parts
]
REASONS = {str(reason) for enum in (reasons.ConnectorReason, reasons.AgentReason) for reason in enum}


def _headings(path: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)


def _anchors(path: Path) -> set[str]:
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _headings(path))
    return {heading.replace(" ", "-") for heading in plain}


def test_every_reason_has_its_entry_and_every_entry_a_reason() -> None:
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    entries = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert len(entries) == len(set(entries))
    assert set(entries) == REASONS
    assert len(REASONS) > 40


def test_every_entry_says_something() -> None:
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    bodies = re.findall(r"^### ([^\n]+)\n\n(.*?)(?=\n##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(bodies) == len(REASONS)
    assert not [name for name, body in bodies if len(body.split()) < 3]


def _links() -> list[tuple[Path, str]]:
    found = []
    for path in OURS:
        text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
        found += [(path, target) for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    return found


def test_every_link_leads_somewhere() -> None:
    broken = []
    for path, target in _links():
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert len(_links()) > 40
    assert not broken


def test_every_page_is_reached_from_the_index() -> None:
    reached, ahead = set(), [DOCS / "index.md"]
    by_page: dict[Path, list[Path]] = {}
    for path, target in _links():
        if not target.startswith("http") and (file := target.partition("#")[0]):
            by_page.setdefault(path.resolve(), []).append((path.parent / file).resolve())
    while ahead:
        page = ahead.pop().resolve()
        if page not in reached:
            reached.add(page)
            ahead += [next_ for next_ in by_page.get(page, []) if next_.suffix == ".md"]
    pages = {path.resolve() for path in OURS if path.is_relative_to(DOCS)}
    assert pages <= reached


def _blocks(language: str) -> list[tuple[Path, str]]:
    return [
        (path, block)
        for path in OURS
        for block in re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
    ]


def test_yaml_blocks_are_yaml() -> None:
    blocks = _blocks("yaml")
    assert blocks
    for _, block in blocks:
        assert list(yaml.safe_load_all(block))


def test_values_that_pages_name_exist() -> None:
    text = (ROOT / "charts/switchboard/values.yaml").read_text("utf-8")
    values = {value.path for value in chart.documented(text)}
    groups = {path.rsplit(".", count)[0] for path in values for count in range(1, path.count(".") + 1)}
    roots = {path.split(".")[0] for path in values if "." in path} - {"webhook", "release"}
    named = {
        (path.name, name)
        for path in OURS
        for name in re.findall(rf"`((?:{'|'.join(sorted(roots))})\.[A-Za-z.]+)`", path.read_text("utf-8"))
        if not name.endswith(".yaml") and not name.startswith(("conversationLog.retention", "conversationLog.max"))
    }
    assert len(named) > 12
    assert not {(page, name) for page, name in named if name not in values | groups}


def test_settings_that_helm_commands_set_exist() -> None:
    text = (ROOT / "charts/switchboard/values.yaml").read_text("utf-8")
    values = {value.path for value in chart.documented(text)}
    named = {name for _, block in _blocks("sh") for name in re.findall(r"--set ([A-Za-z.]+)=", block)}
    assert named
    assert named <= values


@pytest.mark.parametrize("kind", crd.KINDS, ids=lambda kind: kind.names.kind)
def test_the_reference_names_every_field(kind: type) -> None:
    page = reference.kind_page(kind)  # type: ignore[arg-type]

    def names(schema: dict[str, object]) -> set[str]:
        found: set[str] = set()
        for key in ("properties",):
            for name, inner in (schema.get(key) or {}).items():  # type: ignore[attr-defined]
                found |= {name} | names(inner)
        for key in ("items", "additionalProperties"):
            inner = schema.get(key)
            if isinstance(inner, dict):
                found |= names(inner)
        return found

    schema = crd.schema(kind)  # type: ignore[arg-type]
    wanted = names(schema["properties"]["spec"]) | names(schema["properties"]["status"])
    assert len(wanted) > 3
    assert not {name for name in wanted if not re.search(rf"[.`]{re.escape(name)}[.`\[]", page)}


def test_the_generated_pages_are_fresh() -> None:
    for path, text in reference.files():
        assert (ROOT / path).read_text("utf-8") == text, f"{path} is stale: run `make crds`"
