"""Hashes and crypto: md5, sha1, sha256, sha512, their base64 and file forms, uuid, uuidv5, bcrypt, rsadecrypt."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from decimal import Decimal

from mlplan.lang.functions.encoding import from_base64
from mlplan.lang.functions.filesystem import read_bytes
from mlplan.lang.functions.registry import Family, FunctionError
from mlplan.lang.numbers import whole
from mlplan.lang.scope import Scope
from mlplan.lang.types import NUMBER, STRING
from mlplan.lang.values import Unknown, Value

_family = Family()
FUNCTIONS = _family.functions
_MAX_BCRYPT_COST = 15  # every step doubles the time: 15 takes seconds


def _hex(name: str) -> Callable[[bytes], str]:
    return lambda data: hashlib.new(name, data, usedforsecurity=False).hexdigest()


def _base64(name: str) -> Callable[[bytes], str]:
    return lambda data: base64.b64encode(hashlib.new(name, data, usedforsecurity=False).digest()).decode()


def _register(name: str, digest: Callable[[bytes], str]) -> None:
    def of_text(text: str) -> Value:
        return digest(text.encode())

    def of_file(scope: Scope, path: str) -> Value:
        return digest(read_bytes(scope, path))

    _family.add(("str", STRING), result=STRING, name=name)(of_text)
    _family.add(("path", STRING), result=STRING, name=f"file{name}", scoped=True)(of_file)


for _name in ("md5", "sha1", "sha256", "sha512"):
    _register(_name, _hex(_name))
for _name in ("sha256", "sha512"):
    _register(f"base64{_name}", _base64(_name))


@_family.add(result=STRING, scoped=True)
def uuid(scope: Scope) -> Value:
    """Return a random UUID; unknown until apply."""
    if scope.now is None:
        return Unknown(STRING, "known at apply")
    import uuid

    return str(uuid.uuid4())


@_family.add(("str", STRING), rest=("cost", NUMBER), result=STRING, scoped=True)
def bcrypt(scope: Scope, text: str, *cost: Decimal) -> Value:
    """Return the bcrypt hash of text, salted at random; unknown until apply."""
    if len(cost) > 1:
        raise FunctionError("bcrypt() takes no more than two arguments")
    rounds = whole(cost[0]) if cost else 10
    if rounds is None or rounds > _MAX_BCRYPT_COST:
        raise FunctionError(f"the cost must be a whole number, and at most {_MAX_BCRYPT_COST}", 1)
    if len(text.encode()) > 72:
        raise FunctionError("bcrypt reads no more than 72 bytes, and this text is longer", 0)
    if scope.now is None:
        return Unknown(STRING, "known at apply")
    import bcrypt

    return bcrypt.hashpw(text.encode(), bcrypt.gensalt(rounds if rounds >= 4 else 10, prefix=b"2a")).decode()


@_family.add(("namespace", STRING), ("name", STRING), result=STRING)
def uuidv5(namespace: str, name: str) -> Value:
    """Return the UUID of a name in a namespace."""
    import uuid

    known = {
        "dns": uuid.NAMESPACE_DNS,
        "url": uuid.NAMESPACE_URL,
        "oid": uuid.NAMESPACE_OID,
        "x500": uuid.NAMESPACE_X500,
    }
    try:
        space = known.get(namespace) or uuid.UUID(namespace)
    except ValueError:
        raise FunctionError("uuidv5() doesn't support this namespace: use dns, url, oid, x500 or a UUID", 0) from None
    return str(uuid.uuid5(space, name))


@_family.add(("ciphertext", STRING), ("privatekey", STRING), result=STRING)
def rsadecrypt(text: str, key: str) -> Value:
    """Return the text that was encrypted, in base64, for an RSA private key (PKCS #1 v1.5)."""
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        raise FunctionError("the private key is not a PEM-encoded RSA key without a passphrase", 1) from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise FunctionError("the private key is not an RSA key", 1)
    try:
        return private.decrypt(from_base64(text), padding.PKCS1v15()).decode()
    except ValueError:
        raise FunctionError("failed to decrypt: the text was not encrypted for this key") from None
