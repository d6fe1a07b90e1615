"""Reading the list item by item: what is kept, what is refused, and what never comes out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.market.sources.base import WrongShape
from gpuscout.market.sources.json_stream import ObjectStream
from gpuscout.market.sources.machines_schema import BadMachine, country_of, read_machine, sample_of
from gpuscout.market.sources.machines_worker import MAX_MACHINES
from tests.machines.helpers import SECRETS, document, machine, parse_bytes


def test_what_is_kept_of_a_machine() -> None:
    found = read_machine(machine(38941))
    assert found.machine_id == 38941 and found.gpu_name == "RTX 4090" and found.vram_gb == 24
    assert (found.num_gpus, found.num_rented) == (2, 1)
    assert found.price == 0.3333333333333333 and found.min_bid == 0.15
    assert found.reliability == 0.9912 and found.verification == "verified" and found.datacenter is False
    assert found.country == "de" and found.end_date == 1761871428


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"machine_id": None}, "machine_id: missing"),
        ({"machine_id": "7"}, "machine_id: not a whole number"),
        ({"machine_id": True}, "machine_id: not a whole number"),
        ({"machine_id": 0}, "machine_id: out of range"),
        ({"machine_id": 2**80}, "machine_id: out of range"),
        ({"gpu_name": None}, "gpu_name: missing"),
        ({"gpu_name": {"ip": "203.0.113.9"}}, "gpu_name: not a text"),
        ({"gpu_name": "  "}, "gpu_name: empty or too long"),
        ({"gpu_name": "RTX" * 100}, "gpu_name: empty or too long"),
        ({"gpu_name": "box at 203.0.113.9"}, "gpu_name: holds an address"),
        ({"gpu_name": "2001:db8:0:1::7"}, "gpu_name: holds an address"),
        ({"num_gpus": 0}, "num_gpus: out of range"),
        ({"num_gpus": 2.5}, "num_gpus: not a whole number"),
        ({"num_gpus": 10**9}, "num_gpus: out of range"),
        ({"num_gpus_rented": 3}, "num_gpus_rented: out of range"),
        ({"num_gpus_rented": -1}, "num_gpus_rented: out of range"),
        ({"dph_base": None}, "dph_base: missing"),
        ({"dph_base": "0.5"}, "dph_base: not a number"),
        ({"dph_base": float("nan")}, "dph_base: not a number"),
        ({"dph_base": -0.01}, "dph_base: out of range"),
        ({"dph_base": 1e9}, "dph_base: out of range"),
    ],
)
def test_a_machine_that_cannot_be_kept_says_why_and_nothing_else(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadMachine) as caught:
        read_machine(machine(**{"number": 5, **changes}))
    assert str(caught.value) == reason
    assert not any(secret in sample_of(machine(**{"number": 5, **changes})) for secret in SECRETS)


def test_one_odd_field_loses_no_machine() -> None:
    odd = machine(reliability2=3.0, min_bid="cheap", gpu_ram="lots", end_date=9e18, hosting_type="dc", verification=7)
    found = read_machine(odd | {"geolocation": ["DE"]})
    assert (found.reliability, found.min_bid, found.vram_gb, found.end_date) == (None, None, None, None)
    assert found.datacenter is False and found.verification == "unverified" and found.country is None


@pytest.mark.parametrize(
    ("place", "country"),
    [("Czechia, CZ", "cz"), (", US", "us"), ("Texas, Dallas, US", "us"), ("uk", "gb"), ("Nowhere, ZZ", None),
     ("Berlin", None), ("", None), (None, None), (17, None), ("Street 5, 203.0.113.9", None)],
)  # fmt: skip
def test_the_country_is_all_that_is_read_of_a_place(place: object, country: str | None) -> None:
    assert country_of(place) == country


def test_a_document_is_counted_by_country_and_by_memory() -> None:
    items = [
        machine(1, num_gpus=8, num_gpus_rented=8, dph_base=8 * 0.40),
        machine(2, num_gpus=4, num_gpus_rented=0, dph_base=4 * 0.5467),
        machine(3, gpu_ram=49140, dph_base=2 * 0.60),
        machine(4, gpu_name="A100 SXM4", gpu_ram=81920, geolocation=", US", dph_base=2 * 1.0),
        machine(5, gpu_name="A100 SXM4", gpu_ram=40960, geolocation=None, dph_base=2 * 0.7),
    ]
    parsed = parse_bytes(document(items))
    assert parsed.read == 5 and parsed.reasons == {}
    assert [row.gpu for row in parsed.machines] == [
        "rtx-4090", "rtx-4090", "rtx-4090-48gb", "a100-sxm4-80gb", "a100-sxm4-40gb"
    ]  # fmt: skip
    assert parsed.machines[1].price == 0.5467
    groups = {
        (name, vram, region): (rented, available, both) for name, vram, region, rented, available, both in parsed.groups
    }
    # As the worldwide series of the name counts them: the modded card is among them.
    assert groups["RTX 4090", None, "de"] == (
        [9, 0.4, None, None], [5, 0.54, None, None], [14, 0.4, 0.4, 0.57]
    )  # fmt: skip
    assert groups["RTX 4090", 48, "global"][2] == [2, 0.6, None, None]
    assert groups["RTX 4090", 48, "de"][2] == [2, 0.6, None, None]
    assert groups["A100 SXM4", None, "us"][2] == [2, 1.0, None, None]
    assert groups["A100 SXM4", 40, "global"][2][0] == 2
    assert ("RTX 4090", None, "global") not in groups and len(groups) == 7


def test_rejected_items_are_counted_and_sampled_without_secrets() -> None:
    bad = [machine(9, dph_base="203.0.113.42"), None, "203.0.113.42", machine(1), machine(12, num_gpus=0)] * 10
    parsed = parse_bytes(document([machine(1), *bad]))
    assert parsed.read == 51 and len(parsed.machines) == 1
    assert parsed.reasons == {
        "dph_base: not a number": 10,
        "not an object": 20,
        "the machine is listed twice": 10,
        "num_gpus: out of range": 10,
    }
    assert len(parsed.samples) == 20
    text = json.dumps([parsed.samples, parsed.machines, parsed.groups])
    assert not [secret for secret in SECRETS if secret in text]
    assert json.loads(parsed.samples[0][1])["dph_base"] == "<str>"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a JSON object"),
        (b"<html></html>", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"{}", "no list of offers"),
        (b'{"offers": {}}', "no list of offers"),
        (b'{"offers": []}', "the list of machines is empty"),
        (b'{"offers": [1, {}]}', "none of 2 machines is valid"),
        (b'{"offers": [{}', "cut short"),
        (b'{"offers": [{"a": 1} {"b": 2}]}', "not JSON"),
        (b'{"offers": [{"a": ', "not JSON"),
        (b'{"offers": [{"a": "\xff\xfe"}]}', "not UTF-8"),
        (b'{"offers": [], "offers": []}', "there twice"),
        (b'{"offers": [' + b"[" * 100_000, "nested too deeply"),
        (b'{"offers": [1]} {}', "something follows"),
        (b'{"offers": [{"a": ' + b"1" * 6000 + b"}]}", "not JSON"),
        (b'{"offers": ["' + b"a" * 1_200_000 + b'"]}', "too large"),
        (b'{"offers": [' + b"1," * MAX_MACHINES + b"1]}", "more than 50000 machines"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_an_answer_of_another_shape_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(WrongShape, match=reason):
        parse_bytes(data)


def test_the_time_is_found_before_or_behind_the_list() -> None:
    at = datetime(2026, 11, 24, tzinfo=UTC).isoformat()
    assert parse_bytes(document([machine()], at)).timestamp == at
    behind = json.dumps({"offers": [machine()], "timestamp": at}).encode()
    assert parse_bytes(behind).timestamp == at


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    items=st.lists(json_values, max_size=8),
    before=st.dictionaries(st.text(max_size=5).filter(lambda key: key != "offers"), json_values, max_size=3),
    piece=st.integers(1, 40),
    indent=st.sampled_from([None, 4]),
)
def test_the_stream_reads_what_json_reads_however_it_is_cut(
    items: list[Any], before: dict[str, Any], piece: int, indent: int | None
) -> None:
    data = json.dumps({**before, "offers": items, "after": before}, indent=indent, ensure_ascii=False).encode()
    position = 0

    def read(_size: int) -> bytes:
        nonlocal position
        part = data[position : position + piece]
        position += piece
        return part

    stream = ObjectStream(read, "offers")
    assert list(stream.items()) == items
    assert stream.members == {**before, "after": before}


@settings(max_examples=100, deadline=None)
@given(field=st.sampled_from(sorted(machine())), value=json_values)
def test_no_value_of_any_field_breaks_the_reader(field: str, value: Any) -> None:
    item = machine() | {field: value}
    try:
        found = read_machine(item)
    except BadMachine as error:
        assert ": " in str(error) and json.loads(sample_of(item))
    else:
        assert 0 <= found.num_rented <= found.num_gpus and found.price >= 0
