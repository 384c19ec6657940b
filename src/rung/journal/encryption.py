"""Inputs at rest: encrypted with a key for each subject, which the master key wraps. Destroying it is erasing.

AES-256-GCM with a fresh random nonce an input; the id of the row is authenticated with it, so that an input cannot
be moved to another row. The subject's name is stored as a keyed hash. Losing the master key loses the inputs.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets

from rung.core.errors import MissingExtra, RungError

MASTER_KEY_VARIABLE = "RUNG_MASTER_KEY"
_NONCE_BYTES = 12


def master_key() -> bytes | None:
    """Return the 32 bytes of RUNG_MASTER_KEY; None when it is not set. Raises RungError for one that is no key."""
    text = os.environ.get(MASTER_KEY_VARIABLE, "").strip()
    if not text:
        return None
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise RungError(
            "it is not 32 bytes in base64", MASTER_KEY_VARIABLE, "`rung keys master` prints a new one."
        )
    return raw


def new_master_key() -> str:
    """Return a new master key as it stands in the environment."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


class Cipher:
    """Encrypts and decrypts with the keys of subjects. Raises MissingExtra without `cryptography`."""

    def __init__(self, master: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise MissingExtra("encrypting the journal", "ops", "cryptography") from None
        self._aead = AESGCM
        self._wrap = hmac.digest(master, b"rung: wrap the keys of subjects", "sha256")

    def new_key(self, subject: str) -> tuple[bytes, bytes]:
        """Return a subject's new key, and the same wrapped: what is stored."""
        key = secrets.token_bytes(32)
        return key, self.encrypt(self._wrap, key, subject)

    def unwrap(self, wrapped: bytes, subject: str) -> bytes:
        """Return a subject's key; raises RungError when the master key is another."""
        return self.decrypt(self._wrap, wrapped, subject)

    def encrypt(self, key: bytes, data: bytes, belongs_to: str) -> bytes:
        """Return nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead(key).encrypt(nonce, data, belongs_to.encode())

    def decrypt(self, key: bytes, data: bytes, belongs_to: str) -> bytes:
        """Return what was encrypted; raises RungError when key, data or row are not those."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], belongs_to.encode())
        except InvalidTag:
            fix = f"Set {MASTER_KEY_VARIABLE} to the one the journal was written with."
            raise RungError("it cannot be decrypted: another master key, or damage", "journal", fix) from None


def keyed_hash(secret: bytes, text: bytes) -> str:
    """Return 128 bits of HMAC-SHA-256 as hex: without the secret, guesses cannot be tried."""
    return hmac.digest(secret, text, "sha256")[:16].hex()
