"""Settings are read under one prefix, and what cannot be is refused in a sentence."""

from pathlib import Path

import pytest

from pincite.errors import InvalidSettings
from pincite.settings import KnowledgeBaseSettings, Settings, load_settings, settings_markdown


def test_the_environment_sets_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINCITE_PORT", "9000")
    monkeypatch.setenv("PINCITE_DATA", "/srv/pincite")
    monkeypatch.setenv("PINCITE_ALLOWED_HOSTS", "pincite, pincite.example.com ,")
    settings = load_settings(port=9001)
    assert settings.port == 9001
    assert settings.index_location == "/srv/pincite/index"
    assert settings.allowed_hosts == ("pincite", "pincite.example.com")


def test_several_embedding_servers_are_one_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINCITE_EMBEDDING_URL", "http://gpu:8000, https://spare:8443/v1")
    monkeypatch.setenv("PINCITE_EMBEDDING_KEY", "a-key-that-nobody-may-see")
    settings = load_settings()
    assert settings.embedding_url == ("http://gpu:8000", "https://spare:8443/v1")
    assert "nobody-may-see" not in repr(settings)


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINCITE_ADMIN_KEY", "")
    assert load_settings().admin_key is None


@pytest.mark.parametrize(
    ("host", "port", "public_url", "address"),
    [
        ("127.0.0.1", 7861, None, "http://127.0.0.1:7861"),
        ("0.0.0.0", 80, None, "http://localhost:80"),
        ("::1", 7861, None, "http://[::1]:7861"),
        ("0.0.0.0", 7861, "https://kb.example.com/pincite/", "https://kb.example.com/pincite"),
    ],
)
def test_the_address_in_citations_is_one_a_reader_can_open(
    host: str, port: int, public_url: str | None, address: str
) -> None:
    assert load_settings(host=host, port=port, public_url=public_url).address == address


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PINCITE_PORT", "70000", "PINCITE_PORT"),
        ("PINCITE_PORT", "seven", "PINCITE_PORT"),
        ("PINCITE_ADMIN_KEY", "short", "PINCITE_ADMIN_KEY"),
        ("PINCITE_PUBLIC_URL", "ftp://kb.example.com", "PINCITE_PUBLIC_URL"),
        ("PINCITE_CATALOG_URL", "mysql://host/db", "PINCITE_CATALOG_URL"),
        ("PINCITE_CATALOG_URL", "no url", "PINCITE_CATALOG_URL"),
        ("PINCITE_ALLOWED_ORIGINS", "https://chat.example.com/path", "PINCITE_ALLOWED_ORIGINS"),
        ("PINCITE_FRAME_ANCESTORS", "*; script-src *", "PINCITE_FRAME_ANCESTORS"),
        ("PINCITE_LOG_LEVEL", "loud", "PINCITE_LOG_LEVEL"),
        ("PINCITE_OAUTH_ISSUER", "login.example.com", "PINCITE_OAUTH_ISSUER"),
        ("PINCITE_OAUTH_ISSUER", "https://login.example.com", "PINCITE_OAUTH_JWKS_URL"),
        ("PINCITE_OAUTH_JWKS_URL", "http://login.example.com/keys", "PINCITE_OAUTH_JWKS_URL: .*https"),
        ("PINCITE_OAUTH_AUDIENCE", "https://pincite.example.com/mcp", "PINCITE_OAUTH_ISSUER"),
        ("PINCITE_EMBEDDING_URL", "gpu:8000", "PINCITE_EMBEDDING_URL: .*http://host:8000"),
        ("PINCITE_EMBEDDING_URL", "http://gpu:8000,http://user:pw@spare:8000", "PINCITE_EMBEDDING_URL: .*password"),
        ("PINCITE_EMBEDDING_MODEL", "Qwen/Qwen3-Embedding-4B", "without PINCITE_EMBEDDING_URL"),
        ("PINCITE_EMBEDDING_KEY", "secret", "PINCITE_EMBEDDING_KEY says nothing without PINCITE_EMBEDDING_URL"),
        ("PINCITE_EMBEDDING_TOKENIZER", "/nowhere/tokenizer.json", "PINCITE_EMBEDDING_TOKENIZER: .*no such file"),
        ("PINCITE_RERANKER_KEY", "secret", "without PINCITE_RERANKER_URL"),
        ("PINCITE_RERANK_TIMEOUT_S", "0", "PINCITE_RERANK_TIMEOUT_S"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=said) as refused:
        load_settings()
    assert "\n" not in refused.value.message


def test_a_refused_secret_is_not_repeated() -> None:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(admin_key="hunter2", catalog_url="mysql://root:swordfish@host/db")
    assert "hunter2" not in refused.value.message
    assert "swordfish" not in refused.value.message


def test_a_fixed_address_contradicts_a_port_of_the_systems_choice() -> None:
    with pytest.raises(InvalidSettings, match="contradicts"):
        load_settings(port=0, public_url="https://kb.example.com")


def test_secrets_do_not_print() -> None:
    settings = load_settings(admin_key="a-key-that-nobody-may-see", catalog_url="postgresql+psycopg://u:pw@h/db")
    assert "nobody-may-see" not in repr(settings)
    assert "pw@" not in repr(settings)
    assert settings.catalog_location == "postgresql+psycopg://u:pw@h/db"


def test_the_catalog_lies_in_the_data_folder_by_default(tmp_path: Path) -> None:
    assert load_settings(data=tmp_path).catalog_location == f"sqlite:///{tmp_path}/catalog.sqlite"


def test_knowledge_base_settings_take_text_from_a_command_line() -> None:
    assert KnowledgeBaseSettings().changed({"top_k": "8", "chunk_tokens": "1024"}) == KnowledgeBaseSettings(
        top_k=8, chunk_tokens=1024
    )


@pytest.mark.parametrize("changes", [{"chunk_tokens": 255}, {"chunk_tokens": 2049}, {"top_k": 0}, {"topk": 5}])
def test_knowledge_base_settings_refuse_what_is_out_of_range_or_unknown(changes: dict[str, int]) -> None:
    with pytest.raises(InvalidSettings, match=next(iter(changes))):
        KnowledgeBaseSettings().changed(changes)


def test_the_page_of_settings_names_every_one() -> None:
    page = settings_markdown()
    for name in Settings.model_fields:
        assert f"`PINCITE_{name.upper()}`" in page
    for name in KnowledgeBaseSettings.model_fields:
        assert f"`{name}`" in page
