"""What each layer of Keras 3.15 takes: a table, made from the signatures (tests/ailments/test_keras_table.py compares).

A word with an @ stands for several, see MACROS.  What every layer takes is in COMMON.
"""

from __future__ import annotations

import functools

VERSION = "3.15"
COMMON = frozenset(("activity_regularizer", "trainable", "dtype", "autocast", "name", "input_dim", "input_shape"))
MACROS = {
    "@rnn": "return_sequences return_state go_backwards stateful unroll zero_output_for_mask",
    "@kernel": "kernel_initializer kernel_regularizer kernel_constraint",
    "@recurrent": "recurrent_initializer recurrent_regularizer recurrent_constraint",
    "@bias": "use_bias bias_initializer bias_regularizer bias_constraint",
    "@embeddings": "embeddings_initializer embeddings_regularizer embeddings_constraint",
    "@depthwise": "depthwise_initializer depthwise_regularizer depthwise_constraint",
    "@pointwise": "pointwise_initializer pointwise_regularizer pointwise_constraint",
    "@gamma": "scale gamma_initializer gamma_regularizer gamma_constraint",
    "@beta": "center beta_initializer beta_regularizer beta_constraint",
    "@image": "bounding_box_format data_format factor",
}

# fmt: off
LAYERS = {
    "Activation": "activation",
    "ActivityRegularization": "l1 l2",
    "AdaptiveAveragePooling1D": "data_format output_size",
    "AdaptiveAveragePooling2D": "data_format output_size",
    "AdaptiveAveragePooling3D": "data_format output_size",
    "AdaptiveMaxPooling1D": "data_format output_size",
    "AdaptiveMaxPooling2D": "data_format output_size",
    "AdaptiveMaxPooling3D": "data_format output_size",
    "Add": "",
    "AdditiveAttention": "dropout score_mode seed use_scale",
    "AlphaDropout": "noise_shape rate seed",
    "Attention": "dropout score_mode seed use_scale",
    "AugMix": "@image all_ops alpha chain_depth interpolation num_chains seed value_range",
    "AutoContrast": "@image value_range",
    "Average": "",
    "AveragePooling1D": "data_format padding pool_size strides",
    "AveragePooling2D": "data_format padding pool_size strides",
    "AveragePooling3D": "data_format padding pool_size strides",
    "AvgPool1D": "data_format padding pool_size strides",
    "AvgPool2D": "data_format padding pool_size strides",
    "AvgPool3D": "data_format padding pool_size strides",
    "BatchNormalization": "@gamma @beta axis epsilon momentum moving_mean_initializer moving_variance_initializer renorm renorm_clipping renorm_momentum synchronized",
    "Bidirectional": "backward_layer layer merge_mode weights",
    "CategoryEncoding": "num_tokens output_mode sparse",
    "CenterCrop": "@image height width",
    "Concatenate": "axis",
    "ContrastLimitedAdaptiveHistogramEqualization": "@image clip_limit tile_grid_size value_range",
    "Conv1D": "@kernel @bias activation data_format dilation_rate filters groups kernel_size lora_alpha lora_rank padding strides",
    "Conv1DTranspose": "@kernel @bias activation data_format dilation_rate filters kernel_size output_padding padding strides",
    "Conv2D": "@kernel @bias activation data_format dilation_rate filters groups kernel_size lora_alpha lora_rank padding strides",
    "Conv2DTranspose": "@kernel @bias activation data_format dilation_rate filters kernel_size output_padding padding strides",
    "Conv3D": "@kernel @bias activation data_format dilation_rate filters groups kernel_size lora_alpha lora_rank padding strides",
    "Conv3DTranspose": "@kernel @bias activation data_format dilation_rate filters kernel_size output_padding padding strides",
    "ConvLSTM1D": "@rnn @kernel @recurrent @bias activation data_format dilation_rate dropout filters kernel_size padding recurrent_activation recurrent_dropout seed strides unit_forget_bias",
    "ConvLSTM2D": "@rnn @kernel @recurrent @bias activation data_format dilation_rate dropout filters kernel_size padding recurrent_activation recurrent_dropout seed strides unit_forget_bias",
    "ConvLSTM3D": "@rnn @kernel @recurrent @bias activation data_format dilation_rate dropout filters kernel_size padding recurrent_activation recurrent_dropout seed strides unit_forget_bias",
    "Convolution1D": "@kernel @bias activation data_format dilation_rate filters groups kernel_size lora_alpha lora_rank padding strides",
    "Convolution1DTranspose": "@kernel @bias activation data_format dilation_rate filters kernel_size output_padding padding strides",
    "Convolution2D": "@kernel @bias activation data_format dilation_rate filters groups kernel_size lora_alpha lora_rank padding strides",
    "Convolution2DTranspose": "@kernel @bias activation data_format dilation_rate filters kernel_size output_padding padding strides",
    "Convolution3D": "@kernel @bias activation data_format dilation_rate filters groups kernel_size lora_alpha lora_rank padding strides",
    "Convolution3DTranspose": "@kernel @bias activation data_format dilation_rate filters kernel_size output_padding padding strides",
    "Cropping1D": "cropping",
    "Cropping2D": "cropping data_format",
    "Cropping3D": "cropping data_format",
    "CutMix": "@image seed",
    "Dense": "@kernel @bias activation lora_alpha lora_rank quantization_config units",
    "DepthwiseConv1D": "@bias @depthwise activation data_format depth_multiplier dilation_rate kernel_size padding strides",
    "DepthwiseConv2D": "@bias @depthwise activation data_format depth_multiplier dilation_rate kernel_size padding strides",
    "Discretization": "bin_boundaries epsilon num_bins output_mode sparse",
    "Dot": "axes normalize",
    "Dropout": "noise_shape rate seed",
    "ELU": "alpha",
    "EinsumDense": "@kernel activation bias_axes bias_constraint bias_initializer bias_regularizer equation gptq_unpacked_column_size lora_alpha lora_rank output_shape quantization_config",
    "Embedding": "@embeddings input_length lora_alpha lora_rank mask_zero output_dim quantization_config weights",
    "Equalization": "@image bins value_range",
    "Flatten": "data_format",
    "FlaxLayer": "call_fn init_fn method module native_serialization_platforms params seed state variables",
    "GRU": "@rnn @kernel @recurrent @bias activation dropout implementation recurrent_activation recurrent_dropout reset_after seed units use_cudnn",
    "GRUCell": "@kernel @recurrent @bias activation dropout implementation recurrent_activation recurrent_dropout reset_after seed units",
    "GaussianDropout": "rate seed",
    "GaussianNoise": "seed stddev",
    "GlobalAveragePooling1D": "data_format keepdims",
    "GlobalAveragePooling2D": "data_format keepdims",
    "GlobalAveragePooling3D": "data_format keepdims",
    "GlobalAvgPool1D": "data_format keepdims",
    "GlobalAvgPool2D": "data_format keepdims",
    "GlobalAvgPool3D": "data_format keepdims",
    "GlobalMaxPool1D": "data_format keepdims",
    "GlobalMaxPool2D": "data_format keepdims",
    "GlobalMaxPool3D": "data_format keepdims",
    "GlobalMaxPooling1D": "data_format keepdims",
    "GlobalMaxPooling2D": "data_format keepdims",
    "GlobalMaxPooling3D": "data_format keepdims",
    "GroupNormalization": "@gamma @beta axis epsilon groups",
    "GroupQueryAttention": "@kernel @bias dropout flash_attention head_dim num_key_value_heads num_query_heads seed sliding_window use_gate",
    "HashedCrossing": "num_bins output_mode sparse",
    "Hashing": "mask_value num_bins output_mode salt sparse",
    "Identity": "",
    "InputLayer": "batch_input_shape batch_shape batch_size input_tensor optional ragged shape sparse",
    "IntegerLookup": "has_input_vocabulary idf_weights invert mask_token max_tokens num_oov_indices oov_method oov_token output_mode pad_to_max_tokens salt sparse vocabulary vocabulary_dtype vocabulary_size",
    "JaxLayer": "call_fn init_fn native_serialization_platforms params seed state",
    "LSTM": "@rnn @kernel @recurrent @bias activation dropout implementation recurrent_activation recurrent_dropout seed unit_forget_bias units use_cudnn",
    "LSTMCell": "@kernel @recurrent @bias activation dropout implementation recurrent_activation recurrent_dropout seed unit_forget_bias units",
    "Lambda": "arguments function mask output_shape",
    "LayerNormalization": "@gamma @beta axis epsilon rms_scaling",
    "LeakyReLU": "alpha negative_slope",
    "Masking": "mask_value",
    "MaxNumBoundingBoxes": "@image fill_value max_number",
    "MaxPool1D": "data_format padding pool_size strides",
    "MaxPool2D": "data_format padding pool_size strides",
    "MaxPool3D": "data_format padding pool_size strides",
    "MaxPooling1D": "data_format padding pool_size strides",
    "MaxPooling2D": "data_format padding pool_size strides",
    "MaxPooling3D": "data_format padding pool_size strides",
    "Maximum": "",
    "MelSpectrogram": "fft_length mag_exp max_freq min_freq min_power num_mel_bins power_to_db ref_power sampling_rate sequence_length sequence_stride top_db window",
    "Minimum": "",
    "MixUp": "@image alpha seed",
    "MultiHeadAttention": "@kernel @bias attention_axes dropout flash_attention key_dim num_heads output_shape seed sliding_window use_gate value_dim",
    "Multiply": "",
    "Normalization": "axis invert mean variance",
    "PReLU": "alpha_constraint alpha_initializer alpha_regularizer shared_axes",
    "Permute": "dims",
    "Pipeline": "layers",
    "RMSNormalization": "axis epsilon",
    "RNN": "@rnn cell",
    "RandAugment": "@image interpolation num_ops seed value_range",
    "RandomBrightness": "@image seed value_range",
    "RandomColorDegeneration": "@image seed value_range",
    "RandomColorJitter": "@image brightness_factor contrast_factor hue_factor saturation_factor seed value_range",
    "RandomContrast": "@image seed value_range",
    "RandomCrop": "@image height seed width",
    "RandomElasticTransform": "@image fill_mode fill_value interpolation scale seed value_range",
    "RandomErasing": "@image fill_value scale seed value_range",
    "RandomFlip": "@image mode seed",
    "RandomGaussianBlur": "@image kernel_size seed sigma value_range",
    "RandomGrayscale": "@image seed",
    "RandomHue": "@image seed value_range",
    "RandomInvert": "@image seed value_range",
    "RandomPerspective": "@image fill_value interpolation scale seed",
    "RandomPosterization": "@image seed value_range",
    "RandomRotation": "@image fill_mode fill_value interpolation seed",
    "RandomSaturation": "@image seed value_range",
    "RandomSharpness": "@image seed value_range",
    "RandomShear": "@image fill_mode fill_value interpolation seed x_factor y_factor",
    "RandomTranslation": "@image fill_mode fill_value height_factor interpolation seed width_factor",
    "RandomZoom": "@image fill_mode fill_value height_factor interpolation seed width_factor",
    "ReLU": "max_value negative_slope threshold",
    "RepeatVector": "n",
    "Rescaling": "offset scale",
    "Reshape": "target_shape",
    "Resizing": "@image antialias crop_to_aspect_ratio fill_mode fill_value height interpolation pad_to_aspect_ratio width",
    "ReversibleEmbedding": "@embeddings input_length logit_soft_cap lora_alpha lora_rank mask_zero output_dim quantization_config reverse_dtype tie_weights",
    "STFTSpectrogram": "data_format expand_dims fft_length frame_length frame_step mode padding periodic scaling window",
    "SeparableConv1D": "@bias @depthwise @pointwise activation data_format depth_multiplier dilation_rate filters kernel_size padding strides",
    "SeparableConv2D": "@bias @depthwise @pointwise activation data_format depth_multiplier dilation_rate filters kernel_size padding strides",
    "SeparableConvolution1D": "@bias @depthwise @pointwise activation data_format depth_multiplier dilation_rate filters kernel_size padding strides",
    "SeparableConvolution2D": "@bias @depthwise @pointwise activation data_format depth_multiplier dilation_rate filters kernel_size padding strides",
    "SimpleRNN": "@rnn @kernel @recurrent @bias activation dropout recurrent_dropout seed units",
    "SimpleRNNCell": "@kernel @recurrent @bias activation dropout recurrent_dropout seed units",
    "Softmax": "axis",
    "Solarization": "@image addition_factor seed threshold_factor value_range",
    "SpatialDropout1D": "rate seed",
    "SpatialDropout2D": "data_format rate seed",
    "SpatialDropout3D": "data_format rate seed",
    "SpectralNormalization": "layer power_iterations",
    "StackedRNNCells": "cells",
    "StringLookup": "encoding has_input_vocabulary idf_weights invert mask_token max_tokens num_oov_indices oov_method oov_token output_mode pad_to_max_tokens salt sparse vocabulary vocabulary_dtype vocabulary_size",
    "Subtract": "",
    "TFSMLayer": "call_endpoint call_training_endpoint filepath",
    "TextVectorization": "encoding has_input_vocabulary idf_weights max_tokens ngrams output_mode output_sequence_length pad_to_max_tokens ragged sparse split standardize vocabulary vocabulary_size",
    "TimeDistributed": "layer",
    "TorchModuleWrapper": "module output_shape",
    "UnitNormalization": "axis",
    "UpSampling1D": "size",
    "UpSampling2D": "data_format interpolation size",
    "UpSampling3D": "data_format size",
    "ZeroPadding1D": "data_format padding",
    "ZeroPadding2D": "data_format padding",
    "ZeroPadding3D": "data_format padding",
}
# fmt: on

