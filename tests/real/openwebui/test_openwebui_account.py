"""The account with which a container installs in a real Open WebUI: made once, and let in at every later start."""

from pathlib import Path

import pytest

from installation import Installation
from openwebui import ACCOUNT, Refused, installation_key
from tests.real.openwebui.conftest import House
from tests.real.openwebui.running import PASSWORD

pytestmark = pytest.mark.anyio


async def test_the_account_of_an_installation_is_made_once_and_let_in_again(house: House, tmp_path: Path) -> None:
    admin, address = house.openwebui.admin, house.openwebui.address
    installation = Installation(tmp_path / "installation")
    try:
        key = await installation_key(address, installation, (admin.email, PASSWORD))
        # The first administrator may have another password by then.
        assert await installation_key(address, installation, ("nobody@example.com", "changed")) == key
    finally:
        told = await admin.ask("GET", "/api/v1/users/all")
        for user in told["users"]:
            if user["email"] == ACCOUNT:
                await admin.ask("DELETE", f"/api/v1/users/{user['id']}")
    with pytest.raises(Refused, match="401 to GET"):
        await installation_key(address, installation, (admin.email, PASSWORD))
