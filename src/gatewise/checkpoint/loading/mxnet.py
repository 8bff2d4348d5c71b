"""MXNet: gluon's layers and cells, loaded by the block itself where the file holds nothing else."""

from __future__ import annotations

from ._pieces import Piece, variables

_TAKEN = ("mx", "numpy", "rnn", "arrays", "contrib")
_READS = {
    "mxnet-params": "arrays = mx.nd.load({path!r})",
    "npz": "arrays = {{name: mx.nd.array(array, dtype=array.dtype) for name, array in numpy.load({path!r}).items()}}",
}


def code(path: str, container: str, pieces: list[Piece]) -> str:
    if container not in _READS:
        return f"import gatewise as gw\n\nlayers = gw.open({path!r}).layers\n"
    projected = any(piece.layout.name == "mxnet.LSTMCell" and piece.stack.spec.proj_size for piece in pieces)
    lines = ["import mxnet as mx", f"from mxnet.gluon import {'contrib, ' * projected}rnn", ""]
    whole = len(pieces) == 1 and not pieces[0].name and container == "mxnet-params" and _is_block(pieces[0])
    if not whole:
        lines = [*(["import numpy"] if container == "npz" else []), *lines, _READS[container].format(path=path)]
    named = variables(pieces, _TAKEN)
    for piece in pieces:
        variable = named[piece.name]
        if not _is_block(piece):  # the symbol interface: arrays by name
            lines.append(f"{variable} = {{name: arrays[name] for name in arrays if name.startswith({piece.name!r})}}")
            continue
        lines.append(f"{variable} = {_made(piece)}")
        if piece.stack.spec.dtype != "float32":
            lines.append(f"{variable}.cast({piece.stack.spec.dtype!r})")
        lines += [f"{variable}.load_parameters({path!r})"] if whole else _filled(piece, variable)
    return "\n".join([*lines, ""])


def _is_block(piece: Piece) -> bool:
    return piece.layout.name.partition(".")[2][0].isupper()


def _filled(piece: Piece, variable: str) -> list[str]:
    prefix = f"{piece.name}." if piece.name else ""
    return [
        f"{variable}.initialize()",
        f"for name, parameter in {variable}._collect_params_with_prefix().items():",
        f"    parameter.set_data(arrays[{prefix!r} + name])" if prefix else "    parameter.set_data(arrays[name])",
    ]


def _made(piece: Piece) -> str:
    kind, spec = piece.layout.name.partition(".")[2], piece.stack.spec
    arguments = [str(spec.hidden_size)]
    if kind == "LSTMCell" and spec.proj_size:
        return f"contrib.rnn.LSTMPCell({spec.hidden_size}, {spec.proj_size}, input_size={spec.input_size})"
    if piece.layout.is_stack:
        arguments += [f"num_layers={spec.num_layers}"] if spec.num_layers > 1 else []
        arguments += ["bidirectional=True"] if spec.directions == 2 else []
        arguments += [f"projection_size={spec.proj_size}"] if spec.proj_size else []
        arguments += ["layout='NTC'"]
    arguments += [f"activation={piece.stack.dialect.activation!r}"] if piece.stack.cell == "rnn" else []
    made = f"rnn.{kind}({', '.join([*arguments, f'input_size={spec.input_size}'])})"
    if spec.directions == 2 and not piece.layout.is_stack:
        return f"rnn.BidirectionalCell({made}, {made})"
    return made
