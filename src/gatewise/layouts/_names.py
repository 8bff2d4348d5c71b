"""Templates of tensor names: how a layout finds its tensors in a file, and names them when it writes.

    weight_ih_l{layer}{|_reverse}        {layer}: a number; {a|b}: text that tells forward from reverse
    {forward|backward}_lstm/kernel       the two texts may be anything
    i{gate}/kernel                       {gate}: the gate's letter as this framework spells it
    kernel[_{member}][:0]                [...]: may be missing; {member}: a number that makes it another layer
    [*_cell*/]kernel                     *: any text within one part of the path
    [{fw|bw}/]<lstm_cell>/kernel         <...>: belongs to the path where it follows the path directly
    {place}/w0                           {place}: 2 x layer + direction, where a layer always has both directions
    [{block}_]l{layer}_i2h_weight        {block}: the last part of the layer's path, where no . or / ends it

A name matches a template at its end; what stands before, up to a ``.`` or ``/``, is the layer's path.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..errors import PhraseError
from ..record import lazy, record

_MARKS = ("[", "]", "<", ">", "*")
_FIELDS = ("{layer}", "{place}", "{gate}", "{member}", "{block}")

_WORDS = (
    "It may hold {layer}, {place}, {gate}, {forward|reverse}, {block}, [what may be missing], <the path's own> and *."
)


@record
class Tail:
    """What a template finds in the end of a name, whatever path stands before it."""

    layer: int
    direction: str
    gate: str | None
    member: str
    wild: tuple[str, ...]
    block: str | None  # what {block} stood for
    scope: tuple[int, int] | None  # where in the tail <...> stood

    def path(self, name: str, start: int) -> str:
        """The layer's path, where the tail starts at ``start``: what stands before it, and what of the tail belongs to
        the path: ``encoder.lstm0`` of ``encoder.lstm0_l0_i2h_weight``, wherever a block stands; a scope where it
        follows directly."""
        path = name[: max(start - 1, 0)]
        if self.block is not None:
            path = f"{path}{name[start - 1]}{self.block}" if path else self.block
        elif self.scope is not None and start + self.scope[0] == (len(path) + 1 if path else 0):
            path = name[: start + self.scope[1]]
        return path.rstrip("/")  # AlphaFold's names have two before a parameter


_PLAIN = Tail(0, "forward", None, "", (), None, None)


@record
class Found:
    """Where a tensor belongs: the layer's path, and the coordinates that its name fixes."""

    path: str
    layer: int = 0
    direction: str = "forward"
    gate: str | None = None
    member: str = ""  # tells apart layers that share a path
    wild: tuple[str, ...] = ()  # what the template's * stood for


def _tokens(text: str) -> list[str]:
    """Marks, what stands in braces, and the texts between.  Without a regular expression, whose compiling would cost more
    than taking the templates of a file's tables apart does."""
    for mark in _MARKS:
        text = text.replace(mark, f"\0{mark}\0")
    return [token for token in text.replace("{", "\0{").replace("}", "}\0").split("\0") if token]


def _sayable(token: str) -> bool:
    if not ("{" in token or "}" in token):
        return True
    inner = token[1:-1]
    braced = token[0] == "{" and token[-1] == "}" and not ("{" in inner or "}" in inner)
    return token in _FIELDS or (braced and inner.count("|") == 1)


