"""Keys and secrets that live in AWS: a key of KMS that wraps data keys, and secrets of Secrets Manager."""

from __future__ import annotations

from typing import Any

from mlplan.spi.secrets import SecretError
from mlplan.spi.store import StoreDamaged, StoreError

_CONTEXT = {"application": "mlplan"}


class KmsKey:
    """A symmetric key of KMS, by id, alias or ARN. It never leaves the service; each document's data key goes there."""

    def __init__(self, reference: str) -> None:
        self.name = "aws-kms:" + reference
        self._reference = reference
        self._client: Any = None

    def wrap(self, data_key: bytes) -> bytes:
        """Return the data key encrypted by the service. Raises: StoreError."""
        answer = self._call("encrypt", KeyId=self._reference, Plaintext=data_key, EncryptionContext=_CONTEXT)
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the data key. Raises: StoreError, StoreDamaged when the service never wrapped it."""
        answer = self._call("decrypt", KeyId=self._reference, CiphertextBlob=wrapped, EncryptionContext=_CONTEXT)
        return bytes(answer["Plaintext"])

    def _call(self, operation: str, **arguments: Any) -> Any:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client = self._client or boto3.client("kms")
            return getattr(self._client, operation)(**arguments)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in ("InvalidCiphertextException", "IncorrectKeyException"):
                raise StoreDamaged(
                    "An encrypted document was changed", f"{self.name} did not wrap its data key."
                ) from error
            raise StoreError("The key service refuses", f"{self.name}: {code}: {error}") from error
        except BotoCoreError as error:
            raise StoreError("The key service does not answer", f"{self.name}: {error}") from error


def secret_of_manager(name: str) -> str:
    """Return a secret of AWS Secrets Manager. name: id or ARN, with #KEY for one key of a JSON secret. Raises: SecretError."""
    import json

    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    identity, _, key = name.partition("#")
    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=identity).get("SecretString")
    except ClientError as error:
        raise SecretError(name, str(error.response.get("Error", {}).get("Code", "refused"))) from error
    except BotoCoreError as error:
        raise SecretError(name, str(error)) from error
    if text is None:
        raise SecretError(name, "it is binary; only text can be handed on")
    if not key:
        return str(text)
    try:
        return str(json.loads(text)[key])
    except (ValueError, KeyError, TypeError):
        raise SecretError(name, f"it has no key {key}") from None
