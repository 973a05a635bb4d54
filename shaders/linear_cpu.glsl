// What the CPU forms of C = act(A W + bias) + residual share: constants and bindings.
#include "lane.glsl"
#include "linear_options.glsl"

layout(constant_id = ID_TILE + 0) const uint ROWS = 5;  // a lane; of rows that pass, an item
layout(constant_id = ID_TILE + 1) const uint QUADS = 8; // of columns: an item; then, a lane
layout(constant_id = ID_TILE + 2) const uint STEP = 2;  // quads of k that are loaded at once
layout(constant_id = ID_TILE + 3) const uint VARIABLE = 0; // 1: no shuffle index is constant

QUADS_IN(a, LINEAR_A)
QUADS_IN(w, LINEAR_W)
QUADS_IN(bias, LINEAR_BIAS)
QUADS_IN(residual, LINEAR_RESIDUAL)
#ifdef PAIRS
#include "pairs.glsl"
layout(constant_id = ID_TILE + 4) const uint PAIRED = 1; // quads of C are stored two at a time
PAIRS_OUT(c, LINEAR_C)
WORDS_OUT(c, LINEAR_C)
#else
TENSOR_OUT(c, LINEAR_C)
#endif
MOMENTS_IN(moments, LINEAR_MOMENTS)
PUSH(linear_params)
