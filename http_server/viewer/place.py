"""Where in a document the reader stands: on a page, or in a part of a long text, and the way to the next one."""

from collections.abc import Mapping
from dataclasses import dataclass

from http_server.viewer.target import Target
from pincite.document import Page
from pincite.document_codec import StoredDocument


@dataclass(frozen=True, slots=True)
class Place:
    """A page or part by its 1-based number, with the relative links around it; `any` is the link without a number."""

    number: int
    count: int
    label: str | None
    name: str
    group: str
    previous: str | None
    next: str | None
    say_previous: str
    say_next: str
    any: str

    @property
    def digits(self) -> int:
        return len(str(self.count))


def page_place(target: Target, number: int, count: int, label: str | None, say: Mapping[str, str]) -> Place:
    """Return the place of the page `number` of `count`; a label that only repeats the number is left out."""
    return Place(
        number=number,
        count=count,
        label=label if label and label != str(number) else None,
        name=say["page_of"].format(page=number, pages=count),
        group=say["pages"],
        previous=target.query(page=number - 1) if number > 1 else None,
        next=target.query(page=number + 1) if number < count else None,
        say_previous=say["previous"],
        say_next=say["next"],
        any=target.query(page=0),
    )


def part_place(target: Target, number: int, count: int, say: Mapping[str, str]) -> Place:
    """Return the place of the part `number` of `count`."""
    return Place(
        number=number,
        count=count,
        label=None,
        name=say["part_of"].format(page=number, pages=count),
        group=say["part"],
        previous=target.query(part=number - 1) if number > 1 else None,
        next=target.query(part=number + 1) if number < count else None,
        say_previous=say["previous_part"],
        say_next=say["next_part"],
        any=target.query(part=0),
    )


def page_at(stored: StoredDocument, offset: int) -> Page:
    """Return the page whose text holds `offset`: the last one that starts at or before it, else the first."""
    low, high = 1, stored.page_count
    while low < high:
        middle = (low + high + 1) // 2
        if stored.page(middle).start <= offset:
            low = middle
        else:
            high = middle - 1
    return stored.page(low)
