"""Encryption of one document: AES-256-GCM with a data key of its own, which a project key wraps.

The associated data are lineage, kind and serial, so that a document is only good where it was written for. What is not
encrypted of an envelope: these three, and a short name of the key. Nothing here knows what a document means.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from mlplan.spi.store import StoreDamaged, StoreError

FORMAT = 1
MARK = b'{"mlplan_encrypted":'
_KEY_BYTES = 32
_NONCE = 12


class Key(Protocol):
    """A project key: wraps and unwraps data keys. A key in a key service never leaves it."""

    @property
    def name(self) -> str:
        """Return the short name that envelopes carry."""
        ...

    def wrap(self, data_key: bytes) -> bytes:
        """Return the data key in a form that only this key opens."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the data key. Raises: StoreError."""
        ...


@dataclass(frozen=True)
class PlainKey:
    """A project key of 32 bytes that mlplan holds itself."""

    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Return the first digits of a digest of the key."""
        return hashlib.sha256(b"mlplan key name\0" + self.secret).hexdigest()[:12]

    def wrap(self, data_key: bytes) -> bytes:
        """Return the data key encrypted with this key."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + bytes(_aead(self.secret).encrypt(nonce, data_key, b"mlplan data key"))

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the data key. Raises: StoreDamaged."""
        return _open(self.secret, wrapped, b"mlplan data key", "The data key")


def plain_key(text: str) -> PlainKey:
    """Return the key of its text: 64 hexadecimal digits, or the base64 of 32 bytes. Raises: ValueError."""
    text = text.strip()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return PlainKey(bytes.fromhex(text))
    try:
        secret = base64.b64decode(text, validate=True)
    except ValueError:
        secret = b""
    if len(secret) != _KEY_BYTES:
        raise ValueError("a key is 32 random bytes, as 64 hexadecimal digits or in base64")
    return PlainKey(secret)


@dataclass(frozen=True)
class Place:
    """What a document is written for. kind: "state", "journal", "blob", "plan", "rescue"."""

    lineage: str
    kind: str
    serial: int

    def associated(self) -> bytes:
        """Return the associated data."""
        return orjson.dumps(["mlplan", FORMAT, self.lineage, self.kind, self.serial])


class Keyring:
    """The key that writes, and those that only read. enforced: what is not encrypted is not read."""

    def __init__(self, key: Key, previous: Sequence[Key] = (), *, enforced: bool = False) -> None:
        self._key = key
        self._keys = {item.name: item for item in (*previous, key)}
        self._unwrapped: dict[bytes, bytes] = {}
        self.enforced = enforced

    def reading(self) -> Keyring:
        """Return the same keys for reading what may be in plain text."""
        return Keyring(self._key, tuple(self._keys.values()))

    def seal(self, data: bytes, place: Place, data_key: tuple[bytes, bytes] | None = None) -> bytes:
        """Return the envelope of `data`, JSON on one line. data_key: one of `new_data_key`, for parts of one document."""
        secret, wrapped = data_key or self.new_data_key()
        nonce = secrets.token_bytes(_NONCE)
        envelope = {
            "mlplan_encrypted": FORMAT, "serial": place.serial, "lineage": place.lineage, "kind": place.kind,
            "key": self._key.name, "data_key": _text(wrapped),
            "data": _text(nonce + _aead(secret).encrypt(nonce, data, place.associated())),
        }  # fmt: skip
        return orjson.dumps(envelope)

    def new_data_key(self) -> tuple[bytes, bytes]:
        """Return a fresh data key, and the same wrapped."""
        secret = secrets.token_bytes(_KEY_BYTES)
        return secret, self._key.wrap(secret)

    def open(
        self, data: bytes, kind: str, lineage: str | None = None, serial: int | None = None
    ) -> tuple[bytes, Place]:
        """Return what an envelope holds and what it was written for.

        lineage, serial: refuse an envelope written for others. Raises: StoreDamaged when it was changed or belongs
        elsewhere, StoreError when no key here opens it.
        """
        envelope = parse(data)
        place = Place(envelope["lineage"], envelope["kind"], envelope["serial"])
        if (
            place.kind != kind
            or (lineage is not None and place.lineage != lineage)
            or (serial is not None and place.serial != serial)
        ):
            raise StoreDamaged(
                "An encrypted document stands in the wrong place",
                f"Expected was a {kind} of lineage {lineage or '(any)'}{'' if serial is None else f', serial {serial}'}; found was "
                f"a {place.kind} of lineage {place.lineage}, serial {place.serial}. Somebody put it there.",
            )
        key = self._keys.get(envelope["key"])
        if key is None:
            raise StoreError(
                "State is encrypted with another key",
                f"The key {envelope['key']} wrote it; here are {', '.join(self._keys)}. Name the right key in the block "
                "encryption; after a change of key, name the old one in previous_keys.",
            )
        wrapped = _bytes(envelope["data_key"])
        if wrapped not in self._unwrapped:
            self._unwrapped[wrapped] = key.unwrap(wrapped)
        secret = self._unwrapped[wrapped]
        return _open(
            secret, _bytes(envelope["data"]), place.associated(), f"The {kind} of serial {place.serial}"
        ), place


def is_sealed(data: bytes) -> bool:
    """Tell whether data is an envelope, whole or cut."""
    return data.lstrip()[: len(MARK)] == MARK


def parse(data: bytes) -> dict[str, Any]:
    """Return the fields of an envelope. Raises: StoreDamaged, StoreError for one of a newer mlplan."""
    types = {"serial": int, "lineage": str, "kind": str, "key": str, "data_key": str, "data": str}
    try:
        envelope = orjson.loads(data)
        if envelope["mlplan_encrypted"] != FORMAT:
            raise StoreError(
                "The encryption is of a newer mlplan", f"Format {envelope['mlplan_encrypted']} is not known here."
            )
        if all(isinstance(envelope[name], type_) for name, type_ in types.items()):
            return dict(envelope)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        pass
    raise StoreDamaged("An encrypted document is damaged", "It was cut or edited: its envelope cannot be read.")


def _open(secret: bytes, data: bytes, associated: bytes, what: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return bytes(_aead(secret).decrypt(data[:_NONCE], data[_NONCE:], associated))
    except (InvalidTag, ValueError):
        raise StoreDamaged(
            "An encrypted document was changed",
            f"{what} does not pass its authentication: it was edited, or comes from another place or serial.",
        ) from None


def _aead(secret: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(secret)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise StoreDamaged("An encrypted document is damaged", "It was edited: a part of it is no base64.") from None
