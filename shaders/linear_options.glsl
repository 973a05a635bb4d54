// The options of C = act(A W + bias) + residual.
#include "gelu.glsl"

layout(constant_id = ID_OPTION + OPTION_BIAS) const uint with_bias = 0;
layout(constant_id = ID_OPTION + OPTION_GELU) const uint with_gelu = 0;
layout(constant_id = ID_OPTION + OPTION_RESIDUAL) const uint with_residual = 0;
layout(constant_id = ID_OPTION + OPTION_NORMED) const uint normed = 0;
