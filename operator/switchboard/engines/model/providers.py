"""Providers of models: what each needs, and how pydantic-ai is asked to build it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from switchboard.api.engine import ModelEngine
from switchboard.engines.base import EngineMisconfigured
from switchboard.engines.texts import cut

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.providers import Provider as Client

FIELD: Final = "spec.template.engine.model"
DISTRIBUTION: Final = "switchboard-operator"
_BEDROCK_HOST = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com")


@dataclass(frozen=True, slots=True)
class Built:
    """A model, and the client whose connections must be closed in the end."""

    model: Model
    client: Client[Any]


Builder = Callable[[ModelEngine, str, str | None], Built]
"""Builds from the spec, the model's name at its provider, and the key."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider, by the part of `name` before the colon."""

    title: str
    extra: str
    """The extra of our distribution that installs its library."""
    build: Builder
    key: Literal["Required", "Optional"] = "Required"
    """Required means: unless `baseURL` leads to a server of one's own."""
    base_url: Literal["Required", "Optional", "Refused"] = "Optional"


def parse(spec: ModelEngine) -> tuple[Provider, str]:
    """The provider, and the model's name there.

    Raises:
        EngineMisconfigured: the provider is not known, or what it needs is not given.
    """
    name, _, model = spec.name.partition(":")
    provider = PROVIDERS.get(name)
    if provider is None:
        raise EngineMisconfigured(
            "ProviderUnknown",
            f"{FIELD}.name: provider {name!r} is not known; known: {', '.join(sorted(PROVIDERS))}. "
            "Any server that speaks OpenAI's protocol is `openai:<model>` with baseURL",
        )
    if provider.base_url == "Required" and spec.base_url is None:
        raise EngineMisconfigured(
            "BaseURLMissing", f"{FIELD}.baseURL: {name} needs the server's address, for example {_EXAMPLES[name]}"
        )
    if provider.base_url == "Refused" and spec.base_url is not None:
        raise EngineMisconfigured(
            "BaseURLRefused", f"{FIELD}.baseURL: {name} has one address; for another server write openai:{model}"
        )
    if provider.key == "Required" and spec.api_key is None and (spec.base_url is None or name == "azure"):
        raise EngineMisconfigured(
            "APIKeyMissing", f"{FIELD}.apiKey: {provider.title} needs a key; refer to a Secret that holds it"
        )
    if spec.api_version is not None and name != "azure":
        raise EngineMisconfigured("FieldRefused", f"{FIELD}.apiVersion is for provider azure; remove it")
    if spec.region is not None and name != "bedrock":
        raise EngineMisconfigured("FieldRefused", f"{FIELD}.region is for provider bedrock; remove it")
    return provider, model


def build(spec: ModelEngine, api_key: str | None) -> Built:
    """The model. Asks nobody.

    Raises:
        EngineMisconfigured: it cannot be built: what is missing, and what to do.
    """
    provider, model = parse(spec)
    try:
        return provider.build(spec, model, api_key)
    except ImportError:
        raise EngineMisconfigured(
            "ProviderNotInstalled",
            f"{FIELD}.name: the library for {provider.title} is not in this image; "
            f"install {DISTRIBUTION}[{provider.extra}]",
        ) from None
    except EngineMisconfigured:
        raise
    except Exception as error:  # noqa: BLE001 - libraries of providers raise what they like, and none is ours to mend
        told = str(error) if api_key is None else str(error).replace(api_key, "•••")
        raise EngineMisconfigured(
            "ModelInvalid", f"{FIELD}: {provider.title} cannot be set up like this: {cut(told, 500)}"
        ) from None


def _by_name(client: Client[Any], spec: ModelEngine) -> Built:
    from pydantic_ai.models import infer_model

    return Built(infer_model(spec.name, provider_factory=lambda _: client), client)


