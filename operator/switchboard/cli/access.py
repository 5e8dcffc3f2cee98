"""`switchboard approve` and `switchboard reject`: decide who may write to an agent."""

from __future__ import annotations

import sys

from switchboard.api.access import AccessRequest
from switchboard.kube.client import KubeApi, connect
from switchboard.kube.errors import KubeError, NotFound, Unauthorized
from switchboard.kube.patience import patiently
from switchboard.kube.resources import ACCESS_REQUESTS, SELF_REVIEWS

_DECISIONS = {"approve": "Approved", "reject": "Rejected"}


async def decide(verb: str, name: str, namespace: str | None, note: str | None) -> int:
    """Writes the decision, with the name of who is logged in.

    Args:
        verb: approve or reject.
        name: The AccessRequest's name.
        namespace: Its namespace, or None for the kubeconfig's.
        note: Why, for colleagues.

    Returns:
        The exit code.
    """
    async with await connect(user_agent="switchboard-cli") as api:
        where = namespace or api.access.namespace or "default"
        try:
            spec: dict[str, object] = {"decision": _DECISIONS[verb], "decidedBy": await _who(api)}
            if note is not None:
                spec["note"] = note
            written = await patiently(
                lambda: api.merge_patch(ACCESS_REQUESTS, name, where, {"spec": spec}, manager="switchboard-cli")
            )
        except NotFound:
            print(
                f"There is no AccessRequest {name!r} in namespace {where}: `kubectl get acr -n {where}`.",
                file=sys.stderr,
            )
            return 1
        except Unauthorized as error:
            print(f"Not written: {error.mend}", file=sys.stderr)
            return 1
        except KubeError as error:
            print(f"Not written: {error}", file=sys.stderr)
            return 1
    request = AccessRequest.model_validate(written)
    print(f"accessrequest.switchboard.dev/{name} {request.spec.decision.lower()}: {request.spec.contact}")
    return 0


async def _who(api: KubeApi) -> str:
    review = await patiently(lambda: api.create(SELF_REVIEWS, {"metadata": {}}))
    return str(review["status"]["userInfo"]["username"])
