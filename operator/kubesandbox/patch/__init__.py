"""Patches: JSON patch, merge patch, strategic merge patch and server-side apply, with `metadata.managedFields`.

Pure functions on plain JSON values; `KindSchema` tells them a kind's lists, maps and keys. Each is imported from its
own module: a server that starts needs what tracks writes, and none of the patches yet.
"""
