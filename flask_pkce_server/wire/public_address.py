"""Public address: an address on the internet, not in an internal network (CWE-918)."""

from __future__ import annotations

import ipaddress

# Networks that only look public: reserved by the IETF, relays and tunnels to IPv4 (6to4 and
# Teredo; NAT64 is outside of 2000::/3), documentation, and the metadata service of Azure.
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
    """Return whether `address`, as a resolver returns it, is a public one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    # An address with a zone ("fe80::1%eth0") has a meaning on this machine only.
    if parsed.version == 6 and (parsed not in _GLOBAL_UNICAST or "%" in address):
        return False
    is_special = parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified
    return (
        parsed.is_global
        and not is_special
        and not any(parsed in network for network in _NOT_PUBLIC)
    )
