"""IP networks: cidrhost, cidrnetmask, cidrsubnet, cidrsubnets."""

from __future__ import annotations

import re
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network

from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.numbers import whole
from mlplan.lang.types import NUMBER, STRING, ListType
from mlplan.lang.values import ListValue, Value

_family = Family()
FUNCTIONS = _family.functions
_LARGEST = 2**129
Network = IPv4Network | IPv6Network


def _network(prefix: str, blamed: int | None = None) -> Network:
    if "/" not in prefix or (prefix.count(".") and "." in prefix.partition("/")[2]):
        raise FunctionError(f"invalid CIDR expression: invalid CIDR address: {prefix[:60]}", blamed, at=0)
    if "%" in prefix:
        raise FunctionError(f"invalid CIDR expression: invalid CIDR address: {prefix[:60]}", blamed, at=0)
    try:
        return ip_network(
            re.sub(r"(?<![0-9a-fA-F:])0+(?=[0-9]+[./])", "", prefix) if ":" not in prefix else prefix, strict=False
        )
    except ValueError:
        raise FunctionError(f"invalid CIDR expression: invalid CIDR address: {prefix[:60]}", blamed, at=0) from None


def _int(value: Decimal, number: int, blamed: int | None = None) -> int:
    if abs(value) > _LARGEST:
        raise FunctionError("the number is larger than any network", blamed, at=number)
    found = whole(value)
    if found is None:
        raise FunctionError("value must be a whole number", blamed, at=number)
    return found


def _subnet(network: Network, bits: int, number: int) -> Network:
    length = network.prefixlen + bits
    if length > network.max_prefixlen:
        raise FunctionError(f"insufficient address space to extend prefix of {network.prefixlen} by {bits}")
    if number < 0 or number >= 1 << bits:
        raise FunctionError(f"prefix extension of {bits} does not accommodate a subnet numbered {number}")
    address = int(network.network_address) + (number << (network.max_prefixlen - length))
    return type(network)((address, length))


@_family.add(("prefix", STRING), ("hostnum", NUMBER), result=STRING)
def cidrhost(prefix: str, hostnum: Decimal) -> Value:
    """Return the address of a host by its number in a network; from the end when negative."""
    network, number = _network(prefix), _int(hostnum, 1)
    size = network.num_addresses
    if not -size <= number < size:
        bits = network.max_prefixlen - network.prefixlen
        raise FunctionError(
            f"prefix of {network.prefixlen} does not accommodate a host numbered {number} ({bits} bits)"
        )
    return str(network.network_address + (number if number >= 0 else size + number))


@_family.add(("prefix", STRING), result=STRING)
def cidrnetmask(prefix: str) -> Value:
    """Return the netmask of an IPv4 network."""
    network = _network(prefix)
    if network.version == 6:
        raise FunctionError("IPv6 addresses cannot have a netmask: " + prefix[:60])
    return str(network.netmask)


@_family.add(("prefix", STRING), ("newbits", NUMBER), ("netnum", NUMBER), result=STRING)
def cidrsubnet(prefix: str, newbits: Decimal, netnum: Decimal) -> Value:
    """Return a network inside a network."""
    network, bits = _network(prefix), _int(newbits, 1)
    if bits < 0 or bits > 128:
        raise FunctionError("must be a whole number from 0 to 128", 1)
    return str(_subnet(network, bits, _int(netnum, 2)))


@_family.add(("prefix", STRING), rest=("newbits", NUMBER), result=ListType(STRING))
def cidrsubnets(prefix: str, *newbits: Decimal) -> Value:
    """Return networks inside a network, one after the other."""
    network = _network(prefix, 0)
    done: list[Value] = []
    position = int(network.network_address)
    end = position + network.num_addresses
    for number, value in enumerate(newbits, start=1):
        bits = _int(value, number, number)
        if bits < 1:
            raise FunctionError("must extend prefix by at least one bit", number)
        if bits > 32:
            raise FunctionError("may not extend prefix by more than 32 bits", number)
        length = network.prefixlen + bits
        if length > network.max_prefixlen:
            raise FunctionError(
                f"would extend prefix to {length} bits, which is too long for an IPv{network.version} address", number
            )
        size = 1 << (network.max_prefixlen - length)
        position = -(-position // size) * size
        if position + size > end:
            raise FunctionError(
                f"not enough remaining address space for a subnet with a prefix of {length} bits after {done[-1] if done else prefix}",
                number,
            )
        done.append(str(type(network)((position, length))))
        position += size
    return ListValue(tuple(done), STRING)
