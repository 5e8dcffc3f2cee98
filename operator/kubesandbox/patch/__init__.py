"""Patches: JSON patch, merge patch, strategic merge patch and server-side apply, with `metadata.managedFields`.

Pure functions on plain JSON values; `KindSchema` tells them a kind's lists, maps and keys.
"""

from kubesandbox.patch.apply import (
    ApplyConflictError,
    ApplyInvalidError,
    Conflict,
    ManagedFieldsGivenError,
    apply,
)
from kubesandbox.patch.builtin_types import of as builtin_kind
from kubesandbox.patch.documents import (
    MalformedPatchError,
    PatchFailedError,
    PatchTooLargeError,
    json_patch,
    merge_patch,
)
from kubesandbox.patch.strategic import StrategicPatchError, go_value, strategic_merge
from kubesandbox.patch.tracking import settle_times, track_update
from kubesandbox.patch.types import KindSchema, from_crd

__all__ = [
    "ApplyConflictError",
    "ApplyInvalidError",
    "Conflict",
    "KindSchema",
    "MalformedPatchError",
    "ManagedFieldsGivenError",
    "PatchFailedError",
    "PatchTooLargeError",
    "StrategicPatchError",
    "apply",
    "builtin_kind",
    "from_crd",
    "go_value",
    "json_patch",
    "merge_patch",
    "settle_times",
    "strategic_merge",
    "track_update",
]
