"""`engine.model`: a language model with tools. pydantic-ai is loaded only where a model engine is built."""

from __future__ import annotations

from pathlib import Path

from switchboard.api.engine import ModelEngine as ModelSpec
from switchboard.engines.base import Engine, EngineMisconfigured


def build(spec: ModelSpec, secrets: Path) -> Engine:
    """The engine.

    Raises:
        EngineMisconfigured: it cannot work as it is set up, or the libraries are not installed.
    """
    try:
        from switchboard.engines.model.engine import ModelEngine
    except ImportError as error:
        raise EngineMisconfigured(
            "ModelsNotInstalled",
            f"spec.template.engine.model: {error.name or 'a library'} is not in this image; "
            "install switchboard-operator[models]",
        ) from None
    return ModelEngine(spec, secrets)
