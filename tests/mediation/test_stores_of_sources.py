"""Where files come from: stores with credentials of their own, and what their listings mean."""

import json

import fsspec
import pytest
from tests.mediation.builders import NOW, a_call, a_source, lake_usage, totals

from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.fetching import _url_of, storage_options_of
from millicent.mediation.models import UsageSource
from millicent.mediation.services.collect_source import collect_source

SECRET = "CDR_BUCKET_SECRET"


def an_event_line(event_id):
    return f"{json.dumps(a_call(event_id))}\n".encode()


def look(tenant_id, stores):
    return collect_source(tenant_id=tenant_id, stores=stores, source="switch", now=NOW)


def test_files_of_a_distant_store_are_collected_and_no_copy_stays(tenant_id, stores):
    folder = f"memory://spool-{tenant_id}"
    files = fsspec.filesystem("memory")
    for name in ("a.jsonl", "b.jsonl"):
        files.pipe_file(f"/spool-{tenant_id}/{name}", an_event_line(name))
    a_source(tenant_id, url=folder, collected={"stable_seconds": 0, "pattern": "*.jsonl"})
    with tenant_scope(tenant_id):
        UsageSource.objects.update(collected={"stable_seconds": 0})

    reports = [each for each in look(tenant_id, stores) if each.records_in]

    assert [(each.name, totals(each)) for each in reports] == [
        ("a.jsonl", (1, 1, 0, 0, 0)),
        ("b.jsonl", (1, 1, 0, 0, 0)),
    ]
    assert lake_usage(stores).height == 2
    assert list(stores.fetched_folder.iterdir()) == []
    assert look(tenant_id, stores) == []


def test_a_source_gives_its_own_credentials_and_only_their_names_are_kept(tenant_id, monkeypatch):
    a_source(tenant_id, url="s3://cdr/voice", storage_options={"secret": SECRET})
    with tenant_scope(tenant_id):
        kept = UsageSource.objects.get().storage_options

    assert kept == {"secret": SECRET}
    assert storage_options_of(kept, environment={SECRET: "s3cr3t"}) == {"secret": "s3cr3t"}
    with pytest.raises(BadInput, match=SECRET):
        storage_options_of(kept, environment={})


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"url": "sftp://us:pw@switch/cdr"}, "the url holds a password"),
        (
            {"url": "s3://cdr", "storage_options": {"secret": "s3cr3t/+x"}},
            "secret does not name an environment variable",
        ),
        ({"push_token_sha256": "letmein"}, "push_token_sha256 is no SHA-256"),
    ],
)
def test_a_secret_in_a_declaration_is_refused_and_not_repeated(tenant_id, declared, said):
    with pytest.raises(BadInput, match=said) as refusal:
        a_source(tenant_id, **declared)

    assert not {"pw", "s3cr3t", "letmein"} & set(str(refusal.value).replace("/", " ").split())
    with tenant_scope(tenant_id):
        assert not UsageSource.objects.exists()


def test_a_file_on_a_server_is_asked_for_with_the_login_of_its_folder():
    files = fsspec.filesystem("memory")

    assert _url_of("/cdr/a.csv", beside="sftp://us@switch:2222/cdr", files=files) == "sftp://us@switch:2222/cdr/a.csv"
    assert _url_of("/cdr/a.csv", beside="memory://cdr", files=files) == "memory:///cdr/a.csv"
