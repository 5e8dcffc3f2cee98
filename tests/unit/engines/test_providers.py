"""What can be known of a model engine without asking anybody."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from switchboard.api.engine import Engine
from switchboard.engines import EngineMisconfigured, build

KEY = {"apiKey": {"secretRef": {"name": "model", "key": "apiKey"}}}
INSTRUCTIONS = {"instructionsFrom": {"configMapRef": {"name": "prompts", "key": "support"}}}
SECRET = "sk-secret-0123456789"
LIBRARIES = {"google": "google.genai", "bedrock": "boto3", "groq": "groq", "mistral": "mistralai"}
WORKING: dict[str, dict[str, Any]] = {
    "openai": KEY,
    "openai-chat": KEY,
    "openai-responses": KEY,
    "anthropic": KEY,
    "azure": KEY | {"baseURL": "https://acme.openai.azure.com/openai/v1"},
    "google": KEY,
    "bedrock": {"region": "eu-central-1"},
    "groq": KEY,
    "mistral": KEY,
    "ollama": {"baseURL": "http://ollama.models:11434/v1"},
    "vllm": {"baseURL": "http://vllm.models:8000/v1"},
    "litellm": {"baseURL": "http://litellm.models:4000"},
    "openrouter": KEY,
    "deepseek": KEY,
}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "api-key").write_text(SECRET)
    return tmp_path


def spec(name: str, **fields: Any) -> Engine:
    return Engine.model_validate({"model": {"name": name} | fields})


def installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("provider", sorted(WORKING))
async def test_each_provider_is_built_or_says_what_to_install(provider: str, secrets: Path) -> None:
    engine = build(spec(f"{provider}:acme/some-model", **WORKING[provider]), secrets=secrets)
    try:
        if provider not in LIBRARIES or installed(LIBRARIES[provider]):
            await engine.check()
        else:
            with pytest.raises(EngineMisconfigured, match=rf"install switchboard-operator\[{provider}\]") as raised:
                await engine.check()
            assert raised.value.kind == "ProviderNotInstalled"
    finally:
        await engine.close()


async def test_every_provider_that_is_known_is_tried_here() -> None:
    from switchboard.engines.model.providers import PROVIDERS

    assert set(PROVIDERS) == set(WORKING)


@pytest.mark.parametrize(
    ("name", "fields", "kind", "says"),
    [
        ("opnai:gpt", KEY, "ProviderUnknown", "provider 'opnai' is not known; known: anthropic, azure, bedrock"),
        ("openai:gpt", {}, "APIKeyMissing", "spec.template.engine.model.apiKey: OpenAI needs a key"),
        ("anthropic:claude", {}, "APIKeyMissing", "spec.template.engine.model.apiKey: Anthropic needs a key"),
        ("vllm:llama", {}, "BaseURLMissing", "spec.template.engine.model.baseURL: vllm needs the server's address"),
        ("azure:gpt", KEY, "BaseURLMissing", "https://<resource>.openai.azure.com"),
        ("azure:gpt", {"baseURL": "https://a.openai.azure.com/openai/v1"}, "APIKeyMissing", "Azure OpenAI needs a key"),
        ("deepseek:chat", KEY | {"baseURL": "http://x/v1"}, "BaseURLRefused", "write openai:chat"),
        ("openai:gpt", KEY | {"region": "eu-west-1"}, "FieldRefused", "region is for provider bedrock"),
        ("openai:gpt", KEY | {"apiVersion": "v1"}, "FieldRefused", "apiVersion is for provider azure"),
        (
            "openai:gpt",
            KEY | {"instructionsFrom": {"configMapRef": {"name": "a", "key": "b"}}},
            "InstructionsMissing",
            "",
        ),
    ],
)
def test_a_model_that_cannot_work_is_refused_with_the_mend(
    name: str, fields: dict[str, Any], kind: str, says: str, secrets: Path
) -> None:
    with pytest.raises(EngineMisconfigured) as raised:
        build(spec(name, **fields), secrets=secrets)
    assert raised.value.kind == kind
    assert says in str(raised.value)
    assert str(raised.value).startswith("spec.template.engine.model.")


async def test_azure_s_old_addresses_need_a_version(secrets: Path) -> None:
    old = KEY | {"baseURL": "https://acme.openai.azure.com"}
    with pytest.raises(EngineMisconfigured, match="apiVersion: set it"):
        await build(spec("azure:gpt", **old), secrets=secrets).check()
    engine = build(spec("azure:gpt", **old, apiVersion="2024-10-21"), secrets=secrets)
    await engine.check()
    await engine.close()


@pytest.mark.parametrize(
    ("content", "kind"), [(None, "SecretMissing"), (b" \n", "SecretEmpty"), (b"\xff", "SecretUnreadable")]
)
async def test_a_key_that_cannot_be_had_is_found_by_the_check(tmp_path: Path, content: bytes | None, kind: str) -> None:
    if content is not None:
        (tmp_path / "engine").mkdir()
        (tmp_path / "engine" / "api-key").write_bytes(content)
    with pytest.raises(EngineMisconfigured, match=r"spec\.template\.engine\.model\.apiKey: ") as raised:
        await build(spec("openai:gpt", **KEY), secrets=tmp_path).check()
    assert raised.value.kind == kind


async def test_headers_of_an_mcp_server_are_read_by_the_check(secrets: Path) -> None:
    servers = [{"name": "orders", "url": "http://orders/mcp", "headersSecretRef": {"name": "orders"}}]
    engine = build(spec("openai:gpt", **KEY, mcpServers=servers), secrets=secrets)
    with pytest.raises(EngineMisconfigured, match=r"mcpServers\[0\]\.headersSecretRef: the Secret does not exist"):
        await engine.check()
    (secrets / "mcp" / "orders").mkdir(parents=True)
    (secrets / "mcp" / "orders" / "Authorization").write_text("Bearer x")
    await engine.check()
    await engine.close()


def test_a_script_loads_no_model_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from switchboard.api.engine import Engine; "
        "from switchboard import engines; engines.build(Engine.model_validate({'script': {}}), secrets=Path('/')); "
        "print([m for m in ('pydantic_ai', 'openai', 'mcp', 'fastmcp', 'opentelemetry') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
