"""Open WebUI from outside: its REST interface, as the administrator whose token or API key is given."""

from typing import Any, Self

import httpx

from plugin.function.files import file_of
from plugin.function.openwebui import Audience

TIMEOUT_S = 60.0
# Not "/api/v1/auths/", which tells who asks: it is for people in a browser and refuses API keys.
ADMINISTRATORS_ONLY = "/api/v1/configs/tool_servers"


class OpenWebUIFailure(Exception):
    """Open WebUI refused or does not answer; the message says what to do."""


class OpenWebUIApi:
    """One Open WebUI at `url`; used inside `async with`. Without a token, `sign_in` is to be asked first."""

    def __init__(self, url: str, token: str = "", transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self._url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=TIMEOUT_S,
            trust_env=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def sign_in(self, email: str, password: str) -> None:
        """Go on as who has this account, in a session that is kept nowhere.

        Raises:
            OpenWebUIFailure: there is none, or none that a password opens.
        """
        try:
            answer = await self._http.post("/api/v1/auths/signin", json={"email": email, "password": password})
            told = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise self._absent() from None
        if answer.status_code == 400:
            raise OpenWebUIFailure("Open WebUI knows no account with this e-mail address and password.")
        if not answer.is_success or not isinstance(told, dict) or not told.get("token"):
            raise OpenWebUIFailure(
                f"Open WebUI lets nobody in by password ({answer.status_code}); make an API key in the settings of an "
                "administrator's account, and give it as OPENWEBUI_TOKEN."
            )
        self._http.headers["Authorization"] = f"Bearer {told['token']}"

    async def check(self) -> str:
        """Return the version of this Open WebUI.

        Raises:
            OpenWebUIFailure: there is none, or the token is not an administrator's.
        """
        version = (await self.ask("GET", "/api/version"))["version"]
        await self.ask("GET", ADMINISTRATORS_ONLY)
        return str(version)

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return what it answers, as JSON."""
        try:
            answer = await self._http.request(method, path, json=body)
            told = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise self._absent() from None
        if answer.is_success:
            return told
        if answer.status_code in {401, 403} and path == ADMINISTRATORS_ONLY:
            raise OpenWebUIFailure(
                "This is no administrator of that Open WebUI, and only one may install functions; sign in as one, or "
                "make an API key in the account settings of an administrator."
            )
        detail = told.get("detail") if isinstance(told, dict) else None
        raise OpenWebUIFailure(f"Open WebUI refused {method} {path} ({answer.status_code}): {str(detail)[:300]}")

    def _absent(self) -> OpenWebUIFailure:
        return OpenWebUIFailure(f"There is no Open WebUI that answers at {self._url}; is it running?")

    async def audience(self) -> Audience:
        """Return its users and groups."""
        users, groups = await self.ask("GET", "/api/v1/users/all"), await self.ask("GET", "/api/v1/groups/")
        return Audience(users["users"], groups)

    async def collections(self) -> list[dict[str, Any]]:
        """Return the collections of its Knowledge."""
        return await self._pages("/api/v1/knowledge/?")

    async def collection_files(self, collection_id: str) -> list[dict[str, Any]]:
        """Return the files of a collection."""
        return [file_of(told) for told in await self._pages(f"/api/v1/knowledge/{collection_id}/files?")]

    async def uploads(self, user_id: str | None) -> list[dict[str, Any]]:
        """Return the files that someone uploaded, or that anyone did."""
        files = [file_of(told) for told in await self._pages("/api/v1/files/?content=false&")]
        return [file for file in files if user_id in {None, file["user_id"]}]

    async def content(self, file_id: str) -> bytes:
        """Return a file as it was uploaded."""
        try:
            answer = await self._http.get(f"/api/v1/files/{file_id}/content")
            return answer.raise_for_status().content
        except httpx.HTTPError:
            raise OpenWebUIFailure(f"Open WebUI does not hand out the file {file_id}.") from None

    async def models(self) -> list[dict[str, Any]]:
        """Return the records of models that are no presets."""
        listed: list[dict[str, Any]] = await self.ask("GET", "/api/v1/models/base")
        return listed

    async def create_model(self, form: dict[str, Any]) -> None:
        """Make the record of a model; where the pipe was quicker, bring it up to date."""
        try:
            await self.ask("POST", "/api/v1/models/create", form)
        except OpenWebUIFailure:
            if all(model["id"] != form["id"] for model in await self.models()):
                raise
            await self.update_model(form)

    async def update_model(self, form: dict[str, Any]) -> None:
        """Change the record of a model, and who may use it, which has an address of its own."""
        await self.ask("POST", "/api/v1/models/model/update", form)
        grants = {"id": form["id"], "access_grants": form["access_grants"]}
        await self.ask("POST", "/api/v1/models/model/access/update", grants)

    async def delete_model(self, model_id: str) -> None:
        """Remove the record of a model."""
        await self.ask("POST", "/api/v1/models/model/delete", {"id": model_id})

    async def _pages(self, path: str) -> list[dict[str, Any]]:
        """Return the items of all pages of a list."""
        items: list[dict[str, Any]] = []
        page = 1
        while True:
            told = await self.ask("GET", f"{path}page={page}")
            items += told["items"]
            if not told["items"] or len(items) >= told["total"]:
                return items
            page += 1
