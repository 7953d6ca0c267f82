"""People who ask through another program: its signed statement says who, a knowledge base's readers who may read."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from pincite.errors import NotAuthenticated

EVERYONE = "everyone"
USER, GROUP = "user:", "group:"
ALGORITHM = "HS256"
MAX_STATEMENT_LENGTH = 8000
MAX_GROUPS = 200
LEEWAY_S = 30


@dataclass(frozen=True, slots=True)
class Person:
    """Someone a program vouches for: `subject` is their id there, `groups` the names of the groups they are in."""

    subject: str
    name: str
    email: str
    groups: tuple[str, ...] = ()


def statement_secret(api_key: str) -> bytes:
    """Return what a program signs its statements with: derived from its key, so that each secret has one use."""
    return hashlib.sha256(b"pincite statement\0" + api_key.encode()).digest()


def read_statement(statement: str, secret: bytes | str) -> Person:
    """Return who asks, from a JSON Web Token (RFC 7519) signed with `secret` (HS256).

    The claims are those of Open WebUI's own header: `sub`, `email`, `name`, `exp`, `iat`, and here also `groups`.

    Raises:
        NotAuthenticated: it is not signed so, has expired, or names nobody.
    """
    if len(statement) > MAX_STATEMENT_LENGTH:
        raise NotAuthenticated("The statement of who asks is too long.")
    try:
        claims = jwt.decode(
            statement,
            secret,
            algorithms=[ALGORITHM],
            options={"require": ["sub", "exp", "iat"], "verify_aud": False},
            leeway=LEEWAY_S,
        )
    except jwt.ExpiredSignatureError:
        raise NotAuthenticated("The statement of who asks has expired; compare the clocks of both machines.") from None
    except jwt.InvalidTokenError:
        raise NotAuthenticated(
            "The statement of who asks is not signed with this key; set the same key in both programs."
        ) from None
    return person_of_claims(claims)


def person_of_claims(claims: Mapping[str, Any]) -> Person:
    """Return the person that verified claims describe; an e-mail address that is said to be unverified is nobody's.

    Raises:
        NotAuthenticated: they name nobody.
    """
    subject, groups = str(claims["sub"]), claims.get("groups")
    if not subject:
        raise NotAuthenticated("The statement of who asks names nobody.")
    named = tuple(sorted({str(group)[:200] for group in groups[:MAX_GROUPS]})) if isinstance(groups, list) else ()
    email = claims.get("email") if claims.get("email_verified", True) is True else None
    return Person(subject[:200], str(claims.get("name") or "")[:200], str(email or "")[:320], named)


def admits(readers: Collection[str], person: Person) -> bool:
    """Say whether a knowledge base with these readers is for the person; e-mail addresses match in any case."""
    own = {EVERYONE, USER + person.subject.casefold(), *(GROUP + group for group in person.groups)}
    if person.email:
        own.add(USER + person.email.casefold())
    return any((reader.casefold() if reader.startswith(USER) else reader) in own for reader in readers)
