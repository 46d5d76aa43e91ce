"""Names of things in the world, decided before they exist, so that a repeated call finds what the first one made."""

from __future__ import annotations

import base64
import hashlib
import re

MOST = 40
"""Characters of a physical name; shorter than what Docker, Kubernetes (63) and AWS (63) take, with room for
suffixes.
"""


def token(lineage: str, address: str, generation: int) -> str:
    """Return the token of one generation of one address: 20 characters of [a-z2-7].

    Source: base32 (RFC 4648) over SHA-256; 100 bits, so two addresses never meet by chance.
    """
    text = f"{lineage}|{address}|{generation}"
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:20]


def slug(address: str, most: int = MOST) -> str:
    """Return the readable part of a name: lower case letters, digits and single dashes, beginning with a letter."""
    text = re.sub(r"[^a-z0-9]+", "-", address.lower()).strip("-")
    text = text if text[:1].isalpha() else f"x-{text}".rstrip("-")
    return text[:most].strip("-")


def physical_name(address: str, token: str) -> str:
    """Return the name of an object in the world: `slug-token8`, at most 40 characters of [a-z0-9-]."""
    tail = token[:8]
    return f"{slug(address, MOST - len(tail) - 1)}-{tail}"


def labels(lineage: str, address: str, token: str, run: str) -> dict[str, str]:
    """Return the labels that every created object carries, by which a sweep finds what no record names."""
    return {"mlplan.lineage": lineage, "mlplan.address": address, "mlplan.token": token, "mlplan.run": run}
