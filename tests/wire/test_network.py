"""Network: who counts as one sender, and as one organization."""

from __future__ import annotations

import pytest

from flask_pkce_server.wire.network import block_of, networks_of


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("203.0.113.7", "::ffff:203.0.113.7", "203.0.113.8"),
        # Through NAT64, all of IPv4 has one prefix (RFC 6052 2.1).
        ("203.0.113.7", "64:ff9b::203.0.113.7", "64:ff9b::203.0.113.8"),
        ("203.0.113.7", "::ffff:0:203.0.113.7", "::ffff:0:203.0.113.8"),
        ("2001:db8:1:2::1", "2001:db8:1:ff:ffff::9", "2001:db8:1:300::1"),
        ("fe80::1%eth0", "fe80::2%eth1", "2001:db8::1"),
        ("unix", "unix", ""),
        # As the gateways of Azure write X-Forwarded-For: each connection has another port.
        ("203.0.113.7:50001", "203.0.113.7", "203.0.113.8:50001"),
        ("[2001:db8:1:2::1]:50001", "2001:db8:1:2::2", "[2001:db8:1:300::1]:50001"),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::2", "[2001:db8:1:300::1]"),
    ],
)
def test_a_sender_is_an_ipv4_address_or_a_56(address: str, same: str, other: str) -> None:
    first, second, third = (next(iter(networks_of(text))) for text in (address, same, other))
    assert first == second != third


def test_only_ipv6_has_a_larger_network_too() -> None:
    assert networks_of("2001:db8:1:2::1") == {"2001:db8:1::/56": 1, "2001:db8:1::/48": 5}
    for address in ("203.0.113.7", "::ffff:203.0.113.7", "unix", ""):
        assert len(networks_of(address)) == 1


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("64:ff9b::203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2::1", "2001:db8:1::/48"),
        ("unix", "unix"),
    ],
)
def test_a_block_is_what_one_organization_may_have(address: str, block: str) -> None:
    assert block_of(address) == block
