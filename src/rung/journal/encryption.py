"""Encryption of inputs at rest: one key per subject, wrapped by the master key.

Deleting the key erases the inputs.

AES-256-GCM with a new random nonce per input. The id of the row is authenticated with the input, so an input
cannot be moved to another row. The subject's name is stored as a keyed hash. Without the master key the
inputs are lost.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path

from rung.core.errors import MissingExtra, RungError

MASTER_KEY_VARIABLE = "RUNG_MASTER_KEY"
KEY_FILE_VARIABLE = "RUNG_MASTER_KEY_FILE"
_NONCE_BYTES = 12


def master_key() -> bytes | None:
    """Return the 32 bytes of RUNG_MASTER_KEY, else of the user's key file, or None where neither is.

    Raises RungError for an invalid key, or a key file that others may read.
    """
    text, where = os.environ.get(MASTER_KEY_VARIABLE, "").strip(), MASTER_KEY_VARIABLE
    if not text:
        path = key_file()
        if not path.is_file():
            return None
        if os.name != "nt" and path.stat().st_mode & 0o077:
            raise RungError("others may read this master key", str(path), f"Run: chmod 600 {path}")
        text, where = path.read_text(encoding="ascii", errors="replace").strip(), str(path)
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise RungError("it is not 32 bytes in base64", where, "`rung keys master` prints a new one.")
    return raw


def key_file() -> Path:
    """Return where the user's master key is kept: $RUNG_MASTER_KEY_FILE, else ~/.config/rung/master.key. It may not exist."""
    chosen = os.environ.get(KEY_FILE_VARIABLE, "").strip()
    return Path(chosen).expanduser() if chosen else Path.home() / ".config" / "rung" / "master.key"


def write_key_file() -> Path:
    """Write a new master key for this user alone and return its file; an existing file is never replaced."""
    path = key_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(new_master_key() + "\n")
    return path


def new_master_key() -> str:
    """Return a new master key as text for the environment variable."""
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

    @property
    def check(self) -> bytes:
        """Return what tells one master key from another, and nothing else about it."""
        return hmac.digest(self._wrap, b"rung: which master key", "sha256")

    def new_key(self, subject: str) -> tuple[bytes, bytes]:
        """Return a new key for a subject, and the wrapped key to store."""
        key = secrets.token_bytes(32)
        return key, self.encrypt(self._wrap, key, subject)

    def unwrap(self, wrapped: bytes, subject: str) -> bytes:
        """Return a subject's key; raises RungError when it was wrapped by another master key."""
        return self.decrypt(self._wrap, wrapped, subject)

    def encrypt(self, key: bytes, data: bytes, belongs_to: str) -> bytes:
        """Return nonce and ciphertext. belongs_to: authenticated, not stored."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead(key).encrypt(nonce, data, belongs_to.encode())

    def decrypt(self, key: bytes, data: bytes, belongs_to: str) -> bytes:
        """Return the plaintext; raises RungError for a wrong key, damaged data or another `belongs_to`."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], belongs_to.encode())
        except InvalidTag:
            fix = f"Set {MASTER_KEY_VARIABLE} to the key that the journal was written with."
            problem = "it cannot be decrypted: the master key is another one, or the data is damaged"
            raise RungError(problem, "journal", fix) from None


def keyed_hash(secret: bytes, text: bytes) -> str:
    """Return 128 bits of HMAC-SHA-256 as hex. Without the secret nobody can test guesses of the text."""
    return hmac.digest(secret, text, "sha256")[:16].hex()
