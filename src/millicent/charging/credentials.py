"""Passwords of the network, kept so that a copy of the database alone opens nothing.

PAP brings the password itself, so a slow hash (scrypt, RFC 7914) is enough. CHAP brings an MD5 over the password and a
challenge, so whoever checks it must have the password: it is sealed with a key that lies in the home folder, not in
the database. Sealing is HMAC-SHA256 in counter mode, then HMAC-SHA256 over what came out (encrypt-then-MAC), with
two keys drawn from the one: only what Python's own library has. See decision 0094.
"""

import hmac
import os
from dataclasses import dataclass, field
from hashlib import scrypt
from pathlib import Path
from secrets import token_bytes
from typing import Final

from millicent.kit.errors import BadInput, Defect

KEY_BYTES: Final = 32
LONGEST_PASSWORD: Final = 128  # bytes: RFC 2865 clause 5.2
_SALT_BYTES = _NONCE_BYTES = 16
_TAG_BYTES: Final = 32
_COST: Final = {"n": 4096, "r": 8, "p": 1, "dklen": 32}  # about 10 ms: a tower that restarts brings hundreds at once


class CredentialKeyDiffers(Defect):
    """A sealed password cannot be opened: the key in the home folder is not the one it was sealed with."""

    code = "credential_key_differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCredential:
    """A password as it is kept."""

    sealed: bool
    secret: bytes = field(repr=False)


def hash_password(password: str) -> bytes:
    """Salt and hash, for `is_password_right`."""
    salt = token_bytes(_SALT_BYTES)
    return salt + scrypt(_clear(password), salt=salt, **_COST)


def is_password_right(given: bytes, *, hashed: bytes) -> bool:
    """Whether PAP's password is the one that was hashed."""
    salt, kept = hashed[:_SALT_BYTES], hashed[_SALT_BYTES:]
    return hmac.compare_digest(scrypt(given, salt=salt, **_COST), kept)


def seal_password(password: str, *, key: bytes) -> bytes:
    """Nonce, hidden password and tag, for `open_password`."""
    nonce = token_bytes(_NONCE_BYTES)
    clear = _clear(password)
    hidden = _masked(clear, nonce=nonce, key=key)
    return nonce + hidden + _tag(nonce + hidden, key=key)


def open_password(sealed: bytes, *, key: bytes) -> bytes:
    """The password in clear. Raises CredentialKeyDiffers where it was sealed with another key, or changed since."""
    body, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
    if not hmac.compare_digest(_tag(body, key=key), tag):
        raise CredentialKeyDiffers("a sealed password does not open; bring the home folder's credentials.key back")
    return _masked(body[_NONCE_BYTES:], nonce=body[:_NONCE_BYTES], key=key)


def credential_key(home: Path) -> bytes:
    """The key in `credentials.key` of the home folder; made, for this user's eyes only, where there is none yet."""
    path = home / "credentials.key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise BadInput(f"is not {KEY_BYTES} bytes", where=str(path), cure="Bring it back from a copy.") from None
        return key
    with os.fdopen(descriptor, "wb") as file:
        key = token_bytes(KEY_BYTES)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


def _clear(password: str) -> bytes:
    clear = password.encode()
    if not 0 < len(clear) <= LONGEST_PASSWORD or b"\0" in clear:
        raise BadInput(f"a network password has 1 to {LONGEST_PASSWORD} bytes, none of them zero")
    return clear


def _masked(text: bytes, *, nonce: bytes, key: bytes) -> bytes:
    own = hmac.digest(key, b"mask", "sha256")
    blocks = range(-(-len(text) // 32))
    mask = b"".join(hmac.digest(own, nonce + block.to_bytes(4, "big"), "sha256") for block in blocks)
    return bytes(left ^ right for left, right in zip(text, mask, strict=False))


def _tag(text: bytes, *, key: bytes) -> bytes:
    return hmac.digest(hmac.digest(key, b"tag", "sha256"), text, "sha256")
