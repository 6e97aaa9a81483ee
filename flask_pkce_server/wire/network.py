"""Network: how much of the internet one sender may have, by its address (RFC 6177)."""

from __future__ import annotations

import ipaddress
import re

#: Some proxies send the port along, which differs for each connection.
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9]+(?:\.[0-9]+){3}):[0-9]+")
# How many times as much as a /56 a whole /48 may have.
_LARGER = 5
#: IPv6 prefixes whose last 32 bits are the IPv4 address of the sender (RFC 6052, RFC 7915).
_EMBEDDING = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96", "::ffff:0:0:0/96")))


def networks_of(address: str) -> dict[str, int]:
    """Return the networks that a request from `address` counts for.

    The first is what one customer typically gets: an IPv4 address, or a /56 of IPv6. Some have a
    /48 of IPv6, which is the second. The values say how many times as much each may have. Text
    that is not an address is returned unchanged.
    """
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return {_network(parsed, 56): 1, _network(parsed, 48): _LARGER}
    return {str(parsed): 1}


def block_of(address: str) -> str:
    """Return the block that one organization may have: a /24 of IPv4, or a /48 of IPv6."""
    parsed = _parse(address)
    if isinstance(parsed, str):
        return parsed
    return _network(parsed, 24 if parsed.version == 4 else 48)


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | str:
    with_port = _WITH_PORT.fullmatch(address)
    if with_port is not None:
        address = with_port[1] or with_port[2]
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if any(parsed in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed


def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> str:
    return str(ipaddress.ip_network((int(address), length), strict=False))
