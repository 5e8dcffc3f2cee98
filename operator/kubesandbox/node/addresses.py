"""An address for each pod, without network namespaces.

A pod is announced as 10.a.b.c, because EndpointSlices refuse loopback addresses; its process listens on 127.a.b.c,
since on Linux the whole of 127/8 is this machine. Only the node and its router know both.
"""

import errno
import ipaddress
import socket
from collections import deque

BLOCK_BITS = 12
ADDRESSES = (1 << BLOCK_BITS) - 2


class AddressesExhaustedError(Exception):
    """No block, or no address in this node's block, is free."""


def local(address: str) -> str:
    """The loopback address at which the pod that is announced as `address` listens."""
    first, rest = address.split(".", 1)
    if first != "10":
        raise ValueError(f"{address} is not a pod address of a kubesandbox node")
    return f"127.{rest}"


class Addresses:
    """One node's block of pod addresses: a /20 that no other node of this machine has.

    An abstract socket holds the block, because the kernel frees it however the process ends.
    """

    def __init__(self) -> None:
        self._base, self._claim = _claim_block()
        self._free = deque(range(1, ADDRESSES + 1))

    @property
    def cidr(self) -> str:
        return f"{self._base}/{32 - BLOCK_BITS}"

    def take(self) -> str:
        """The address that has been unused the longest, so that late connections to a dead pod meet nobody new."""
        if not self._free:
            raise AddressesExhaustedError(f"all {ADDRESSES} pod addresses of {self.cidr} are in use")
        return str(self._base + self._free.popleft())

    def give_back(self, address: str) -> None:
        self._free.append(int(ipaddress.IPv4Address(address)) - int(self._base))

    def close(self) -> None:
        self._claim.close()


def _claim_block() -> tuple[ipaddress.IPv4Address, socket.socket]:
    for second in (*range(244, 255), *range(128, 244)):
        for third in range(0, 256, 1 << (BLOCK_BITS - 8)):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0kubesandbox-pods-10.{second}.{third}")
            except OSError as error:
                claim.close()
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return ipaddress.IPv4Address(f"10.{second}.{third}.0"), claim
    raise AddressesExhaustedError("every block of pod addresses on this machine is held by another node")


def check_loopback() -> None:
    """Raise OSError with the reason if this machine cannot listen on all of 127/8 (only Linux can)."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.244.255.254", 0))
        except OSError as error:
            raise OSError(
                error.errno,
                "kubesandbox's node needs Linux: pods get addresses in 127.0.0.0/8, which cannot be bound here",
            ) from error
