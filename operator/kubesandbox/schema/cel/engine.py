"""The library that runs CEL, loaded when the first expression needs it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import logging
import sys
from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def library() -> ModuleType:
    """The compiled part of `common-expression-language`.

    Its package imports its command line too (typer, prompt_toolkit: 0.6 s), so the extension is loaded by itself.
    """
    # It logs each exception of a function of ours, which is how an expression fails: that is told in the answer.
    logger = logging.getLogger("cel")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    # A compiled module that is initialised twice in one process deadlocks: whoever loads it first shares it.
    if (known := sys.modules.get("cel.cel")) is not None:
        return known
    for folder in sys.path:
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            path = Path(folder) / "cel" / f"cel{suffix}"
            if path.exists():
                loader = importlib.machinery.ExtensionFileLoader("cel.cel", str(path))
                spec = importlib.machinery.ModuleSpec("cel.cel", loader, origin=str(path))
                module = importlib.util.module_from_spec(spec)
                loader.exec_module(module)
                sys.modules["cel.cel"] = module
                return module
    raise ModuleNotFoundError(
        "CEL needs the package common-expression-language: pip install switchboard-operator[sandbox]"
    )