class Template:
    """A compiled template.  ``gates`` maps a canonical gate letter to its spelling in names; ``loose`` takes capitals
    for small letters."""

    def __init__(self, text: str, gates: Mapping[str, str], loose: bool = False):
        self.text = text
        self.loose = loose
        self._tokens = _tokens(text)
        brackets = [token for token in self._tokens if token in "[]"]
        if not all(map(_sayable, self._tokens)) or brackets != ["[", "]"] * text.count("[") or not _one_scope(text):
            raise PhraseError(f"name template {text!r} cannot be read.", next=_WORDS)
        if all(token in _MARKS for token in self._tokens):
            raise PhraseError(f"name template {text!r} fits every name.")
        repeated = [token for token in self._tokens if token.startswith("{") and self._tokens.count(token) > 1]
        if repeated or sum("|" in token for token in self._tokens if token.startswith("{")) > 1:
            raise PhraseError(f"name template {text!r} says the same thing twice.")
        if self.has_place and ("{layer}" in self._tokens or any("|" in token for token in self._tokens)):
            raise PhraseError(f"name template {text!r} says layer or direction twice: {{place}} is both.")
        self._spelled = dict(gates)
        self._canonical = {spelled: gate for gate, spelled in gates.items()}
        certain = self._certain_text()
        self.needle = max(certain, key=len, default="")  # cheap to look for, before the regex
        # As one text holds all names, a line each: what stands at a name's end stands before the line's.
        ends = self._tokens[-1] in certain and self._tokens[-1] not in _MARKS
        self.clues = (*certain[:-1], f"{certain[-1]}\n") if ends else tuple(certain)
        self.small_clues = tuple(map(str.lower, self.clues))

    @lazy
    def _regex(self) -> re.Pattern[str]:  # compiled when a name has the needle, which is seldom
        return re.compile(self._pattern(), re.DOTALL | (re.IGNORECASE if self.loose else 0))

    @lazy
    def _plain(self) -> bool:
        """Is it a name, as most are, which needs no regular expression?"""
        return len(self._tokens) == 1 and self._tokens[0] == self.text and "{" not in self.text and not self.loose

    @lazy
    def separators(self) -> range:
        """How many ``.`` and ``/`` a name can have in what the template says: those of text in brackets may be missing."""
        least = most = depth = 0
        for token in self._tokens:
            depth += (token == "[") - (token == "]")
            counts = [text.count(".") + text.count("/") for text in self._texts(token)]
            least, most = least + (0 if depth else min(counts)), most + max(counts)
        return range(least, most + 1)

    def _texts(self, token: str) -> list[str]:
        """The texts that a token may stand for, as far as it says any."""
        if token == "{gate}":
            return list(self._spelled.values()) or [""]
        return token[1:-1].split("|") if token.startswith("{") else [token]

    @property
    def has_place(self) -> bool:
        return "{place}" in self._tokens

    @property
    def has_layer(self) -> bool:
        return self.has_place or "{layer}" in self._tokens

    @property
    def has_direction(self) -> bool:
        return self.has_place or any("|" in token for token in self._tokens if token.startswith("{"))

    @property
    def has_gate(self) -> bool:
        return "{gate}" in self._tokens

    def _certain_text(self) -> list[str]:
        """The literal texts that every matching name holds: those outside brackets."""
        texts, depth = [], 0
        for token in self._tokens:
            depth += (token == "[") - (token == "]")
            if depth == 0 and token not in _MARKS and not token.startswith("{"):
                texts.append(token)
        return texts

    def _pattern(self) -> str:
        return "".join(self._piece(index, token) for index, token in enumerate(self._tokens))

    def _piece(self, index: int, token: str) -> str:
        if token in ("{layer}", "{place}"):
            return rf"(?P<{token[1:-1]}>\d{{1,6}})"
        if token == "{block}":
            return r"(?P<block>[^/.]+?)"
        if token == "{member}":
            return r"(?P<member>\d{1,6})"
        if token == "{gate}":
            return rf"(?P<gate>{'|'.join(map(re.escape, self._spelled.values()))})"
        if token.startswith("{"):
            forward, reverse = token[1:-1].split("|")
            return rf"(?:(?P<reverse>{re.escape(reverse)})|{re.escape(forward)})"
        if token == "*":
            return rf"(?P<wild{index}>[^/.]*?)"
        return {"[": "(?:", "]": ")?", "<": "(?P<scope>", ">": ")"}.get(token) or re.escape(token)

    def match(self, name: str) -> Found | None:
        """Where ``name`` belongs, or None.  Of several paths that fit, the shortest: text in brackets is the name's."""
        for count in reversed(self.separators):
            start = _start(name, count)
            tail = None if start is None else self.tail(name[start:])
            if start is not None and tail is not None:
                return Found(tail.path(name, start), tail.layer, tail.direction, tail.gate, tail.member, tail.wild)
        return None

    def tail(self, text: str) -> Tail | None:
        """What the template finds in the end of a name, if that is what it says."""
        return next((tail for _, tail in self.tails([text])), None)

    def tails(self, texts: Iterable[str]) -> Iterator[tuple[str, Tail]]:
        """The ends of names that the template fits, with what it finds in each."""
        if self._plain:
            yield from ((text, _PLAIN) for text in texts if text == self.text)
            return
        fullmatch = self._regex.fullmatch
        yield from ((text, self._tail(found)) for text in texts if (found := fullmatch(text)))

    def _tail(self, found: re.Match[str]) -> Tail:
        groups = found.groupdict()
        layer, second = divmod(int(groups["place"]), 2) if self.has_place else (int(groups.get("layer") or 0), 0)
        return Tail(
            layer,
            "reverse" if second or groups.get("reverse") is not None else "forward",
            self._canonical[groups["gate"]] if groups.get("gate") else None,
            groups.get("member") or "",
            tuple([groups[key] or "" for key in groups if key.startswith("wild")]),
            groups.get("block"),
            found.span("scope") if "scope" in groups else None,
        )

    def fill(self, layer: int, direction: str, gate: str | None, directions: int) -> str:
        """The name to write.  Optional text is left out unless it tells the direction and there are two."""
        name, depth, keep = "", 0, True
        for index, token in enumerate(self._tokens):
            if token == "[":
                depth, keep = depth + 1, directions == 2 and self._tells_direction(index)
            elif token == "]":
                depth, keep = depth - 1, True
            elif keep:
                name += self._text(token, layer, direction, gate)
        return name

    def _tells_direction(self, opening: int) -> bool:
        inner = self._tokens[opening + 1 : self._tokens.index("]", opening)]
        return any(token.startswith("{") and "|" in token for token in inner)

    def _text(self, token: str, layer: int, direction: str, gate: str | None) -> str:
        if token == "{layer}":
            return str(layer)
        if token == "{place}":
            return str(2 * layer + (direction == "reverse"))
        if token == "{gate}":
            return self._spelled[gate or ""]
        if token.startswith("{") and "|" in token:
            return token[1:-1].split("|")[direction == "reverse"]
        if token in "<>":
            return ""
        if token in ("*", "{member}", "{block}"):
            raise PhraseError(f"name template {self.text!r} is for reading only: it does not say what to write.")
        return token