_RANDOM, _CONSTANT = "random_initializers", "constant_initializers"
_FANS = "seed input_axes output_axes"
INITIALIZERS = {  # class → (its module below keras.src.initializers, what it takes)
    "Zeros": (_CONSTANT, ""), "Ones": (_CONSTANT, ""), "Constant": (_CONSTANT, "value"), "Identity": (_CONSTANT, "gain"),
    "RandomUniform": (_RANDOM, "minval maxval seed"), "RandomNormal": (_RANDOM, "mean stddev seed"),
    "TruncatedNormal": (_RANDOM, "mean stddev seed"), "Orthogonal": (_RANDOM, "gain seed"),
    "VarianceScaling": (_RANDOM, f"scale mode distribution {_FANS}"),
    **dict.fromkeys(
        ("GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform"), (_RANDOM, _FANS)
    ),
}  # fmt: skip
REGULARIZERS = frozenset(("L1", "L2", "L1L2", "OrthogonalRegularizer"))
CONSTRAINTS = frozenset(("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"))
ACTIVATIONS = frozenset((
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
    "swish", "tanh", "tanh_shrink", "threshold",
))  # fmt: skip
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")
_REQUIRED = {
    **dict.fromkeys((*RECURRENT[:3], *CELLS, "Dense"), "units"),
    **dict.fromkeys(RECURRENT[3:], "filters"),
    "Dropout": "rate",
}


@functools.cache
def takes(kind: str) -> frozenset[str]:
    """Every argument of a layer's class."""
    words = LAYERS[kind].split()
    return COMMON | {name for word in words for name in MACROS.get(word, word).split()}


def required(kind: str) -> str:
    """The first argument that a layer cannot do without; "" for the layers where old configs always have it."""
    return _REQUIRED.get(kind, "")
