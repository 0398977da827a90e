"""Every kind of fault is found, at its line, with a cure."""

import pytest
from tests.catalog.builders import (
    CALENDAR,
    DECK,
    OFFERING,
    OPERATOR,
    SOUND,
    TARIFF,
    a_catalogue,
    examined,
    faults_of,
    some_files,
)

from millicent.catalog.errors import CatalogueFaults, Severity
from millicent.catalog.loading import examine_files, load_catalogue, usable

TARIFF_FILE = "tariffs/basic.yaml"
HERE = "¦"  # stands before the place that the fault must point to


def changed(file, old, new):
    """A file of the sound catalogue with one thing in it replaced."""
    assert old in SOUND[file]
    return file, SOUND[file].replace(old, new)


# what is wrong -> (file and text, code, words of the message, words of the cure)
CASES = {
    "not yaml": ((TARIFF_FILE, "code: [basic\ncalendar¦: week\n"), "syntax", "not YAML", "Check indentation"),
    "not text": (("ledger.yaml", "¦usage: \udcff"), "syntax", "not UTF-8", "UTF-8"),
    "a key twice": (("ledger.yaml", "usage: revenue:a\n¦usage: revenue:b\n"), "syntax", "twice", "Keep one"),
    "an alias": (("ledger.yaml", "usage: ¦&a revenue:a\nrecurring: *a\n"), "syntax", "aliases", "Write the value"),
    "no place for the file": (("prices.yaml", "¦code: x\n"), "schema", "no place", "tariffs/"),
    "an unknown key": (("operator.yaml", OPERATOR + "¦currencies: EUR\n"), "schema", "'currencies'", "'currency'"),
    "a missing key": (changed("operator.yaml", "country: ES\n", ""), "schema", "'country' is missing", "ISO 3166"),
    "a wrong choice": ((TARIFF_FILE, TARIFF + "rounding: ¦half_upp\n"), "schema", "'half_upp'", "'half_up'"),
    "a wrong type": ((TARIFF_FILE, TARIFF + "decimals: ¦[4]\n"), "schema", "a list", "Digits after"),
    "a wrong form": (("operator.yaml", OPERATOR + 'brand_color: ¦"blue"\n'), "schema", "'blue'", "#0b5cad"),
    "not a price": (changed(TARIFF_FILE, "0.10/min", "¦cheap"), "value", "'cheap'", "0.15"),
    "a unit of another kind": (changed(TARIFF_FILE, "0.10/min", "¦0.10/GB"), "value", "volume", "unit"),
    "a price for no quantity": (changed(TARIFF_FILE, "0.10/min", "¦0.10"), "value", "for how much", "/min"),
    "too many decimals": (changed(TARIFF_FILE, "0.10/min", "¦0.0000000001/min"), "value", "9 digits", "1000 units"),
    "another currency": (changed("offerings/plan.yaml", "10.00", "¦10.00 USD"), "value", "not in EUR", "EUR"),
    "an unknown time zone": (
        ("calendars/week.yaml", "¦code: week\nzone: Madrid\nbands: []\n"),
        "value",
        "time zone",
        "IANA",
    ),
    "an unknown tariff": (changed("offerings/plan.yaml", "basic", "¦basik"), "unknown_code", "'basik'", "'basic'"),
    "an unknown zone": (
        changed(TARIFF_FILE, "world/home", "¦world/hom"),
        "unknown_code",
        "'world/hom'",
        "'world/home'",
    ),
    "an unknown band": (
        changed(TARIFF_FILE, "zone: world/home", "zone: world/home, band: ¦dy"),
        "unknown_code",
        "'dy'",
        "'day'",
    ),
    "an unknown attribute": (
        changed(TARIFF_FILE, "zone: world/home", "zone: world/home, attributes: {vip: ¦1}"),
        "unknown_code",
        "'vip'",
        "specifications.yaml",
    ),
    "an unknown attribute value": (
        changed(TARIFF_FILE, "zone: world/home", "zone: world/home, attributes: {friend: ¦no}"),
        "meaning",
        "'no'",
        "yes",
    ),
    "no price at all": ((TARIFF_FILE, TARIFF + "  - ¦{code: free}\n"), "meaning", "no price", "price:"),
    "two prices": (
        changed(TARIFF_FILE, "price: 0.05}", "price: 0.05, percentage: ¦5%}"),
        "meaning",
        "both price and percentage",
        "Keep one",
    ),
    "a rule code twice": (changed(TARIFF_FILE, "code: away", "code: ¦home"), "meaning", "two rules", "another code"),
    "a tariff code twice": (
        ("tariffs/more.yaml", TARIFF.replace("code: basic", "code: ¦basic")),
        "twice",
        "already declared at tariffs/basic.yaml:1:7",
        "another code",
    ),
    "a band without length": (
        changed("calendars/week.yaml", "from: 08:00, until: 20:00", "from: 20:00, until: ¦20:00"),
        "meaning",
        "no length",
        "24:00",
    ),
    "slots out of order": (
        changed(TARIFF_FILE, "price: 0.10/min", "slots: [{from: ¦60, price: 1/min}]"),
        "meaning",
        "begin at 0",
        "in order",
    ),
    "ladder floors not rising": (
        changed(
            TARIFF_FILE,
            "price: 0.05",
            "ladder: {model: volume, counter: c, steps: [{above: 0, price: 1}, {above: ¦0, price: 2}]}",
        ),
        "meaning",
        "rise",
        "in order",
    ),
    "a maximum below the minimum": (
        changed(TARIFF_FILE, "0.05}", "0.05, minimum_charge: 2, maximum_charge: ¦1}"),
        "meaning",
        "below the minimum",
        "Mend",
    ),
    "no deck file": (("decks/deck.yaml", DECK.replace("deck.csv", "¦deck.csv")), "meaning", "decks/deck.csv", "beside"),
    "a time that does not exist": (
        changed(TARIFF_FILE, "price: 0.05", "price: 0.05, valid: {from: ¦2026-03-29 02:30}"),
        "value",
        "daylight saving skips it",
        "03:30",
    ),
    "an unknown holiday country": (
        ("calendars/week.yaml", CALENDAR + "holidays: {country: ¦XX}\n"),
        "value",
        "no holidays are known",
        "add:",
    ),
    "a prefix in two zones": (
        changed("zones/world.yaml", '"+33"', '¦"+34"'),
        "meaning",
        "stands in zone 'home' too",
        "one zone",
    ),
    "not a prefix": (changed("zones/world.yaml", '"+33"', '¦"0033"'), "meaning", "not a prefix", "short:112"),
    "a country that does not tell mobile from fixed": (
        changed("zones/world.yaml", 'away, prefixes: ["+33", "+351"]', "away, countries: ¦US, number_types: mobile"),
        "value",
        "do not tell mobile from fixed",
        "both types",
    ),
    "a tax with neither rate nor amount": (
        ("taxes.yaml", "vat: ¦{jurisdiction: ES, categories: standard}\n"),
        "meaning",
        "a rate or a fixed amount",
        "one of",
    ),
    "an expectation of nothing": (
        ("expectations/e.yaml", "- ¦{expect: x, tariff: basic, at: 2026-01-01, service: sms, usage: 1}\n"),
        "meaning",
        "expects nothing",
        "costs:",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_named_with_its_file_line_and_cure(case):
    (file, marked), code, message, cure = CASES[case]
    before = marked.partition(HERE)[0] if HERE in marked else ""
    place = (before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    content = marked.replace(HERE, "").encode("utf-8", "surrogateescape")

    examination = examine_files(some_files() | {file: content})

    found = [fault for fault in examination.faults if (fault.file, fault.code) == (file, code)]
    assert [(fault.line, fault.column) for fault in found][:1] == [place], examination.faults
    assert message in found[0].message
    assert cure in found[0].cure
    assert examination.catalogue is None


def test_a_sound_catalogue_has_nothing_to_say():
    assert examined().faults == ()
    assert a_catalogue().tariffs["basic"].rules[0].card.slots[0].per_units == 60


def test_one_pass_finds_every_fault_of_every_file():
    faults = faults_of(
        {
            "tariffs/basic.yaml": TARIFF.replace("0.10/min", "cheap").replace("0.30/min", "dear"),
            "offerings/plan.yaml": OFFERING.replace("basic", "basik"),
        }
    )

    assert [(fault.file, fault.line) for fault in faults] == [
        ("offerings/plan.yaml", 3),
        ("tariffs/basic.yaml", 4),
        ("tariffs/basic.yaml", 5),
    ]


def test_a_reference_to_a_faulty_thing_is_no_second_fault():
    faults = faults_of({"tariffs/basic.yaml": TARIFF + "colour: red\n"})

    assert [fault.code for fault in faults] == ["schema"]


def test_a_faulty_catalogue_cannot_be_used_and_says_all_that_is_wrong():
    examination = examined({"operator.yaml": OPERATOR + "extra: 1\nmore: 2\n"})

    with pytest.raises(CatalogueFaults) as refusal:
        usable(examination)

    assert [(fault.line, fault.severity) for fault in refusal.value.faults] == [
        (6, Severity.FAULT),
        (7, Severity.FAULT),
    ]
    assert "operator.yaml:6:1" in str(refusal.value)


def test_a_folder_without_an_operator_says_which_file_is_missing(tmp_path):
    (tmp_path / "taxes.yaml").write_text("vat: {jurisdiction: ES, categories: standard, rate: 21%}\n")

    with pytest.raises(CatalogueFaults) as refusal:
        load_catalogue(tmp_path)

    assert [fault.file for fault in refusal.value.faults] == ["operator.yaml", "specifications.yaml"]


def test_a_file_linked_from_outside_the_folder_is_not_read(tmp_path):
    outside = tmp_path / "outside.yaml"
    outside.write_text("usage: revenue:usage\n")
    folder = tmp_path / "catalogue"
    for path, text in SOUND.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "ledger.yaml").unlink()
    (folder / "ledger.yaml").symlink_to(outside)

    with pytest.raises(CatalogueFaults) as refusal:
        load_catalogue(folder)

    assert {fault.code for fault in refusal.value.faults} == {"unknown_ledger_code"}


def test_norway_is_a_country_and_a_time_is_no_number():
    catalogue = a_catalogue(
        {"zones/world.yaml": "code: world\nzones:\n  - {code: home, countries: NO}\n  - {code: away, prefixes: 33}\n"}
    )

    assert catalogue.zone_maps["world"].zones[0].prefixes == ("47",)
    assert catalogue.zone_maps["world"].zones[1].prefixes == ("33",)
    assert catalogue.calendars["week"].bands[0].start_second == 8 * 3600


def test_a_band_over_midnight_is_two_parts_of_the_same_days():
    rest = [band for band in a_catalogue().calendars["week"].bands if band.code == "rest"]

    assert [(band.start_second, band.end_second) for band in rest] == [(0, 28_800), (72_000, 86_400)]
    assert rest[0].days == rest[1].days
