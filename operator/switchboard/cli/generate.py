"""`switchboard generate`: writes what is generated from the models, or proves that it is fresh."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from switchboard.api import crd
from switchboard.cli import chart, reference

# Folders that hold nothing but generated files.
_WHOLE = (Path("crds"), chart.CHART / "files" / "crds", reference.FOLDER)


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    for name, text in crd.manifests():
        yield Path("crds") / name, text
    yield from chart.files(root)
    yield from reference.files()


def generate(root: Path, *, check: bool) -> int:
    """Writes every generated file below `root`; with `check`, writes nothing and returns 1 if one is stale."""
    stale = []
    files = dict(_files(root))
    for path, text in files.items():
        target = root / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path))
        if not check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    left_over = [
        str(path.relative_to(root))
        for folder in _WHOLE
        for path in sorted((root / folder).glob("*"))
        if path.relative_to(root) not in files
    ]
    if not check:
        for name in left_over:
            (root / name).unlink()
        print(f"{len(files)} files generated, {len(stale)} of them changed")
        return 0
    if stale or left_over:
        print(f"stale: {', '.join(stale + left_over)}: run `make crds` and commit what it writes", file=sys.stderr)
        return 1
    print(f"{len(files)} generated files are fresh")
    return 0
