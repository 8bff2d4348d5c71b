"""``gatewise verify``: do two files, or a file and a recorded run, compute the same function?"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import UsageError
from ._command import DIFFERS, DONE, Answer, Command
from ._parse import add_dialect, add_file, add_verify, dialect

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Arguments, Namespace
    from ._screen import Screen


def add_arguments(parser: Arguments) -> None:
    add_file(parser, "a", "a checkpoint")
    add_file(parser, "b", "another one, to compare with", nargs="?")
    parser.add_argument(
        "--recorded", metavar="IO.npz", help="a run to compare with: x, y and optional h0, c0, h_n, c_n"
    )
    parser.add_argument("--time-major", action="store_true", help="the recorded x and y are [time, batch, feature]")
    parser.add_argument("--layer", metavar="NAME", help="the recurrent layer to compare, where there are several")
    parser.add_argument(
        "--tolerance", type=float, default=1e-6, metavar="X", help="the largest difference allowed (1e-06)"
    )
    add_verify(parser)
    add_dialect(parser)


def run(arguments: Namespace) -> Answer:
    from ..checkpoint import verify

    if (arguments.b is None) == (arguments.recorded is None):
        raise UsageError(
            "wants one thing to compare with.",
            where="verify",
            next="Name a second file, or a run with --recorded IO.npz.",
        )
    proof = verify(
        arguments.a,
        arguments.b,
        recorded=arguments.recorded,
        layer=arguments.layer,
        tolerance=arguments.tolerance,
        time_major=arguments.time_major,
        verify=arguments.verify,
        **dialect(arguments),
    )
    told = dict(proof.as_dict())
    document: dict[str, Any] = told if "proof" in told else {"proof": told, "changes": [], "layers": [], "outputs": []}

    def show(screen: Screen) -> Iterator[str]:
        from ._proof import change_lines, proof_line

        yield from change_lines(screen, document.get("changes", ()))
        yield from proof_line(screen, document["proof"], "same", "different", "in one convention")

    return Answer(document, show, DONE if proof.same else DIFFERS)


COMMAND = Command(
    name="verify",
    help="the same function? two files, or one and a recorded run",
    example="gatewise verify model.pt model.keras",
    add_arguments=add_arguments,
    run=run,
)
