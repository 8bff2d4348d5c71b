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
from collections.abc import Callable, Iterable, Mapping

from ..errors import PhraseError
from ..record import record

_TOKENS = re.compile(
    r"\{layer\}|\{place\}|\{gate\}|\{member\}|\{block\}|\{[^{}|]*\|[^{}|]*\}|\[|\]|<|>|\*|[^\[\]{}*<>]+"
)
_MARKS = ("[", "]", "<", ">", "*")

_WORDS = (
    "It may hold {layer}, {place}, {gate}, {forward|reverse}, {block}, [what may be missing], <the path's own> and *."
)


@record
class Found:
    """Where a tensor belongs: the layer's path, and the coordinates that its name fixes."""

    path: str
    layer: int = 0
    direction: str = "forward"
    gate: str | None = None
    member: str = ""  # tells apart layers that share a path
    wild: tuple[str, ...] = ()  # what the template's * stood for


class Template:
    """A compiled template.  ``gates`` maps a canonical gate letter to its spelling in names; ``loose`` takes capitals
    for small letters."""

    def __init__(self, text: str, gates: Mapping[str, str], loose: bool = False):
        self.text = text
        self._loose = loose
        self._tokens = _TOKENS.findall(text)
        brackets = "".join(re.findall(r"[\[\]]", text))
        if "".join(self._tokens) != text or brackets != "[]" * text.count("[") or not _one_scope(text):
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
        self.needle = max(self._certain_text(), key=len, default="")  # cheap to look for, before the regex

    @functools.cached_property
    def _regex(self) -> re.Pattern[str]:  # compiled when a name has the needle, which is seldom
        flags = re.DOTALL | (re.IGNORECASE if self._loose else 0)
        # The shortest path that fits, so that optional text before the name is found at the top level too.
        return re.compile(rf"(?:(?P<path>.*?)[./])??{self._pattern()}", flags)

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
        """Where ``name`` belongs, or None."""
        if self.needle not in (name.lower() if self._loose else name):
            return None
        found = self._regex.fullmatch(name)
        if not found:
            return None
        groups = found.groupdict()
        layer, second = divmod(int(groups["place"]), 2) if self.has_place else (int(groups.get("layer") or 0), 0)
        return Found(
            self._path(found).rstrip("/"),  # AlphaFold's names have two before a parameter
            layer,
            "reverse" if second or groups.get("reverse") is not None else "forward",
            self._canonical[groups["gate"]] if groups.get("gate") else None,
            groups.get("member") or "",
            tuple([groups[key] or "" for key in groups if key.startswith("wild")]),
        )

    @staticmethod
    def _path(found: re.Match[str]) -> str:
        """What stands before the name, and what of the name belongs to it: ``encoder.lstm0`` of
        ``encoder.lstm0_l0_i2h_weight``, wherever a block stands; a scope where it follows directly."""
        path, groups = found["path"] or "", found.groupdict()
        if groups.get("block") is not None:
            return f"{path}{found.string[found.end('path')]}{groups['block']}" if path else str(groups["block"])
        if "scope" in groups and found.start("scope") == (len(path) + 1 if path else 0):
            return found.string[: found.end("scope")]
        return path

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


def _one_scope(text: str) -> bool:
    """No ``<...>``, or one that is whole and not cut by a bracket."""
    inner = re.findall(r"<([^<>]*)>", text)
    return text.count("<") == text.count(">") == len(inner) <= 1 and all(t.count("[") == t.count("]") for t in inner)


@functools.cache
def template(text: str, gates: tuple[tuple[str, str], ...], loose: bool = False) -> Template:
    return Template(text, dict(gates), loose)


class NamesOfFile:
    """A file's names, matched once with each template.  Files have thousands, and most templates fit none of them, so a
    template is only tried on names that hold a text which it needs.  ``loose``: capitals are as good as small letters; ``skip``: paths of which no layer is."""

    def __init__(self, names: Iterable[str], loose: bool, skip: Callable[[str], bool]):
        self._skip = functools.cache(skip)  # the tensors of a layer share a path
        self._spelled = {name: name.lower() for name in names} if loose else {name: name for name in names}
        self._all = "\n".join(self._spelled.values())
        self._held: dict[str, list[str]] = {}  # a text → the names that hold it
        self._matched: dict[Template, list[tuple[str, Found]]] = {}

    def matching(self, template: Template) -> list[tuple[str, Found]]:
        """The names that fit a template, with what it finds in them."""
        if template not in self._matched:
            pairs = ((name, template.match(name)) for name in self._holding(template.needle))
            self._matched[template] = [(n, found) for n, found in pairs if found and not self._skip(found.path)]
        return self._matched[template]

    def _holding(self, needle: str) -> list[str]:
        if needle not in self._held:
            spelled = self._spelled.items() if needle in self._all else ()
            self._held[needle] = [name for name, text in spelled if needle in text]
        return self._held[needle]
