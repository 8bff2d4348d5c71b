"""What is known of each format before its module is imported.  Written by ``make docs``; do not edit."""

from __future__ import annotations

from ._row import Row

ROWS: tuple[Row, ...] = (
    Row(20, 'mxnet-params', 'mxnet_params', False, ((0, b'\x12\x01\x00\x00\x00\x00\x00\x00'),), False, ('.params',), ()),
    Row(22, 'paddle-params', 'paddle_params', False, ((0, b'\x80'),), False, ('.pdparams',), ()),
    Row(22, 'tflite', 'tflite', False, ((4, b'TFL3'),), False, (), ()),
    Row(23, 'paddle-tensors', 'paddle_tensors', True, ((0, b'\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'),), True, (), ()),
    Row(24, 'coreml', 'coreml', True, ((0, b'\x08'),), False, (), ()),
    Row(30, 'dynet', 'dynet', False, ((0, b'#Parameter# '), (0, b'#LookupParameter# ')), True, (), ()),
    Row(30, 'gguf', 'ggml', False, ((0, b'GGUF'),), False, (), ()),
    Row(30, 'keras-h5', 'hdf5', False, ((0, b'\x89HDF\r\n\x1a\n'),), False, ('.h5', '.hdf5'), ()),
    Row(30, 'thinc', 'thinc', False, ((0, b'\x84\xa5nodes'),), False, (), ()),
    Row(31, 'ggml', 'ggml', False, ((0, b'lmgg'),), False, (), ()),
    Row(31, 'keras-weights-h5', 'hdf5', False, ((0, b'\x89HDF\r\n\x1a\n'),), False, ('.weights.h5',), ()),
    Row(32, 'keras-zip', 'keras_zip', False, ((0, b'PK\x03\x04'), (0, b'PK\x05\x06')), False, ('.keras',), ('config.json',)),
    Row(33, 'nnabla-nnp', 'nnabla', False, ((0, b'PK\x03\x04'), (0, b'PK\x05\x06')), False, (), ('parameter.h5',)),
    Row(34, 'tfjs', 'tfjs', True, ((0, b'{'), (0, b' '), (0, b'\n'), (0, b'\r')), True, (), ()),
    Row(35, 'tf-saved-model', 'tf_saved_model', True, ((0, b'\x08'),), False, (), ()),
    Row(36, 'openvino', 'openvino', False, ((0, b'<?xml'), (0, b'<net'), (0, b'\xef\xbb\xbf<')), True, ('.xml',), ()),
    Row(37, 'ncnn', 'ncnn', False, ((0, b'7767517'),), True, (), ()),
    Row(40, 'c-header', 'c_header', False, ((0, b'/* gatewise C header 1'),), False, ('.h',), ()),
    Row(40, 'cntk', 'cntk', False, ((0, b'\x08'),), False, (), ()),
    Row(40, 'safetensors', 'safetensors', False, ((8, b'{'),), False, ('.safetensors',), ()),
    Row(42, 'caffe', 'caffe', False, ((0, b'\n'), (0, b'\xa2\x06')), False, (), ()),
    Row(44, 'npy-stream', 'npy_stream', False, ((0, b'\x93NUMPY'), (0, b'{'), (0, b'['), (0, b'"')), False, ('.eqx',), ()),
    Row(45, 'npz', 'numpy_files', False, ((0, b'PK\x03\x04'), (0, b'PK\x05\x06')), False, ('.npz',), ('.npy',)),
    Row(46, 'npy', 'numpy_files', False, ((0, b'\x93NUMPY'),), False, (), ()),
    Row(49, 'torchscript', 'torchscript', False, ((0, b'PK\x03\x04'), (0, b'PK\x05\x06')), False, (), ('/constants.pkl', '/code/', '/model.json')),
    Row(50, 'torch-legacy', 'torch_legacy', False, ((0, b'\x80'), (0, b'L119547037146038801333356L\n')), False, (), ()),
    Row(50, 'torch-tar', 'torch_tar', False, ((257, b'ustar'),), False, (), ()),
    Row(50, 'torch-zip', 'torch_zip', False, ((0, b'PK\x03\x04'), (0, b'PK\x05\x06')), False, ('.pt', '.pth', '.bin', '.ckpt'), ('/data.pkl',)),
    Row(52, 'mindspore-ckpt', 'mindspore_ckpt', False, ((0, b'\n'),), False, ('.ckpt',), ()),
    Row(55, 'flax-msgpack', 'flax_msgpack', False, ((0, b'\x80'), (0, b'\x81'), (0, b'\x82'), (0, b'\x83'), (0, b'\x84'), (0, b'\x85'), (0, b'\x86'), (0, b'\x87'), (0, b'\x88'), (0, b'\x89'), (0, b'\x8a'), (0, b'\x8b'), (0, b'\x8c'), (0, b'\x8d'), (0, b'\x8e'), (0, b'\x8f'), (0, b'\xde'), (0, b'\xdf')), False, ('.msgpack', '.flax'), ()),
    Row(55, 'nnabla-h5', 'nnabla', False, ((0, b'\x89HDF\r\n\x1a\n'),), False, (), ()),
    Row(55, 'tesseract', 'tesseract', False, (), False, (), ()),
    Row(56, 'orbax', 'orbax', True, (), False, (), ()),
    Row(58, 'tf-checkpoint', 'tf_checkpoint', False, (), True, (), ()),
    Row(60, 'hdf5', 'hdf5_tree', False, ((0, b'\x89HDF\r\n\x1a\n'),), False, (), ()),
    Row(60, 'onnx', 'onnx', True, ((0, b'\x08'),), True, ('.onnx',), ()),
    Row(60, 'pickle', 'plain_pickle', False, ((0, b'\x80'), (0, b'('), (0, b'}'), (0, b']'), (0, b'c')), False, ('.pkl', '.pickle'), ()),
    Row(60, 'tf-graph', 'tf_graph', False, (), False, (), ()),
)  # fmt: skip
MODULES = frozenset(row.module for row in ROWS)
