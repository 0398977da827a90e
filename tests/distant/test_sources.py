"""Sources on S3 and SFTP servers: files are found, collected once, and copies do not stay."""

import json

import pytest
from tests.mediation.builders import a_call, a_source, lake_usage, stores_in, totals

from millicent.kit.clock import system_now
from millicent.kit.tenancy import tenant_scope
from millicent.mediation import road
from millicent.mediation.errors import SourceSilent
from millicent.mediation.fetching import files_at
from millicent.mediation.models import UsageSource
from millicent.mediation.services.collect_source import collect_source


@pytest.fixture
def stores(tmp_path, monkeypatch):
    from tests.mediation.builders import ALICE, FOREVER_MS, identifiers

    frame = identifiers(("sip_user", ALICE, 0, FOREVER_MS, 1, 17))
    monkeypatch.setattr(road, "identifier_frame", lambda: frame)
    return stores_in(tmp_path)


def an_event_line(event_id):
    return f"{json.dumps(a_call(event_id))}\n".encode()


def look(tenant_id, stores):
    return [
        (each.name, totals(each))
        for each in collect_source(tenant_id=tenant_id, stores=stores, source="switch", now=system_now())
    ]


def declare(tenant_id, url, **options):
    a_source(tenant_id, url=url, storage_options=options, collected={"pattern": "*.jsonl"})
    with tenant_scope(tenant_id):
        UsageSource.objects.update(collected={"stable_seconds": 0, "pattern": "*.jsonl"})


@pytest.fixture
def s3(bucket, monkeypatch):
    import s3fs

    for name, value in (("KEY", bucket.key), ("SECRET", bucket.secret), ("URL", bucket.endpoint)):
        monkeypatch.setenv(f"CDR_{name}", value)
    return s3fs.S3FileSystem(key=bucket.key, secret=bucket.secret, endpoint_url=bucket.endpoint)


S3_OPTIONS = {"key": "CDR_KEY", "secret": "CDR_SECRET", "endpoint_url": "CDR_URL"}


def test_files_in_a_bucket_are_collected_once_and_no_copy_stays(tenant_id, stores, bucket, s3):
    s3.pipe_file(f"{bucket.name}/voice/a.jsonl", an_event_line("1") + an_event_line("2"))
    s3.pipe_file(f"{bucket.name}/voice/b.jsonl", an_event_line("2"))
    s3.pipe_file(f"{bucket.name}/voice/notes.txt", b"no usage")
    declare(tenant_id, f"s3://{bucket.name}/voice", **S3_OPTIONS)

    assert look(tenant_id, stores) == [("a.jsonl", (2, 2, 0, 0, 0)), ("b.jsonl", (1, 0, 0, 0, 1))]
    assert look(tenant_id, stores) == []
    assert lake_usage(stores).height == 2
    assert list(stores.fetched_folder.iterdir()) == []


def test_a_bucket_that_does_not_answer_is_an_outage(tenant_id, stores, bucket, s3, monkeypatch):
    monkeypatch.setenv("CDR_URL", "http://127.0.0.1:9")
    declare(tenant_id, f"s3://{bucket.name}/voice", **S3_OPTIONS)

    with pytest.raises(SourceSilent, match="does not answer"):
        look(tenant_id, stores)


@pytest.fixture
def sftp(sftp_server, monkeypatch):
    monkeypatch.setenv("CDR_LOGIN", str(sftp_server.key_file))
    monkeypatch.setenv("CDR_HOSTS", str(sftp_server.known_hosts))
    return sftp_server


SFTP_OPTIONS = {"key_filename": "CDR_LOGIN", "known_hosts": "CDR_HOSTS"}


def test_files_on_a_server_are_collected_once_and_no_copy_stays(tenant_id, stores, sftp):
    (sftp.folder / "a.jsonl").write_bytes(an_event_line("1") + an_event_line("2"))
    (sftp.folder / "b.jsonl").write_bytes(an_event_line("2"))
    (sftp.folder / ".b.jsonl.part").write_bytes(b"half")
    declare(tenant_id, sftp.url, **SFTP_OPTIONS)

    assert look(tenant_id, stores) == [("a.jsonl", (2, 2, 0, 0, 0)), ("b.jsonl", (1, 0, 0, 0, 1))]

    (sftp.folder / "c.jsonl").write_bytes(an_event_line("3"))
    assert look(tenant_id, stores) == [("c.jsonl", (1, 1, 0, 0, 0))]
    assert lake_usage(stores).height == 3
    assert list(stores.fetched_folder.iterdir()) == []


def test_a_server_with_another_host_key_is_refused(tenant_id, stores, sftp):
    (sftp.folder / "a.jsonl").write_bytes(an_event_line("1"))
    name, kind, _ = sftp.known_hosts.read_text().split(" ")
    login = (sftp.key_file.with_suffix(".pub")).read_text().split(" ")[1]
    sftp.known_hosts.write_text(f"{name} {kind} {login}\n")
    declare(tenant_id, sftp.url, **SFTP_OPTIONS)

    with pytest.raises(SourceSilent, match="BadHostKeyException"):
        look(tenant_id, stores)


def test_a_server_that_nobody_knows_and_a_login_that_is_not_let_in_are_outages(sftp, tmp_path):
    unknown, stranger = tmp_path / "no_hosts", sftp.key_file.with_name("host")
    unknown.touch()

    with pytest.raises(SourceSilent, match="not found in known_hosts"):
        files_at(
            sftp.url, pattern="*", storage_options={"key_filename": str(sftp.key_file), "known_hosts": str(unknown)}
        )
    with pytest.raises(SourceSilent, match="AuthenticationException"):
        files_at(
            sftp.url,
            pattern="*",
            storage_options={"key_filename": str(stranger), "known_hosts": str(sftp.known_hosts)},
        )
