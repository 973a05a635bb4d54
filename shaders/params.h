/* Push constants and constant ids: the one declaration that C and GLSL share.
 *
 * Layout of data in device memory: every tensor is made of quads, four consecutive numbers of one
 * row (f32: 16 bytes, f16: 8). Rows are padded with zeros to whole quads; offsets and strides
 * below count quads of the tensor's own storage type, unless a name says elements. States and
 * partial sums are always f32. Letters as in the specification: B batch, G groups, H heads,
 * n queries, m keys, dk and dv widths; dk4 = ceil(dk / 4). */
#ifndef PARAMS_H
#define PARAMS_H

#ifdef VULKAN
#define PARAMS_CHECK(type)
#else
#include <assert.h>
#include <stdint.h>
typedef uint32_t uint;
#define PARAMS_CHECK(type)                                                                        \
    static_assert(sizeof(struct type) <= 128, #type " passes Vulkan's least push constant size");
#endif

/* Specialisation constants. 0 is the group size in x. TYPE + i is the storage type of binding i;
 * OPTION + i is an op's own switch, TILE + i a candidate's tile size. BY_HAND is 1 where a shader's
 * own integers do what the driver's unpackHalf2x16 or packHalf2x16 does not, or slowly. */
#define ID_GROUP    0
#define ID_TYPE     1
#define ID_OPTION   9
#define ID_TILE     15
#define ID_UNPACK_BY_HAND 20
#define ID_SUBGROUP 21 /* of no shader: the subgroup size that the pipeline requires; 0: any */
#define ID_DEPTH    22 /* a number of the call's that the kernel is made for; else 0 */
#define ID_PACK_BY_HAND 23

#define TYPE_F32 0
#define TYPE_F16 1
#define TYPE_U32 2

/* Filled by the recorder: the work items (one a workgroup) of this piece, and the element of each
 * binding that its view starts at. */
struct item_range {
    uint first, end;
    uint base[8];
};
#ifndef VULKAN
typedef struct item_range item_range;
#endif

/* C[row][:] = act(A[row][:] W + bias) + residual[row][:]
 * A [rows, k], W [k, n] (n4 quads a row), bias [n]; k and n in quads.
 * normed: the rows of A are normalised, (A[row][:] - mean[row]) * scale[row], which is
 * scale[row] (A[row][:] W - mean[row] u) with the sums u of the columns of W: what is after the
 * bias, another n numbers. */
#define LINEAR_A        0
#define LINEAR_W        1
#define LINEAR_BIAS     2
#define LINEAR_RESIDUAL 3
#define LINEAR_C        4
#define LINEAR_MOMENTS  5 /* f32, a quad a row of A as norm makes them; normed */
#define OPTION_BIAS     0 /* 1: add bias */
#define OPTION_GELU     1 /* 1: exact GELU after the bias */
#define OPTION_RESIDUAL 2 /* 1: add residual, laid out as C (and may be C) */
#define OPTION_NORMED   3 /* 1: rows that are read are normalised first; of linear and pool */
struct linear_params {
    item_range items;
    uint rows, k4, n4;
    uint a_start, a_row, w_row, c_start, c_row; /* quads */
    uint w_start, bias_start;
};

/* Y = (X - mean) / sqrt(variance + eps) * weight + bias, over the columns of each row. moments: Y,
 * f32, gets a quad a row instead, mean and 1 / sqrt(variance + eps) and two zeros. */
#define NORM_X      0
#define NORM_WEIGHT 1
#define NORM_BIAS   2
#define NORM_Y      3
#define OPTION_MOMENTS 0 /* 1: moments; weight and bias are unused */
struct norm_params {
    item_range items;
    uint rows, columns;
    uint x_row, y_row; /* quads */
    float eps;
};

/* X[b*n + i] = token_table[tokens[b*n + i]] + position_table[i]; a token >= vocabulary reads as
 * row 0 (callers refuse it before) */
#define EMBED_TOKENS    0 /* u32 */
#define EMBED_TABLE     1
#define EMBED_POSITIONS 2
#define EMBED_X         3
struct embed_params {
    item_range items;
    uint rows, n, quads, vocabulary;
    uint table_row, position_row, x_row; /* quads */
};

/* Y_l[b][j] = pool of X[b][j*rate_l .. min((j+1)*rate_l, L_b)), for up to POOL_LEVELS levels l: the
 * rate of each divides the next one's, so that its segments are made of the last level's. Rows of
 * Y_l from ceil(L_b/rate_l) to segments_l are 0. normed: of rows (X - mean) * scale, of which what
 * pads `columns` to quads stays 0. */
#define POOL_X       0
#define POOL_LENGTHS 1 /* u32 [B] */
#define POOL_Y       2 /* and the next ones, a level each */
#define POOL_LEVELS  3
#define POOL_MOMENTS (POOL_Y + POOL_LEVELS) /* f32, a quad a row of X; normed */
#define OPTION_POOLING 0 /* POOLING_... */
#define OPTION_LEVELS  1 /* how many there are */
#define OPTION_LONG    2 /* 1: segments are long, of one level; a hint */
#define POOLING_MEAN 0
#define POOLING_MAX  1
struct pool_params {
    item_range items;
    uint batch, quads;
    uint rows;                  /* of X in a batch row */
    uint x_batch, x_row, y_row; /* quads */
    uint rates[POOL_LEVELS], segments[POOL_LEVELS], y_batch[POOL_LEVELS]; /* y_batch: quads */
    uint m_batch; /* quads */
    uint columns; /* of X; normed */
};

/* Partial states of a head: for stretch s of (b, g), h,
 *   P[dk4*4][dv4] = sum over the stretch's segments j of phi(k_j) v_j^T, z[dk4] = sum phi(k_j)
 * k_j, v_j pooled over `rate` rows as they are read. Rows may be pooled already: then keys counts
 * them and L_b is divided by `divisor` (rounded up) first. Rows >= dk of P and z are 0.
 * continue: the sums start from what is in P. They are made segment by segment in rising order by
 * every kernel, so a stretch may be cut between any two segments of its head (rows at a multiple of
 * rate) and taken up in later calls, in order, without changing a bit.
 * Several heads: rate is 1, every head's rate divides per_stretch, and so all have the same
 * stretches, of per_stretch rows. The heads of a stretch follow one another: rows that they share
 * come from memory once.
 * OPTION_SHARED says that all heads read the same rows and what their rates are, for kernels that
 * are made for them: the rate of head h is its hexadecimal digit h from the right. There are 2 to
 * SHARED_HEADS heads then, rates are 1, 2, 4 or 8, and SHARED_ROWS rows have SHARED_SEGMENTS
 * segments at most. */
#define STATE_K       0
#define STATE_V       1
#define STATE_LENGTHS 2 /* u32 [B] */
#define STATE_P       3 /* f32 */
#define STATE_RATES   4 /* u32 [heads]; several heads */
#define OPTION_FEATURE 1 /* FEATURE_...; with OPTION_POOLING */
#define OPTION_CONTINUE 2 /* 1: add to P instead of overwriting it */
#define OPTION_HEADS   3 /* 1: `heads` heads, each of the rate that RATES says */
#define OPTION_SHARED  4 /* rates of several heads that read the same rows; 0: not said */
#define SHARED_HEADS    4
#define SHARED_ROWS     16
#define SHARED_SEGMENTS 32
#define STATE_ROWS      4 /* rows of rate 1, the lane form: so many at a time, */
#define STATE_DEEP      4 /* of so many quads of features */
#define STATE_ROWS_TOO  1 /* taken by the items whose head has rate 1, */
#define STATE_ROWS_ONLY 2 /* or by all */
#define FEATURE_ELU1 0
#define FEATURE_RELU 1
struct state_params {
    item_range items;
    uint batch, groups, dk, dv4;
    uint rate, divisor;
    uint stretches, per_stretch;                        /* per_stretch counts segments */
    uint k_start, k_batch, k_group, k_row;              /* quads */
    uint v_start, v_batch, v_group, v_row;              /* quads */
    uint p_start, p_group; /* block at p_start + ((b*G + g)*heads + h)*p_group + s*block */
    uint keys;                                          /* m; rows when pooled already */
    uint heads, k_head, v_head; /* several heads; quads, 0: all heads read the same rows */
};

/* S = sum over stretches of P, in order. A block is dk4*4*dv4 + dk4 quads; in P a head's blocks all
 * come before the next head's. With OPTION_CONTINUE the sums start from what is in S: stretches may
 * come in several calls, in order, without changing a bit. */
#define REDUCE_P 0 /* f32 */
#define REDUCE_S 1 /* f32 */
struct reduce_params {
    item_range items;
    uint heads, blocks, stretches, quads; /* blocks = B*G, of each head; quads of a block */
    uint p_start;                         /* quads */
    uint s_start, s_block; /* quads; S of block i of head h at s_start + i*s_block + h*quads */
};

/* logits r of query i: given, or W_r q + b_r; then for top1 head = argmax r (ties to the lowest),
 * prob = softmax(r)[head]; for soft prob[h] = softmax(r)[h]. Row i < n of this call is query
 * first_query + i of `queries` in all: LOGITS is [B, G, queries, H], row first_query + i of its
 * (b, g); HEAD and PROB have n rows a (b, g), and q_start already lies at first_query. */
#define ROUTE_Q      0
#define ROUTE_WEIGHT 1 /* [G, H, dk4] quads */
#define ROUTE_BIAS   2 /* f32 elements [G*H] */
#define ROUTE_LOGITS 3 /* f32 or f16 elements, [B, G, queries, H] tight */
#define ROUTE_HEAD   4 /* u32 [B, G, n]; top1 */
#define ROUTE_PROB   5 /* f32 elements [B, G, n]; soft: [B, G, n, H] */
#define OPTION_ROUTING 2 /* ROUTING_... */
#define OPTION_ROUTER  3 /* ROUTER_... */
#define ROUTING_TOP1 0
#define ROUTING_SOFT 1
#define ROUTING_NONE 2
#define ROUTER_LOGITS 0
#define ROUTER_WEIGHT 1
struct route_params {
    item_range items;
    uint batch, groups, n, heads, dk4;
    uint q_start, q_batch, q_group, q_row; /* quads */
    uint first_query, queries;
};

/* y_i = p A_h(q_i) for the routed h (top1), sum_h p_h A_h(q_i) (soft), A_h(q_{h,i}) (none), with
 * A_h(q) = phi(q)^T S_h / (phi(q)^T z_h + eps). Block of (b, g), h of S at
 * ((b*G + g)*H + h) * (dk4*4*dv4 + dk4). top1 and soft leave q_head, y_head unused. Row i < n of
 * this call is query first_query + i: Y is 0 where first_query + i >= N_b; HEAD and PROB have n
 * rows a (b, g), and q_start, y_start already lie at first_query.
 * fused (top1 only): makes the route itself, from the inputs of `route`, with OPTION_ROUTER as
 * there. They take the places of HEAD and PROB, for which devices have no more bindings. */
#define READOUT_Q       0
#define READOUT_S       1 /* f32 */
#define READOUT_HEAD    2 /* u32; top1 */
#define READOUT_LOGITS  2 /* as ROUTE_LOGITS; fused */
#define READOUT_PROB    3 /* f32 elements; top1, soft */
#define READOUT_BIAS    3 /* as ROUTE_BIAS; fused */
#define READOUT_LENGTHS 4 /* u32 [B], of queries */
#define READOUT_Y       5
#define READOUT_WEIGHT  6 /* as ROUTE_WEIGHT; fused */
/* Of forms that list a tile's queries: quads of its rows of q that the second cache of a processor
 * holds beside others, and quads of a line of the cache in f32. */
#define READOUT_CACHED 32768
#define READOUT_LINE   4
#define OPTION_FUSED    4 /* 1: the readout makes the route */
struct readout_params {
    item_range items;
    uint batch, groups, heads, n, dk4, dv4;
    uint q_start, q_batch, q_group, q_head, q_row; /* quads */
    uint y_start, y_batch, y_group, y_head, y_row; /* quads */
    float eps;
    uint first_query, queries; /* queries: rows of LOGITS a (b, g) */
};

/* y_i = softmax(scale * q_i k^T) v over keys t < L_b, online; 0 where it sees none or i >= N_b. Q
 * and Y start at 0: their starts would not fit.
 * sparse: each block of `block` queries sees runs of keys [first, end) only, which ascend and are
 * not empty. RUNS starts with a word a block and one more, where the block's runs begin and the
 * last one's end; a run is two words. Not sparse: block is n.
 * partial: of a part of the keys only, to be merged. Y is f32 then and has a quad more a row, of
 * the largest score and the sum of the weights, exp(score - largest); 0, 0: no key. */
#define SOFTMAX_Q       0
#define SOFTMAX_K       1
#define SOFTMAX_V       2
#define SOFTMAX_KEY_LENGTHS   3 /* u32 [B] */
#define SOFTMAX_QUERY_LENGTHS 4 /* u32 [B] */
#define SOFTMAX_Y       5
#define SOFTMAX_RUNS    6 /* u32; sparse */
#define OPTION_SPARSE   0 /* 1: blocks of queries see runs of keys */
#define OPTION_PARTIAL  1 /* 1: of a part of the keys */
struct softmax_params {
    item_range items;
    uint batch, groups, n, m, dk4, dv4;
    uint q_batch, q_group, q_row; /* quads */
    uint k_start, k_batch, k_group, k_row;
    uint v_start, v_batch, v_group, v_row;
    float scale;
    uint y_batch, y_group, y_row; /* quads */
    uint block;
};

/* Softmax of two parts of the keys to that of both: rows of SUM and PART as partial ones have them,
 * tight, [B, G, n][dv4 + 1] quads, merged into SUM, or with OPTION_LAST into Y. */
#define MERGE_PART 0 /* f32 */
#define MERGE_SUM  1 /* f32 */
#define MERGE_Y    2 /* last */
#define OPTION_LAST 0 /* 1: Y is written */
struct merge_params {
    item_range items;
    uint batch, groups, n, dv4;
    uint y_batch, y_group, y_row; /* quads */
};

/* dst[r][0..columns) = src[r][0..columns), between row strides and storage types; dst columns from
 * `columns` to `dst_row` are 0. Strides and starts in elements. dst is written in whole 32 bit
 * words from an even dst_start on; with f16, dst_row may be odd (dense rows): a word then spans two
 * rows, and the spare half of the last word becomes 0. u32 is copied to u32 alone. */
#define REPACK_SRC 0
#define REPACK_DST 1
struct repack_params {
    item_range items;
    uint rows, columns;
    uint src_start, src_row, dst_start, dst_row; /* elements */
};

/* Microbenchmarks of `adamra bench`. TILE 1 = 0: copies; an item is TILE 0 times BENCH_COPY_QUADS
 * quads an invocation. 1: an invocation does rounds * BENCH_STEPS multiply-adds on BENCH_CHAINS
 * pairs and writes their sum, an f32 pair, to TARGET. */
#define BENCH_SOURCE 0
#define BENCH_TARGET 1
#define BENCH_COPY_QUADS 4
#define BENCH_CHAINS 5
#define BENCH_STEPS  16
struct bench_params {
    item_range items;
    uint rounds;
    float factor, addend;
};

PARAMS_CHECK(linear_params)
PARAMS_CHECK(norm_params)
PARAMS_CHECK(embed_params)
PARAMS_CHECK(pool_params)
PARAMS_CHECK(state_params)
PARAMS_CHECK(reduce_params)
PARAMS_CHECK(route_params)
PARAMS_CHECK(readout_params)
PARAMS_CHECK(softmax_params)
PARAMS_CHECK(merge_params)
PARAMS_CHECK(repack_params)
PARAMS_CHECK(bench_params)

#endif
