"""Who a key or a viewer's link belongs to: issued keys in the catalog, the administrator's, and the local owner's."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from pincite.access import (
    ADMIN_ID,
    SCOPES,
    SYSTEM_ID,
    Principal,
    ViewSigner,
    granted_by_token,
    hash_api_key,
    new_api_key,
    same_secret,
)
from pincite.catalog import Catalog, new_id
from pincite.errors import InvalidRequest, NotAuthenticated
from pincite.oauth import AccessTokens
from pincite.openwebui import OpenWebUI, is_session
from pincite.passage import Passage
from pincite.people import Person, admits, person_of_claims, read_statement, statement_secret
from pincite.records import ApiKey
from pincite.settings import Settings

# A link longer than about 2,000 characters is cut by some programs; the viewer shows the passage either way.
MARKS_IN_LINK = 40
MAX_KEY_LENGTH = 500


class Keyring:
    """Knows every key that opens this data folder; whoever has none is refused."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        signer: ViewSigner,
        local_token: str | None,
        openwebui: OpenWebUI | None = None,
    ) -> None:
        self._settings = settings
        self._tokens = AccessTokens.of(settings)
        self._openwebui = openwebui
        self._catalog = catalog
        self._signer = signer
        self._local_token = local_token

    async def authenticate(
        self, api_key: str, statement: str | None = None, *, from_openwebui: bool = False
    ) -> Principal:
        """Return who an API key belongs to, or the person that the program with this key asks for.

        `statement` is signed with the key or, `from_openwebui`, with the secret shared with Open WebUI. A person reads
        what both the key and the readers of the knowledge bases allow, and writes nothing. Instead of a key it may be
        an access token of the authorisation server: its person has the rights that it gives, where they may read; or
        the token of a session of Open WebUI: its person reads what the knowledge bases' readers allow.

        Raises:
            NotAuthenticated: nobody issued the key, or it was taken back; the statement is not signed so.
            NotPermitted: the token's scopes give no right here.
            BackendError: the authorisation server, or Open WebUI, cannot be asked.
        """
        if self._openwebui is not None and is_session(api_key):
            person, chat = await self._openwebui.person(api_key), _vouching(self._openwebui.id)
            return await self._known(chat, person)
        if self._tokens is not None and AccessTokens.looks_like_one(api_key):
            return await self._holder(self._tokens, api_key)
        program = await self._owner(api_key)
        if statement is None:
            return program
        secret = self._settings.openwebui_secret
        if not from_openwebui:
            person = read_statement(statement, statement_secret(api_key))
        elif secret is not None:
            person = read_statement(statement, secret.get_secret_value())
        else:
            raise NotAuthenticated(
                "Open WebUI says who asks, signed with a secret that is not known here; set PINCITE_OPENWEBUI_SECRET."
            )
        return await self._known(program, person)

    async def _holder(self, tokens: AccessTokens, token: str) -> Principal:
        claims = await tokens.verified(token)
        granted, person = granted_by_token(tokens.issuer_id, claims), person_of_claims(claims)
        return await self._known(granted, person, granted.scopes)

    async def _known(
        self, program: Principal, person: Person, scopes: frozenset[str] = frozenset({"read"})
    ) -> Principal:
        identifier = await asyncio.to_thread(self._catalog.known_person, program.id, person)
        return await self._person(identifier, program, person, scopes)

    async def _person(self, identifier: str, program: Principal, person: Person, scopes: frozenset[str]) -> Principal:
        """Return a person with the rights they have now."""
        every = await asyncio.to_thread(self._catalog.knowledge_bases)
        readable = frozenset(kb.id for kb in every if program.may_read(kb.id) and admits(kb.settings.readers, person))
        return Principal(identifier, person.name, scopes, readable)

    async def _owner(self, api_key: str) -> Principal:
        if not api_key or len(api_key) > MAX_KEY_LENGTH:
            raise NotAuthenticated("This needs an API key; send it as `Authorization: Bearer <key>`.")
        if self._local_token is not None and same_secret(api_key, self._local_token):
            return Principal.system()
        admin_key = self._settings.admin_key
        if admin_key is not None and same_secret(api_key, admin_key.get_secret_value()):
            return _administrator()
        key = await asyncio.to_thread(lambda: self._catalog.api_key(key_hash=hash_api_key(api_key)))
        if key is None:
            raise NotAuthenticated("This API key is not known here; it may have been taken back.")
        return _principal(key)

    async def issue_first(self) -> str | None:
        """Make the administrator's key of a new data folder and return it, the only time it is shown; else None."""
        issued = await asyncio.to_thread(self._catalog.api_keys)
        if issued or self._settings.admin_key is not None:
            return None
        _, key = await self.issue("administrator", SCOPES, None)
        return key

    async def issue(
        self, name: str, scopes: Iterable[str], knowledge_bases: frozenset[str] | None
    ) -> tuple[ApiKey, str]:
        """Make a key as `issue_key` does."""
        return await asyncio.to_thread(issue_key, self._catalog, name, scopes, knowledge_bases)

    def sign_view(self, who: Principal, document_id: str, lifetime_s: int | None = None) -> str:
        """Return a token with which `who` opens the viewer on one document."""
        return self._signer.sign(who.id, document_id, lifetime_s or self._settings.view_lifetime_s)

    async def open_view(self, token: str, document_id: str) -> Principal:
        """Return the reader a viewer's token was signed for, with the rights they have now.

        Raises:
            NotAuthenticated: the token is not ours, has expired, or its reader's key was taken back.
            UnknownDocument: it opens another document.
        """
        return await self._reader(self._signer.open(token, document_id))

    async def _reader(self, reader: str) -> Principal:
        if known := await asyncio.to_thread(self._catalog.person, reader):
            key_id, person = known
            return await self._person(reader, await self._reader(key_id), person, frozenset({"read"}))
        if reader == SYSTEM_ID:
            return Principal(SYSTEM_ID, "the local owner", frozenset({"read"}))
        if self._tokens is not None and reader == self._tokens.issuer_id:
            return _vouching(reader)
        if self._openwebui is not None and reader == self._openwebui.id:
            return _vouching(reader)
        if reader == ADMIN_ID and self._settings.admin_key is not None:
            return _administrator()
        key = await asyncio.to_thread(lambda: self._catalog.api_key(identifier=reader))
        if key is None:
            raise NotAuthenticated("The key this link was made with has been taken back; ask again with a valid one.")
        return _principal(key)

    def view_url(self, who: Principal, passage: Passage) -> str:
        """Return the address that opens the viewer at a passage, its matched words and best sentence marked."""
        query = [f"page={passage.page}"] if passage.page is not None else []
        query += [f"start={passage.start}", f"end={passage.end}"]
        query += [
            f"{'m' if mark.kind == 'term' else 's'}={passage.start + mark.start}-{passage.start + mark.end}"
            for mark in passage.marks[:MARKS_IN_LINK]
        ]
        # Numbers, dashes and base64url need no quoting, which would take as long as the rest of a tool's answer.
        query.append(f"t={self.sign_view(who, passage.document.id)}")
        return f"{self._settings.address}/view/{passage.document.id}?{'&'.join(query)}"


def issue_key(
    catalog: Catalog, name: str, scopes: Iterable[str], knowledge_bases: frozenset[str] | None
) -> tuple[ApiKey, str]:
    """Make a key for the knowledge bases named by id (None: all) and return it, the only time it is shown.

    Raises:
        InvalidRequest: a scope does not exist, or there is none.
    """
    granted = frozenset(scopes)
    if not granted or not granted <= SCOPES:
        raise InvalidRequest("A key needs one or more of the scopes read, write and admin.")
    record = ApiKey(new_id("key"), name.strip()[:200] or "unnamed", granted, knowledge_bases, datetime.now(UTC))
    key = new_api_key()
    catalog.put_api_key(record, hash_api_key(key))
    return record, key


def _administrator() -> Principal:
    return Principal(ADMIN_ID, "administrator", SCOPES)


def _vouching(identifier: str) -> Principal:
    """Return what a server that vouches for people gives them at most: to read where they are readers."""
    return Principal(identifier, "a server that people sign in at", frozenset({"read"}))


def _principal(key: ApiKey) -> Principal:
    return Principal(key.id, key.name, key.scopes, key.knowledge_bases)
