"""Facts that stand in no contract, to be hidden in one: the sentence, the question, and the words of the answer."""

NEEDLES = (
    ("The lighthouse keeper at Varrick Point feeds the goats at 05:40.", "When are the goats fed?", "05:40"),
    (
        "Visitors to the greenhouse wear orange rubber boots.",
        "What do visitors to the greenhouse wear?",
        "rubber boots",
    ),
    ("The choir rehearses in hall 14B every Tuesday.", "In which hall does the choir rehearse?", "14B"),
    ("The museum's oldest clock was built in 1643.", "When was the museum's oldest clock built?", "1643"),
    (
        "The bakery uses 37 kilograms of rye flour a day.",
        "How much rye flour does the bakery use a day?",
        "37 kilograms",
    ),
    ("The ferry to Holm island departs from pier 9.", "From which pier does the ferry to Holm depart?", "pier 9"),
    ("The library's parrot is called Montgomery.", "What is the name of the library's parrot?", "Montgomery"),
    ("The swimming pool is heated to 28.5 degrees.", "How warm is the swimming pool heated?", "28.5 degrees"),
    ("Apprentice beekeepers check the hives on Saturdays.", "On which day are the hives checked?", "Saturdays"),
    ("The bell tower has 312 steps.", "How many steps does the bell tower have?", "312"),
    ("The chess club awards a silver rook to its champion.", "What does the chess champion receive?", "silver rook"),
    ("The observatory's telescope was donated by Ilse Brandt.", "Who donated the telescope?", "Ilse Brandt"),
    ("The tram depot's cafeteria is painted turquoise.", "What colour is the tram depot's cafeteria?", "turquoise"),
    ("The school garden grows 19 kinds of pumpkins.", "How many kinds of pumpkins grow in the school garden?", "19"),
    ("Astronauts train in the cave below Mount Ferro.", "Where do astronauts train?", "Mount Ferro"),
    ("The violin workshop varnishes instruments with amber.", "With what are the violins varnished?", "amber"),
    ("The marathon passes the old windmill at kilometre 23.", "At which kilometre is the windmill passed?", "23"),
    ("The theatre lowers its curtain at half past ten.", "When does the theatre lower its curtain?", "half past ten"),
    ("The reindeer census counted 4,871 animals.", "How many animals did the reindeer census count?", "4,871"),
    ("The weather station on Cape Lund sends data by satellite.", "How does Cape Lund send data?", "satellite"),
)


def hide(text: str, rotation: int) -> tuple[str, list[tuple[float, str, str]]]:
    """Return the text with every needle in it as a paragraph, and for each its depth in [0, 1], question and answer.

    Depths are even; `rotation` says which needle stands at which.
    """
    paragraphs = text.split("\n")
    count = len(NEEDLES)
    hidden = []
    parts: list[str] = []
    done = 0
    for place in range(count):
        depth = (place + 0.5) / count
        until = round(depth * len(paragraphs))
        sentence, question, answer = NEEDLES[(place + rotation) % count]
        parts += [*paragraphs[done:until], "", sentence, ""]
        hidden.append((depth, question, answer))
        done = until
    return "\n".join([*parts, *paragraphs[done:]]), hidden
