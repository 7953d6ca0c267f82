"""What is wrong with settings, in one sentence."""

from collections.abc import Iterable

from pydantic import ValidationError


def sentence(error: ValidationError, *, prefix: str = "", known: Iterable[str] = ()) -> str:
    """Say every problem in one line; the values themselves stay out, one may be a secret."""
    problems = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name = (
            prefix + str(problem["loc"][0]).upper() if prefix and problem["loc"] else ".".join(map(str, problem["loc"]))
        )
        if problem["type"] == "extra_forbidden":
            problems.append(f"{name} is not a setting; there are {', '.join(known)}")
            continue
        message = problem["msg"].removeprefix("Value error, ").removesuffix(".")
        problems.append(f"{name}: {message[0].lower() + message[1:]}" if name else message)
    return "; ".join(problems) + "."
