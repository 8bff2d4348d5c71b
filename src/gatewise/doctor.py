"""The doctor: runs the ailments over a file or an object in memory, and applies their remedies to a copy.

Diagnose fully, then treat: every remedy works on a draft (see :class:`.containers.Draft`), the draft is written beside
the target, read again and examined again, and only a file that is well takes the output's name.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .ailments import (
    CALL,
    FRAMEWORKS,
    LOAD,
    NUMBERS,
    Finding,
    Outcome,
    Patient,
    Target,
    ailments,
    cases,
    contains,
    examine,
)
from .ailments._keras_renew import make_modern
from .ailments.tensorflow_files import kind_of
from .checkpoint import Checkpoint, open
from .containers import Container, Draft, container, container_for_writing, containers, open_draft, open_tensors
from .containers._keras_draft import KerasDraft
from .containers._supply import same_bytes
from .containers._write import atomic
from .errors import ContainerError, NotRepresentable, ProofFailed, UsageError
from .live import Live, LiveModel, duplicate
from .proof import Claim, proved
from .tensors import StoredTensor, Tensors

FORMS = ("module", "state-dict")  # what ``--as`` may ask for
_BLOCKS = ("breaks", "unsafe")  # a repaired file must have none of these left


def diagnose(subject: Any, *, target: str | None = None) -> list[Finding]:
    """What will break, be slow, be unsafe or give wrong numbers, the worst first.  Nothing is changed, nothing is run.

    ``subject``  a path, a Checkpoint, a module in memory or what :func:`gw.of` gave for it
    ``target``   ``torch==2.13``, ``keras==3``: only what matters there
    """
    return list(examine(_patient(subject, target)))


def _patient(subject: Any, target: str | None) -> Patient:
    wanted = Target.parse(target) if target else None
    subject = _object(subject)
    if isinstance(subject, (str, os.PathLike)):
        try:
            subject = open(subject)
        except (UsageError, ContainerError):
            if not kind_of(os.fspath(subject)):
                raise
            return Patient(path=os.fspath(subject), target=wanted)
    if isinstance(subject, Checkpoint):
        return Patient(checkpoint=subject, target=wanted)
    return Patient(live=subject, target=wanted)


def _object(subject: Any) -> Any:
    """The object in memory that :func:`gw.of` was given, where its answer is handed over."""
    return subject.subject if isinstance(subject, Live | LiveModel) else subject


@dataclass(frozen=True)
class Diagnosis:
    """A file's findings, and what follows: what the target does with it, and the command that applies the remedies."""

    path: str
    container: str
    target: str | None
    findings: tuple[Finding, ...]
    prediction: Outcome | None
    fix: str

    @property
    def healthy(self) -> bool:
        """Is there nothing worse than a note?"""
        return all(finding.severity == "note" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        told = {"prediction": self.prediction.as_dict()} if self.prediction else {}
        return {
            "path": self.path, "container": self.container, "for": self.target, "healthy": self.healthy,
            "findings": [each.as_dict() for each in self.findings], **told, **({"fix": self.fix} if self.fix else {}),
        }  # fmt: skip


def examination(path: str | os.PathLike[str], target: str | None = None) -> Diagnosis:
    """Everything that ``gatewise doctor`` tells of a file."""
    checkpoint = open(path)
    findings = tuple(diagnose(checkpoint, target=target))
    told = prediction(findings, target, checkpoint) if target else None
    return Diagnosis(
        checkpoint.path, checkpoint.tensors.container, target, findings, told, _command(checkpoint, findings)
    )


def prediction(findings: Sequence[Finding], target: str, checkpoint: Checkpoint | None = None) -> Outcome:
    """What the target does with the file: the first failure there, of loading before calling, or that all is well.

    For torch, of ``torch.load(path, weights_only=False)`` and of running the module.  What a version older than the one
    that wrote the file does with it nobody tells.
    """
    wanted = Target.parse(target)
    for writer in checkpoint.written_by if checkpoint is not None else ():
        lower = ",".join(clause for clause in writer.version.split(",") if clause.startswith(">="))
        if writer.framework == wanted.framework and not contains(lower, wanted.version):
            return Outcome(_exactly(wanted), f"not known: the file was written by a newer {writer.framework} ({lower})")
    if checkpoint is not None and not findings and not _may_read(wanted.framework, checkpoint.tensors.container):
        return Outcome(
            _exactly(wanted), f"not known: {checkpoint.tensors.container} is no format of {wanted.framework}'s"
        )
    told = [(mine, outcome) for each in findings if (mine := each.in_version(wanted)) for outcome in mine.outcomes]
    loads = [(mine.order, outcome) for mine, outcome in told if outcome.stage == LOAD]
    # A forward asks for its own attributes before it calls its parts.
    calls = [((_depth(mine.where), mine.order), outcome) for mine, outcome in told if outcome.stage in (CALL, NUMBERS)]
    first = Outcome("", "loads and computes the same")
    for failures in (calls, loads):
        first = min(failures, key=lambda failure: failure[0], default=(0, first))[1]
    return replace(first, versions=_exactly(wanted))


def _may_read(framework: str, name: str) -> bool:
    """Is this a format of the framework's own, or one that everybody writes?"""
    return framework in container(name).frameworks or name in ("safetensors", "npz", "npy", "pickle", "hdf5")


def _depth(path: str) -> int:
    return len([piece for piece in path.split(".") if piece])


def _command(checkpoint: Checkpoint, findings: Sequence[Finding]) -> str:
    """The command line that applies the remedies there are, or ""."""
    if not any(finding.remedy and finding.severity != "note" for finding in findings):
        return ""
    draft = open_draft(checkpoint.path)
    cured = {finding for finding in findings if finding.remedy and finding.code in _curable(draft.form)}
    weights_only = any(finding.severity in _BLOCKS and finding not in cured for finding in findings)
    form = "state-dict" if weights_only and "state-dict" in draft.forms else draft.form
    suffix = Path(checkpoint.path).suffix
    if suffix not in container(draft.writes[0]).suffixes:
        suffix = container(draft.writes[0]).suffixes[0]
    wanted = f" --as {form}" if form in FORMS else ""
    return f"gatewise repair {shlex.quote(checkpoint.path)} -o NEW{suffix}{wanted}"


def _curable(form: str) -> set[str]:
    """The codes that a treatment may cure in this form of a result."""
    able = [each for each in ailments() if each.treat and (not each.forms or form in each.forms)]
    return {code for each in able for code in each.codes}


def _exactly(target: Target) -> str:
    return "==" + ".".join(map(str, target.version)) if target.version else ""


# Treating.


@dataclass(frozen=True)
class Treatment:
    """One remedy that was applied, and what it did."""

    finding: Finding | None
    what: str
    exactness: str

    def as_dict(self) -> dict[str, Any]:
        code, where = (self.finding.code, self.finding.where) if self.finding else (None, "")
        return {"code": code, "where": where, "what": self.what, "exactness": self.exactness}


@dataclass(frozen=True)
class Repair:
    """What was done.  ``left``: findings about the result that have no cure or need none (``note``, ``slow`` …).

    ``output`` is None after a dry run; ``result`` is the repaired object where an object in memory was repaired.
    """

    path: str
    output: str | None
    form: str
    container: str
    applied: tuple[Treatment, ...]
    left: tuple[Finding, ...]
    dry_run: bool = False
    result: Any = None

    @property
    def healthy(self) -> bool:
        """Was there nothing to do?"""
        return not self.applied

    def as_dict(self) -> dict[str, Any]:
        return {
            "path": self.path, "output": self.output, "as": self.form, "container": self.container,
            "nothing_to_do": self.healthy, "dry_run": self.dry_run,
            "remedies": [each.as_dict() for each in self.applied], "left": [each.as_dict() for each in self.left],
        }  # fmt: skip


def repair(
    subject: Any,
    out: str | os.PathLike[str] | None = None,
    as_: str | None = None,
    *,
    dry_run: bool = False,
    force: bool = False,
    in_place: bool = False,
) -> Repair:
    """Apply every remedy to a copy: a file is written to ``out``, an object in memory is copied unless ``in_place``.

    ``as_``      ``module`` or ``state-dict`` for torch's pickles; None: what the file is
    ``dry_run``  say what would be done, write nothing
    A healthy file is copied as it is.  Raises NotRepresentable, WriteRefused, ProofFailed, ContainerError.
    """
    subject = _object(subject)
    if not isinstance(subject, (str, os.PathLike, Checkpoint)):
        return _repair_object(subject, dry_run, in_place)
    path = subject.path if isinstance(subject, Checkpoint) else os.fspath(subject)
    if out is None and not dry_run:
        raise UsageError("a repaired file is a new file.", path=path, next='Name it: out="NEW.pt".')
    if as_ is not None and as_ not in FORMS:
        raise UsageError(f"nothing can be written as {as_!r}.", path=path, next=f"Say one of {', '.join(FORMS)}.")
    return _repair_file(path, out, as_, dry_run, force)


def _repair_object(subject: Any, dry_run: bool, in_place: bool) -> Repair:
    draft = subject if in_place and not dry_run else duplicate(subject)
    applied = _treat(Patient(live=subject, draft=draft), "module")
    left = tuple(examine(Patient(live=draft)))
    name = type(subject).__name__
    return Repair(f"<{name}>", None, "module", "memory", applied, left, dry_run, None if dry_run else draft)


def _treat(patient: Patient, form: str) -> tuple[Treatment, ...]:
    """Every remedy that this form of the result needs, applied to the draft."""
    applied = []
    for ailment, finding in list(cases(patient)):
        if ailment.treat is not None and finding.remedy is not None and (not ailment.forms or form in ailment.forms):
            done = ailment.treat(patient, finding)
            if done:
                applied.append(Treatment(finding, done, finding.remedy.exactness))
    return tuple(applied)


def _repair_file(path: str, out: str | os.PathLike[str] | None, as_: str | None, dry_run: bool, force: bool) -> Repair:
    checkpoint = open(path)
    draft = open_draft(path, files=checkpoint.tensors.files)
    chosen = _chosen(out, draft)
    form = _form(path, draft, as_, chosen)
    if form != "state-dict":
        _refuse_unsafe(checkpoint)
    applied = _treat(Patient(checkpoint=checkpoint, draft=draft), form)
    own = checkpoint.tensors.container
    rewrites = chosen.name != own and own in {known.name for known in containers() if known.write}
    if form == draft.form and not applied and not rewrites:
        return _as_it_is(checkpoint, out, form, dry_run, force)
    if rewrites and isinstance(draft, KerasDraft):  # .h5 and .keras are read by different rules: old words fit one
        make_modern(draft, checkpoint)
    applied += tuple(Treatment(None, what, exactness) for what, exactness in draft.losses(form))
    if out is None or dry_run:
        return Repair(path, None, form, chosen.name, applied, (), dry_run=True)
    with atomic(out, force, chosen.beside, checkpoint.tensors.files) as temporary:
        if chosen.name in draft.writes:
            draft.write(temporary, chosen.name, form)
        else:
            _export(chosen, temporary, draft.tensors(form))
        left = _proved(temporary, draft.tensors(form), checkpoint)
    return Repair(path, os.fspath(out), form, chosen.name, applied, left)


def _refuse_unsafe(checkpoint: Checkpoint) -> None:
    """What would run code is never carried over into a new file."""
    _refuse_ill(
        [each for each in examine(Patient(checkpoint=checkpoint)) if each.severity == "unsafe"], checkpoint.path
    )


def _chosen(out: str | os.PathLike[str] | None, draft: Draft) -> Container:
    """The format that the output's suffix asks for; the draft's own where the suffix says nothing (``.pth.tar``)."""
    if out is not None:
        with contextlib.suppress(UsageError):
            return container_for_writing(out)
    return container(draft.writes[0])


def _form(path: str, draft: Draft, as_: str | None, chosen: Container) -> str:
    """What is written: the form asked for or the file's own; a format of nothing but tensors holds a state dict."""
    forms = draft.forms if chosen.name in draft.writes else tuple(form for form in draft.forms if form != "module")
    form = as_ or (draft.form if draft.form in forms else forms[0])
    if form not in forms:
        raise NotRepresentable(
            f"is a {draft.form} file, which {chosen.name} cannot hold as {form}.", path=path,
            next=f"What can be written: {', '.join(f'--as {able}' for able in forms if able in FORMS) or 'no --as'}.",
        )  # fmt: skip
    return form


def _as_it_is(
    checkpoint: Checkpoint, out: str | os.PathLike[str] | None, form: str, dry_run: bool, force: bool
) -> Repair:
    """A healthy file: the same bytes under the new name."""
    left = tuple(examine(Patient(checkpoint=checkpoint)))
    _refuse_ill(left, checkpoint.path)
    if out is not None and not dry_run:
        _copy(checkpoint, out, force)
    output = None if out is None or dry_run else os.fspath(out)
    return Repair(checkpoint.path, output, form, checkpoint.tensors.container, (), left, dry_run)


def _copy(checkpoint: Checkpoint, out: str | os.PathLike[str], force: bool) -> None:
    """The file's bytes under a new name, compared before they have it.  One file of several must stand by itself."""
    path, files = checkpoint.path, checkpoint.tensors.files
    with atomic(out, force, inputs=files) as temporary:
        shutil.copyfile(path, temporary)
        if not filecmp.cmp(path, temporary, shallow=False):
            raise ProofFailed("does not come back from the disk as it was; nothing was kept.", path=out)
        try:
            if len(files) > 1:
                _proved(temporary, open_tensors(path), checkpoint)
        except ContainerError as error:
            alone = "needs no repair, and a copy would not stand without the files beside it."
            raise NotRepresentable(alone, path=path, next="Use it as it is, or copy its files together.") from error


def _export(chosen: Container, path: Path, tensors: Tensors) -> None:
    assert chosen.write is not None  # container_for_writing gives no other
    chosen.write(path, tensors)


def _proved(path: Path, expected: Tensors, before: Checkpoint) -> tuple[Finding, ...]:
    """Read the new file again: the same tensors, the same function, and nothing left that breaks.  What else it has is
    returned."""
    fresh = open(path)
    stored = open_tensors(path)
    for name in expected:
        if name not in stored or stored[name].dtype != expected[name].dtype or not _same(stored[name], expected[name]):
            raise ProofFailed(
                f"tensor {name!r} does not come back from the repaired file as it was; nothing was kept.",
                path=path,
                next="This is a fault of gatewise: please report it, with the file if you can.",
            )
    _refuse_another_function(before, fresh)
    left = tuple(examine(Patient(checkpoint=fresh)))
    _refuse_ill(left, None)
    return left


def _refuse_another_function(before: Checkpoint, after: Checkpoint) -> None:
    """Run each recurrent layer that both files name, as the reference computes it, unless the file is of bare weights
    and what they compute is the model's to say."""
    mine = {layer.name: layer for layer in before.layers if layer.sure and not layer.assumed}
    for layer in after.layers:
        source = mine.get(layer.name)
        if source is None or layer.assumed:
            continue
        try:
            (proof,) = proved([Claim(source, layer)])
        except NotRepresentable:  # an activation of the user's own
            continue
        if not proof.same and proof.max_abs_error == proof.max_abs_error:
            raise ProofFailed(
                f"{layer.name or 'the layer'} of the repaired file does not compute what it did: max |Δ| = "
                f"{proof.max_abs_error:.3g}; nothing was kept.",
                next="This is a fault of gatewise: please report it, with the file if you can.",
            )


def _same(one: StoredTensor, other: StoredTensor) -> bool:
    return one.shape == other.shape and same_bytes(one.pieces(), other.pieces())


def _refuse_ill(findings: Sequence[Finding], path: str | None) -> None:
    """A repaired file must open and run in today's framework."""
    for finding in findings:
        if finding.severity in _BLOCKS and _matters_today(finding):
            raise NotRepresentable(
                f"{finding.code}: {finding.what}", path=path, where=finding.where or None,
                next=f"Remedy: {finding.remedy.what}." if finding.remedy else "No remedy is known; nothing was written.",
            )  # fmt: skip


def _matters_today(finding: Finding) -> bool:
    return any(finding.in_version(Target(framework)) is not None for framework in FRAMEWORKS)
