"""How a route gets at the workspace, and at the one who asks."""

from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pincite.access import Principal
from pincite.errors import NotAuthenticated
from pincite.workspace import Workspace

STATEMENT = "A person that the program with the key asks for: a JSON Web Token signed with a secret made from the key."
OPENWEBUI_STATEMENT = "The same, signed by Open WebUI with the secret that it shares with this server."

_bearer = HTTPBearer(auto_error=False, scheme_name="API key", description="`Authorization: Bearer <API key>`")


def _workspace(request: Request) -> Workspace:
    workspace: Workspace = request.app.state.workspace
    return workspace


ServedWorkspace = Annotated[Workspace, Depends(_workspace)]


async def _principal(
    workspace: ServedWorkspace,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    pincite_person: Annotated[str | None, Header(description=STATEMENT)] = None,
    x_openwebui_user_jwt: Annotated[str | None, Header(description=OPENWEBUI_STATEMENT)] = None,
) -> Principal:
    if credentials is None:
        raise NotAuthenticated("This needs an API key; send it as 'Authorization: Bearer <key>'.")
    return await workspace.authenticate(
        credentials.credentials,
        pincite_person or x_openwebui_user_jwt,
        from_openwebui=pincite_person is None and x_openwebui_user_jwt is not None,
    )


Caller = Annotated[Principal, Depends(_principal)]
