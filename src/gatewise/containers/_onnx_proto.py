"""ONNX's messages as tables, and its element types.

Source: onnx/onnx.in.proto of ONNX 1.23 (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, FunctionProto);
the numbers never changed since IR version 1.  Not known here: training information, type annotations, sharding.
"""

from __future__ import annotations

from ._protobuf import FLOAT, INT, LAZY, PACKED, RAW, TEXT, Message

TENSOR = Message({
    1: ("dims", [INT]), 2: ("data_type", INT), 3: ("segment", RAW), 4: ("float_data", [PACKED]),
    5: ("int32_data", [PACKED]), 7: ("int64_data", [PACKED]), 8: ("name", TEXT), 9: ("raw_data", RAW),
    10: ("double_data", [PACKED]), 11: ("uint64_data", [PACKED]),
    13: ("external_data", [Message({1: ("key", TEXT), 2: ("value", TEXT)})]), 14: ("data_location", INT),
})  # fmt: skip
SPARSE = Message({1: ("values", TENSOR), 2: ("indices", LAZY), 3: ("dims", [INT])})
ATTRIBUTE = Message({
    1: ("name", TEXT), 2: ("f", FLOAT), 3: ("i", INT), 4: ("s", RAW), 5: ("t", LAZY), 6: ("g", LAZY),
    7: ("floats", [FLOAT]), 8: ("ints", [INT]), 9: ("strings", [RAW]), 11: ("graphs", [LAZY]), 20: ("type", INT),
    21: ("ref_attr_name", TEXT), 22: ("sparse_tensor", LAZY),
})  # fmt: skip
NODE = Message({
    1: ("input", [TEXT]), 2: ("output", [TEXT]), 3: ("name", TEXT), 4: ("op_type", TEXT), 5: ("attribute", [LAZY]),
    7: ("domain", TEXT), 8: ("overload", TEXT),
})  # fmt: skip
_DIMENSION = Message({1: ("size", INT), 2: ("symbol", TEXT)})
_TENSOR_TYPE = Message({2: ("shape", Message({1: ("dim", [_DIMENSION])}))})
VALUE = Message({1: ("name", TEXT), 2: ("type", Message({1: ("tensor", _TENSOR_TYPE)}))})
GRAPH = Message({
    1: ("node", [NODE]), 2: ("name", TEXT), 5: ("initializer", [LAZY]), 11: ("input", [VALUE]),
    13: ("value_info", [LAZY]), 15: ("sparse_initializer", [LAZY]),
})  # fmt: skip
OPSET = Message({1: ("domain", TEXT), 2: ("version", INT)})
FUNCTION = Message({
    1: ("name", TEXT), 4: ("input", [TEXT]), 5: ("output", [TEXT]), 7: ("node", [NODE]), 9: ("opset_import", [OPSET]),
    10: ("domain", TEXT), 11: ("attribute_proto", [LAZY]), 13: ("overload", TEXT),
})  # fmt: skip
MODEL = Message({
    1: ("ir_version", INT), 2: ("producer_name", TEXT), 3: ("producer_version", TEXT), 7: ("graph", LAZY),
    8: ("opset_import", [OPSET]), 25: ("functions", [LAZY]),
})  # fmt: skip

# AttributeProto.AttributeType, where a value may be left out because it is the type's zero.
ATTRIBUTE_TYPES = {
    1: "f",
    2: "i",
    3: "s",
    4: "t",
    5: "g",
    6: "floats",
    7: "ints",
    8: "strings",
    10: "graphs",
    11: "sparse_tensor",
}

# TensorProto.DataType → (dtype, the field that holds its elements where raw_data does not).
DTYPES = {
    1: ("float32", "float_data"), 2: ("uint8", "int32_data"), 3: ("int8", "int32_data"), 4: ("uint16", "int32_data"),
    5: ("int16", "int32_data"), 6: ("int32", "int32_data"), 7: ("int64", "int64_data"), 9: ("bool", "int32_data"),
    10: ("float16", "int32_data"), 11: ("float64", "double_data"), 12: ("uint32", "uint64_data"),
    13: ("uint64", "uint64_data"), 14: ("complex64", "float_data"), 15: ("complex128", "double_data"),
    16: ("bfloat16", "int32_data"), 17: ("float8_e4m3fn", "int32_data"), 18: ("float8_e4m3fnuz", "int32_data"),
    19: ("float8_e5m2", "int32_data"), 20: ("float8_e5m2fnuz", "int32_data"),
}  # fmt: skip
CODES = {dtype: code for code, (dtype, _) in DTYPES.items()}
OTHER_TYPES = {
    8: "strings", 21: "uint4", 22: "int4", 23: "float4_e2m1", 24: "float8_e8m0", 25: "uint2", 26: "int2",
}  # fmt: skip