def _openai(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    client: Client[Any]
    if spec.base_url is None:
        client = OpenAIProvider(api_key=api_key)
    else:
        client = OpenAICompatibleProvider("openai", base_url=spec.base_url, api_key=api_key)
    kind = spec.name.partition(":")[0]
    # What speaks OpenAI's protocol speaks Chat Completions; few speak the newer Responses.
    if kind == "openai-chat" or (kind == "openai" and spec.base_url is not None):
        return Built(OpenAIChatModel(model, provider=client), client)
    return Built(OpenAIResponsesModel(model, provider=client), client)


def _azure(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.azure import AzureProvider

    endpoint = spec.base_url or ""
    if spec.api_version is None and not endpoint.rstrip("/").endswith("/openai/v1"):
        raise EngineMisconfigured(
            "APIVersionMissing", f"{FIELD}.apiVersion: set it, or let baseURL end in /openai/v1, which needs none"
        )
    return _by_name(AzureProvider(azure_endpoint=endpoint, api_version=spec.api_version, api_key=api_key), spec)


def _anthropic(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.anthropic import AnthropicProvider

    return _by_name(AnthropicProvider(api_key=api_key or "api-key-not-set", base_url=spec.base_url), spec)


def _google(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.google import GoogleProvider

    return _by_name(GoogleProvider(api_key=api_key or "api-key-not-set", base_url=spec.base_url), spec)


def _bedrock(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.bedrock import BedrockProvider

    host = _BEDROCK_HOST.search(spec.base_url or "")
    region = spec.region or (host and host[1]) or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise EngineMisconfigured("RegionMissing", f"{FIELD}.region: bedrock needs the AWS region")
    client = (
        BedrockProvider(region_name=region, base_url=spec.base_url)
        if api_key is None
        else BedrockProvider(region_name=region, base_url=spec.base_url, api_key=api_key)
    )
    return _by_name(client, spec)


def _groq(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.groq import GroqProvider

    return _by_name(GroqProvider(api_key=api_key or "api-key-not-set", base_url=spec.base_url), spec)


def _mistral(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.mistral import MistralProvider

    return _by_name(MistralProvider(api_key=api_key or "api-key-not-set", base_url=spec.base_url), spec)


def _ollama(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.ollama import OllamaProvider

    return _by_name(OllamaProvider(base_url=spec.base_url, api_key=api_key), spec)


def _vllm(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.vllm import VLLMProvider

    return _by_name(VLLMProvider(base_url=spec.base_url, api_key=api_key), spec)


def _litellm(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.litellm import LiteLLMProvider

    return _by_name(LiteLLMProvider(api_base=spec.base_url, api_key=api_key), spec)


def _openrouter(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.openrouter import OpenRouterProvider

    return _by_name(OpenRouterProvider(api_key=api_key or ""), spec)


def _deepseek(spec: ModelEngine, model: str, api_key: str | None) -> Built:
    from pydantic_ai.providers.deepseek import DeepSeekProvider

    return _by_name(DeepSeekProvider(api_key=api_key or ""), spec)


PROVIDERS: Final[dict[str, Provider]] = {
    "openai": Provider("OpenAI", "models", _openai),
    "openai-chat": Provider("OpenAI (Chat Completions)", "models", _openai),
    "openai-responses": Provider("OpenAI (Responses)", "models", _openai),
    "anthropic": Provider("Anthropic", "models", _anthropic),
    "azure": Provider("Azure OpenAI", "models", _azure, base_url="Required"),
    "google": Provider("Google Gemini", "google", _google),
    "bedrock": Provider("Amazon Bedrock", "bedrock", _bedrock, key="Optional"),
    "groq": Provider("Groq", "groq", _groq),
    "mistral": Provider("Mistral", "mistral", _mistral),
    "ollama": Provider("Ollama", "models", _ollama, key="Optional", base_url="Required"),
    "vllm": Provider("vLLM", "models", _vllm, key="Optional", base_url="Required"),
    "litellm": Provider("LiteLLM", "models", _litellm, key="Optional", base_url="Required"),
    "openrouter": Provider("OpenRouter", "models", _openrouter, base_url="Refused"),
    "deepseek": Provider("DeepSeek", "models", _deepseek, base_url="Refused"),
}

_EXAMPLES: Final = {
    "azure": "https://<resource>.openai.azure.com/openai/v1",
    "ollama": "http://ollama.models:11434/v1",
    "vllm": "http://vllm.models:8000/v1",
    "litellm": "http://litellm.models:4000",
}
