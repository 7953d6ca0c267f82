"""Where in the outline a place of the text stands."""

from pincite.document import Section
from pincite.sections import main_section, section_path

OUTLINE = (Section(10, 1, "4 Payment"), Section(30, 2, "4.2 Late\npayment"), Section(70, 1, "5 Term"))


def test_the_path_names_the_sections_around_a_place_from_the_outside_in() -> None:
    assert section_path(OUTLINE, 35) == "4 Payment › 4.2 Late payment"
    assert section_path(OUTLINE, 10) == "4 Payment"
    assert section_path(OUTLINE, 99) == "5 Term"


def test_before_the_first_heading_there_is_no_section() -> None:
    assert section_path(OUTLINE, 9) == ""


def test_the_main_section_of_a_range_is_where_most_of_it_stands() -> None:
    assert main_section(OUTLINE, 25, 70) == 30
    assert main_section(OUTLINE, 5, 28) == 10
    assert main_section(OUTLINE, 12, 32) == 12
    assert main_section((), 5, 8) == 5
