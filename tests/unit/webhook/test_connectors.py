"""Which connectors a pod serves, and which it only expects."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.webhook.fakes import PATH, PUBLIC, config, connectors, manifest, write_secret


def test_a_connector_of_another_agent_and_one_with_a_foreign_host_are_not_served(tmp_path: Path) -> None:
    built = connectors(tmp_path, manifest(status={"agent": "sales"}))
    assert not built.by_path
    assert PATH in built.expected
    built.replace([manifest(status={"agent": "support"})])
    assert PATH in built.by_path
    built.replace([manifest(api={"baseURL": "https://evil.example.com"})])
    assert not built.by_path
    allowed = config().model_copy(update={"allowed_hosts": ["evil.example.com", "*.wild.example"]})
    assert connectors(tmp_path, manifest(publicURL="https://evil.example.com"), configured=allowed).by_path
    assert connectors(tmp_path, manifest(publicURL="https://a.wild.example"), configured=allowed).by_path


def test_credentials_do_not_go_to_the_public_host_which_others_may_have_paths_of(tmp_path: Path) -> None:
    assert not connectors(tmp_path, manifest(api={"baseURL": f"{PUBLIC}/somebody"})).by_path


@pytest.mark.parametrize("url", ["https://[::::]", "https://agents.example.com:99999", ""])
def test_a_connector_whose_address_is_no_url_takes_no_other_down(tmp_path: Path, url: str) -> None:
    both = config(connectors=[{"name": "sms"}, {"name": "other"}]).model_copy(update={"public_url": url})
    write_secret(tmp_path, "other")
    both = both.model_copy(update={"allowed_hosts": ["agents.example.com"]})
    built = connectors(tmp_path, manifest(), manifest("other", publicURL=PUBLIC), configured=both)
    assert [*built.by_name] == ["other"]


def test_a_connector_that_is_not_served_yet_is_expected_below_the_public_urls_own_path(tmp_path: Path) -> None:
    below = config().model_copy(update={"public_url": f"{PUBLIC}/base"})
    built = connectors(tmp_path, configured=below)
    built.remove("sms")
    assert built.expected == {PATH, f"/base{PATH}"}
