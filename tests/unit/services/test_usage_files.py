"""Files of usage, as spreadsheets read them."""

import datetime as dt

import pytest

from services.console.usage_files import CSVFile

AT = dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def line(*values: object) -> str:
    """Return the line of a CSV file for a row, without its moment."""
    file = CSVFile({"at": "timestamp", **{f"column{number}": "text" for number in range(len(values))}})
    _, second, _ = (file.add([(AT, *values)]) + file.finish()).decode().split("\r\n")
    at, _, rest = second.partition(",")
    assert at == "2030-01-02T03:04:05+00:00"
    return rest


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1+2", "@SUM(1)"])
def test_no_name_is_a_formula(name: str) -> None:
    assert line(name) == f"'{name}"


def test_numbers_are_numbers_and_other_names_stay() -> None:
    assert line(-5, True, None, "a=b", "") == "-5,true,,a=b,"
