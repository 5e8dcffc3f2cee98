"""A connector that was closed is opened only by somebody who says so."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.kube.errors import Invalid

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.cluster]


async def _apply(tenant: Any, access: dict[str, object] | None) -> dict[str, Any]:
    connector = tenant.manifest("TwilioConnector")
    if access is not None:
        connector["spec"]["access"] = access
    applied: dict[str, Any] = (await tenant.product.kubectl.apply([connector]))[0]
    return applied


async def test_losing_the_access_block_or_its_policy_does_not_open_a_connector(tenant: Any) -> None:
    await _apply(tenant, {"policy": "Onboarding"})
    with pytest.raises(Invalid, match=r"say access: \{policy: Open\}"):
        await _apply(tenant, None)
    with pytest.raises(Invalid, match=r"spec\.access\.policy: Required value"):
        await _apply(tenant, {"allow": [tenant.person]})
    opened = await _apply(tenant, {"policy": "Open"})
    assert opened["spec"]["access"]["policy"] == "Open"
    assert "access" not in (await _apply(tenant, None))["spec"]


async def test_an_open_door_with_an_allow_list_is_refused_because_one_of_them_is_a_mistake(tenant: Any) -> None:
    with pytest.raises(Invalid, match="policy Open lets everybody in: remove allow"):
        await _apply(tenant, {"policy": "Open", "allow": [tenant.person]})
