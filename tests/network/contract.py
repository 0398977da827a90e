"""The contract of `mediation.types.UsageFormat`. Every format passes it; a third party's plug-in can import it.

from tests.network.contract import FormatContract, Sample

class TestMyFormat(FormatContract):
    sample = Sample(format=MyFormat(), content=..., records=...)
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millicent.kit.errors import BadInput
from millicent.mediation.types import DECODED_EXTRA_COLUMNS, DecodedChunk, FormatOptions, SuspenseReason, UsageFormat
from millicent.rating.types import USAGE_COLUMNS

FAULT_COLUMNS = ["record_number", "byte_offset", "byte_length", "reason", "detail", "raw"]
_calm = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A content of one format: how many records are in it, and how many of them stop."""

    format: UsageFormat
    content: bytes
    records: int
    faults: int
    options: Mapping[str, str] = field(default_factory=dict)
    chunk_records: str = "3"


def read(sample: Sample, content: bytes, *, start: int = 0, number: int = 1, **more: str) -> list[DecodedChunk]:
    options = FormatOptions(zone="Europe/Madrid", options={**sample.options, **more}, first_record_number=number)
    return list(sample.format.decode(io.BytesIO(content), options=options, start_offset=start))


def rows(chunks: list[DecodedChunk]) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.concat([chunk.usage for chunk in chunks]), pl.concat([chunk.faults for chunk in chunks])


def check_conservation(chunks: list[DecodedChunk], size: int) -> None:
    """What is promised of every chunk of every content, however broken."""
    numbers: list[int] = []
    offset = 0
    for chunk in chunks:
        assert chunk.records_in == chunk.usage.height + chunk.faults.height
        assert chunk.records_in > 0 or chunk.declared is not None, "only a header has something to say without records"
        assert offset < chunk.next_offset <= size
        offset = chunk.next_offset
        assert dict(chunk.usage.schema) == {
            name: getattr(pl, kind)() for name, kind in {**USAGE_COLUMNS, **DECODED_EXTRA_COLUMNS}.items()
        }
        assert chunk.usage.null_count().sum_horizontal().item() == 0
        assert chunk.faults.columns == FAULT_COLUMNS
        for reason in chunk.faults["reason"].unique():
            assert SuspenseReason(reason) != SuspenseReason.ACCEPTED
        numbers += chunk.usage["record_number"].to_list() + chunk.faults["record_number"].to_list()
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def survives(sample: Sample, content: bytes) -> None:
    """Broken content is counted, or the file is refused with an offset. Nothing else may happen."""
    try:
        chunks = read(sample, content)
    except BadInput as refusal:
        assert refusal.where
        return
    check_conservation(chunks, len(content))


class FormatContract:
    """Subclass it and give `sample`."""

    sample: ClassVar[Sample]

    def test_every_record_is_accounted_for(self) -> None:
        chunks = read(self.sample, self.sample.content)

        check_conservation(chunks, len(self.sample.content))
        assert sum(chunk.records_in for chunk in chunks) == self.sample.records
        assert sum(chunk.faults.height for chunk in chunks) == self.sample.faults

    def test_a_fault_holds_the_bytes_that_stand_at_its_offset(self) -> None:
        _, faults = rows(read(self.sample, self.sample.content))

        for fault in faults.rows(named=True):
            found = self.sample.content[fault["byte_offset"] : fault["byte_offset"] + fault["byte_length"]]
            assert fault["raw"] == found
            assert fault["detail"]

    def test_small_chunks_give_the_same_rows_as_one(self) -> None:
        whole = rows(read(self.sample, self.sample.content))
        cut = rows(read(self.sample, self.sample.content, chunk_records=self.sample.chunk_records, chunk_bytes="1024"))

        assert cut[0].equals(whole[0])
        assert cut[1].equals(whole[1])

    def test_resuming_at_any_reported_offset_gives_the_rest(self) -> None:
        chunks = read(self.sample, self.sample.content, chunk_records=self.sample.chunk_records)
        whole = rows(chunks)
        seen = 0
        for place, chunk in enumerate(chunks[:-1]):
            seen += chunk.records_in
            rest = read(self.sample, self.sample.content, start=chunk.next_offset, number=seen + 1)
            before = rows(chunks[: place + 1])
            assert pl.concat([before[0], rows(rest)[0]]).equals(whole[0])
            assert pl.concat([before[1], rows(rest)[1]]).equals(whole[1])

    def test_an_empty_file_has_no_records_and_is_no_fault(self) -> None:
        assert read(self.sample, b"") == []

    def test_a_file_of_something_else_is_refused_with_the_place(self) -> None:
        with pytest.raises(BadInput) as refusal:
            read(self.sample, b"\x00\x01\x02\x03 nothing that a switch would write \x00" * 8)

        assert "byte" in refusal.value.where

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(BadInput, match="unknown option 'colour'"):
            read(self.sample, self.sample.content, colour="blue")

    @_calm
    @given(junk=st.binary(max_size=600))
    def test_random_bytes_never_crash_it(self, junk: bytes) -> None:
        survives(self.sample, junk)

    @_calm
    @given(chance=st.data())
    def test_flipped_bytes_never_crash_it_nor_lose_a_record(self, chance: st.DataObject) -> None:
        content = bytearray(self.sample.content)
        for _ in range(chance.draw(st.integers(1, 8))):
            content[chance.draw(st.integers(0, len(content) - 1))] = chance.draw(st.integers(0, 255))
        survives(self.sample, bytes(content))

    @_calm
    @given(chance=st.data())
    def test_a_cut_file_never_crashes_it(self, chance: st.DataObject) -> None:
        survives(self.sample, self.sample.content[: chance.draw(st.integers(0, len(self.sample.content)))])

    @_calm
    @given(chance=st.data())
    def test_broken_content_reads_the_same_in_any_chunks(self, chance: st.DataObject) -> None:
        content = bytearray(self.sample.content)
        place = chance.draw(st.integers(0, len(content) - 1))
        content[place : place + chance.draw(st.integers(0, 5))] = chance.draw(st.binary(max_size=6))
        try:
            whole = rows(read(self.sample, bytes(content)))
            cut = rows(read(self.sample, bytes(content), chunk_records="2", chunk_bytes="1024"))
        except (BadInput, ValueError):  # ValueError: there was nothing to put together
            return
        assert cut[0].equals(whole[0])
        assert cut[1].equals(whole[1])

    def test_a_growing_file_keeps_its_unfinished_record_for_the_next_read(self) -> None:
        whole = read(self.sample, self.sample.content)
        early = read(self.sample, self.sample.content[:-3], growing="true")

        seen = sum(chunk.records_in for chunk in early)
        rest = read(self.sample, self.sample.content, start=early[-1].next_offset, number=seen + 1)
        assert seen + sum(chunk.records_in for chunk in rest) == sum(chunk.records_in for chunk in whole)
        assert pl.concat([rows(early)[0], *(chunk.usage for chunk in rest)]).equals(rows(whole)[0])