def _start(name: str, count: int) -> int | None:
    """Where the last ``count`` + 1 pieces of a name begin; None where it has fewer."""
    start = len(name) + 1
    for _ in range(count + 1):
        if start == 0:
            return None
        start = 1 + max(name.rfind(".", 0, start - 1), name.rfind("/", 0, start - 1))
    return start


def _one_scope(text: str) -> bool:
    """No ``<...>``, or one that is whole and not cut by a bracket."""
    if "<" not in text and ">" not in text:
        return True
    inner = re.findall(r"<([^<>]*)>", text)
    return text.count("<") == text.count(">") == len(inner) <= 1 and all(t.count("[") == t.count("]") for t in inner)


@functools.cache
def template(text: str, gates: tuple[tuple[str, str], ...], loose: bool = False) -> Template:
    return Template(text, dict(gates), loose)


class NamesOfFile:
    """A file's names, matched once with each template.

    Files have thousands of names with few ends (``weight``, ``bias``), and most templates fit none of them: a template is
    tried once on each different end that holds a text which it needs, whatever the paths before it.
    ``skip``: paths of which no layer is."""

    def __init__(self, names: Iterable[str], skip: Callable[[str], bool]):
        self._skip = functools.cache(skip)  # the tensors of a layer share a path
        self._names = list(names)
        self._dotted = [name.replace("/", ".") for name in self._names]
        self._all = "\n".join((*self._names, "")).lower()
        self._starts: list[list[int]] = []  # for each number of separators: where each name's end with so many starts
        self._ends: list[dict[str, list[int]]] = []  # the same: each end, and the names that have it
        self._small: list[str] = []  # the same: all ends as one text, in small letters
        self._held: dict[tuple[int, str, bool], list[str]] = {}  # the ends that hold a text
        self._matched: dict[Template, list[tuple[str, str, Tail]]] = {}

    def matching(self, template: Template) -> list[tuple[str, str, Tail]]:
        """The names that fit a template, each with its layer's path and with what the template finds in it."""
        if template not in self._matched:
            self._matched[template] = self._match(template)
        return self._matched[template]

    def _match(self, template: Template) -> list[tuple[str, str, Tail]]:
        for text in template.small_clues:
            if text not in self._all:  # as most are in none
                return []
        places: dict[int, tuple[str, str, Tail]] = {}
        for count in reversed(template.separators):  # the longest end first, as Template.match
            for end, tail in template.tails(self._holding(count, template)):
                for place in self._ends[count][end]:
                    if place not in places:
                        name = self._names[place]
                        places[place] = name, tail.path(name, self._starts[count][place]), tail
        return [places[place] for place in sorted(places) if not self._skip(places[place][1])]

    def _holding(self, count: int, template: Template) -> list[str]:
        """The ends with so many separators that hold the template's needle, in small letters where it is loose."""
        while len(self._ends) <= count:
            self._cut()
        needle, loose = template.needle, template.loose
        key = (count, needle, loose)
        if key not in self._held:
            ends = self._ends[count] if needle.lower() in self._small[count] else ()
            self._held[key] = [end for end in ends if needle in (end.lower() if loose else end)]
        return self._held[key]

    def _cut(self) -> None:
        """Ends with one more separator."""
        before = self._starts[-1] if self._starts else [len(name) + 1 for name in self._names]
        starts = [
            1 + name.rfind(".", 0, start - 1) if start > 0 else -1
            for name, start in zip(self._dotted, before, strict=True)
        ]
        ends: dict[str, list[int]] = {}
        for place, start in enumerate(starts):
            if start >= 0:
                ends.setdefault(self._names[place][start:], []).append(place)
        self._starts.append(starts)
        self._ends.append(ends)
        self._small.append("\n".join(ends).lower())
