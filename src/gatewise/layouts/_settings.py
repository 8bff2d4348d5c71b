"""What a framework lets a layer choose, and how it says it: settings, sizes, and what changed with a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import LayoutError
from ..record import record, replace

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..weights import Dialect
    from ._layout import Layout


@record
class Since:
    """A value that changed with a version of the framework: ``then`` from ``version`` on, ``before`` until then.

    tf.keras counted its versions apart from Keras's until both reached 2.4, with ``-tf`` behind them: ``tf`` is the
    version where *it* changed, if that is another one.
    """

    version: tuple[int, ...]
    then: Any
    before: Any
    tf: tuple[int, ...] | None = None

    def at(self, version: str | None) -> Any:
        """The value in ``version`` ("2.2.4-tf"); today's where the version is not known."""
        numbers = version_numbers(version)
        changed = self.tf if self.tf and (version or "").endswith("-tf") else self.version
        return self.before if numbers and numbers < changed else self.then


def version_numbers(version: str | None) -> tuple[int, ...]:
    """``2.2.4-tf`` → (2, 2, 4); () where there is none."""
    numbers = []
    for piece in (version or "").split("-")[0].split("+")[0].split("."):
        if not piece.isdigit():
            break
        numbers.append(int(piece))
    return tuple(numbers)


@record(eq=False)
class Setting:
    """One choice that a framework lets a layer make, and what it means.

    ``field`` of :class:`Dialect`; ``names`` as the framework spells it (the first is written); ``values`` from the
    framework's to ours, each perhaps a :class:`Since`; ``default`` (ours) where a file is silent, and ``because``;
    ``role`` without which a layer has no such choice.
    """

    field: str
    names: tuple[str, ...]
    values: Mapping[Any, Any]
    default: Any = None
    because: str = ""
    free: bool = False  # any value may be said, beside those in ``values``
    # Versions that do not tell the default, since releases with different ones wrote them; None where none is told.
    untold: tuple[str | None, ...] = ()
    role: str = ""

    def meaning(self, value: Any, version: str | None) -> Any:
        """Ours for the framework's; a value that the table does not know is kept as its own text."""
        if isinstance(value, Mapping):  # Keras 3 writes a function as {"class_name": "function", "config": name}
            value = value.get("config", value.get("class_name"))
        known = (
            self.values.get(value, value) if isinstance(value, (str, int, float, bool)) or value is None else str(value)
        )
        return known.at(version) if isinstance(known, Since) else known

    def spelled(self, meaning: Any) -> Any:
        """The framework's today for ours; raises LookupError where it cannot say that."""
        for value, known in self.values.items():
            if (known.at(None) if isinstance(known, Since) else known) == meaning:
                return value
        if self.free:
            return meaning
        raise LookupError(meaning)

    def sayable(self) -> Sequence[Any]:
        said = [known.at(None) if isinstance(known, Since) else known for known in self.values.values()]
        default = self.default.at(None) if isinstance(self.default, Since) else self.default
        return Anything([default, *said]) if self.free else said


class Anything(list["Any"]):
    """Values of which every one can be said; the first is the usual one."""

    def __contains__(self, _value: object) -> bool:
        return True


@record
class Fact:
    """A size that a file may declare beside the tensors that show it: they must agree, or something is misread.

    ``of``: unit, feature, layers or directions; ``names`` as the framework spells it; ``values`` where it is no count.
    """

    of: str
    names: tuple[str, ...]
    values: Mapping[Any, int] | None = None


def told_by_settings(layout: Layout, settings: Mapping[str, Any], version: str | None) -> dict[str, Any]:
    """The dialect fields that a layer's own settings tell: {field: meaning}."""
    told: dict[str, Any] = {}
    for setting in layout.settings:
        for name in setting.names:
            if name in settings:
                told[setting.field] = setting.meaning(settings[name], version)
                break
    return told


def dialect_with(dialect: Dialect, told: Mapping[str, Any]) -> Dialect:
    """A dialect with some fields said.  Raises LayoutError for a field that does not exist."""
    unknown = [name for name in told if not hasattr(dialect, name)]
    if unknown:
        raise LayoutError(f"a dialect has no {unknown[0]!r}.")
    return replace(dialect, **told)
