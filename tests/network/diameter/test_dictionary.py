"""Our dictionary, held against that of an independent implementation and against what the loops take from it."""

import pytest
from diameter.message.avp.dictionary import AVP_DICTIONARY, AVP_VENDOR_DICTIONARY

from millicent.network.diameter.dictionary import dictionary, tables
from millicent.network.diameter.kernel.slots import SLOT_NAMES

THREE_GPP = 10415
# How each of our types is called over there; the oracle knows fewer.
KINDS = {
    "address": {"AvpAddress"}, "enumerated": {"AvpInteger32", "AvpEnumerated"}, "filter": {"AvpOctetString"},
    "float32": {"AvpFloat32"}, "float64": {"AvpFloat64"}, "grouped": {"AvpGrouped"}, "identity": {"AvpOctetString"},
    "integer32": {"AvpInteger32", "AvpEnumerated"}, "integer64": {"AvpInteger64"}, "octets": {"AvpOctetString"},
    "text": {"AvpUtf8String"}, "time": {"AvpTime"}, "unsigned32": {"AvpUnsigned32", "AvpInteger32"},
    "unsigned64": {"AvpUnsigned64"}, "uri": {"AvpUtf8String"},
}  # fmt: skip
NAMED_OTHERWISE = {"Reporting-Reason": "3GPP-Reporting-Reason"}  # TS 32.299 clause 7.2.175
# RFC 6733 clause 4.5 says MUST NOT of the first three, TS 32.299 clause 7.2 says M of the others.
M_OTHERWISE = {
    "Product-Name", "Firmware-Revision", "Error-Message", "Error-Reporting-Host",
    "Unit-Quota-Threshold", "Refund-Information", "Remaining-Balance",
}  # fmt: skip


def oracle_of(vendor: int) -> dict:
    return AVP_VENDOR_DICTIONARY[vendor] if vendor else AVP_DICTIONARY


@pytest.mark.parametrize("vendor", [0, THREE_GPP])
def test_codes_names_and_types_are_those_of_another_implementation(vendor):
    ours = {avp.code: avp for avp in dictionary().by_code.values() if avp.vendor == vendor}

    assert ours.keys() == oracle_of(vendor).keys()
    for code, theirs in oracle_of(vendor).items():
        avp = ours[code]
        assert theirs["name"] == NAMED_OTHERWISE.get(avp.name, avp.name)
        assert theirs["type"].__name__ in KINDS[avp.kind], avp


@pytest.mark.parametrize("vendor", [0, THREE_GPP])
def test_the_mandatory_bit_is_that_of_another_implementation_but_where_the_standard_says_otherwise(vendor):
    differing = {
        avp.name
        for avp in dictionary().by_code.values()
        if avp.vendor == vendor and avp.must != oracle_of(vendor)[avp.code].get("mandatory", False)
    }

    assert differing <= M_OTHERWISE


def test_every_avp_that_the_loops_touch_is_found_in_the_tables_by_its_code():
    known = tables()

    for slot, name in enumerate(SLOT_NAMES, start=1):
        avp = dictionary().named(name)
        entry = int(known.entries[known.vendors.tolist().index(avp.vendor), avp.code])
        assert (known.code[slot], known.vendor[slot]) == (avp.code, avp.vendor)
        assert (entry >> 8, entry >> 4 & 15, bool(entry & 2)) == (slot, avp.width, avp.kind == "grouped")
