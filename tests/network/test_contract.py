"""Every format of ours keeps the contract, on our own samples."""

from pathlib import Path

from tests.network.contract import FormatContract, Sample

from millicent.network.files.asterisk_csv import AsteriskCsv
from millicent.network.files.charging_records import ChargingRecords
from millicent.network.files.delimited import Delimited
from millicent.network.files.freeswitch_csv import FreeSwitchCsv
from millicent.network.files.freeswitch_json import FreeSwitchJson
from millicent.network.files.json_lines import JsonLines
from millicent.network.files.kamailio import KamailioAcc, KamailioCdrs
from millicent.network.files.radius_detail import RadiusDetail

SAMPLES = Path(__file__).parents[2] / "samples"


def _sample(path: str) -> bytes:
    return (SAMPLES / path).read_bytes()


class TestFreeSwitchCsv(FormatContract):
    sample = Sample(format=FreeSwitchCsv(), content=_sample("freeswitch/cdr.csv"), records=7, faults=3)


class TestFreeSwitchJson(FormatContract):
    sample = Sample(format=FreeSwitchJson(), content=_sample("freeswitch/cdr.json"), records=6, faults=1)


class TestAsteriskCsv(FormatContract):
    sample = Sample(format=AsteriskCsv(), content=_sample("asterisk/Master.csv"), records=5, faults=2)


class TestKamailioAcc(FormatContract):
    sample = Sample(format=KamailioAcc(), content=_sample("kamailio/acc.log"), records=9, faults=4)


class TestKamailioCdrs(FormatContract):
    sample = Sample(format=KamailioCdrs(), content=_sample("kamailio/cdrs.log"), records=5, faults=2)


class TestRadiusDetail(FormatContract):
    sample = Sample(format=RadiusDetail(), content=_sample("radius/detail"), records=7, faults=3)


class TestPgwFile(FormatContract):
    sample = Sample(format=ChargingRecords(), content=_sample("charging/pgw.dat"), records=7, faults=2)


class TestChfFile(FormatContract):
    sample = Sample(format=ChargingRecords(), content=_sample("charging/chf.dat"), records=6, faults=1)


class TestBareRecords(FormatContract):
    sample = Sample(format=ChargingRecords(), content=_sample("charging/bare.ber"), records=3, faults=0)


class TestDelimited(FormatContract):
    sample = Sample(
        format=Delimited(),
        content=_sample("delimited/gateway.txt"),
        records=11,
        faults=8,
        options={"mapping": _sample("delimited/mapping.yaml").decode()},
    )


class TestJsonLines(FormatContract):
    sample = Sample(
        format=JsonLines(),
        content=_sample("json-lines/meters.jsonl"),
        records=8,
        faults=4,
        options={"mapping": _sample("json-lines/mapping.yaml").decode()},
    )
