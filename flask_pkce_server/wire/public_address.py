"""Public addresses: those of the open internet, and of no machine in here (CWE-918)."""

from __future__ import annotations

import ipaddress

# Public by their numbers only: what the IETF keeps for itself, relays and tunnels to IPv4 (6to4
# and Teredo; NAT64 lies outside of 2000::/3), documentation, and the metadata of Azure's machines.
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",
            "192.88.99.0/24",
            "168.63.129.16/32",
            "2001::/23",
            "2002::/16",
            "3fff::/20",
        ),
    )
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


def is_public(address: str) -> bool:
    """Say whether `address`, as a resolver gives it, is one of the open internet."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    # What has a zone ("fe80::1%eth0") means something on this machine alone.
    if found.version == 6 and (found not in _GLOBAL_UNICAST or "%" in address):
        return False
    odd = found.is_multicast or found.is_reserved or found.is_unspecified
    return found.is_global and not odd and not any(found in network for network in _NOT_PUBLIC)
