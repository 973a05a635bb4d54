/* repack: dst[r][0..columns) = src[r][0..columns), between row strides and storage types; dst
 * columns from `columns` to `dst_row` are 0, and so is the spare half of dst's last word. */
#include "ops/example.h"

static uint64_t per_word(const struct op_call *call)
{
    return 4 / element_bytes(call->tensors[REPACK_DST].type);
}

static uint64_t word_count(const struct op_call *call)
{
    const struct repack_params *p = &call->params.repack;
    return size_div_up((uint64_t)p->rows * p->dst_row, per_word(call));
}

static void repack_reference(const struct op_call *call)
{
    const struct repack_params *p = &call->params.repack;
    const struct tensor *src = &call->tensors[REPACK_SRC], *dst = &call->tensors[REPACK_DST];
    for (uint64_t i = 0; i < word_count(call) * per_word(call); i++) {
        uint64_t row = i / p->dst_row, column = i % p->dst_row;
        uint64_t from = p->src_start + row * p->src_row + column;
        bool copied = row < p->rows && column < p->columns;
        if (dst->type == ELEMENT_U32)
            tensor_set_u32(dst, p->dst_start + i, copied ? tensor_get_u32(src, from) : 0);
        else
            tensor_set(dst, p->dst_start + i, copied ? tensor_get(src, from) : 0);
    }
}

static uint64_t repack_items(const struct op_call *call, const struct op_candidate *candidate)
{
    return size_div_up(word_count(call), candidate->group);
}

static void repack_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                        uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct repack_params *p = &call->params.repack;
    uint64_t group = span_candidate(dispatch)->group;
    uint64_t low = first * group, high = size_min(end_item * group, word_count(call));
    if (index == REPACK_DST) {
        uint64_t start = p->dst_start / per_word(call);
        *begin = 4 * (start + low);
        *end = 4 * (start + high);
        return;
    }
    uint64_t row = low * per_word(call) / p->dst_row;
    uint64_t last = size_min((high * per_word(call) - 1) / p->dst_row, p->rows - 1);
    uint64_t bytes = element_bytes(call->tensors[index].type);
    *begin = bytes * (p->src_start + row * p->src_row) / 4 * 4; /* whole words */
    *end = size_round_up(bytes * (p->src_start + last * p->src_row + p->columns), 4);
}

static void repack_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct repack_params *p = &call->params.repack;
    *operations = 0;
    *bytes = (double)p->rows * ((double)p->columns * element_bytes(call->tensors[REPACK_SRC].type) +
                                (double)p->dst_row * element_bytes(call->tensors[REPACK_DST].type));
}

static void repack_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct repack_params *p = &call->params.repack;
    bool from = example_chance(random, 2), words = type == ELEMENT_F32 && example_chance(random, 3);
    p->rows = example_rows(random, 150);
    p->columns = random_between(random, 1, 70);
    p->src_row = p->columns + random_between(random, 0, 3);
    p->dst_row = p->columns + random_between(random, 0, 3);
    p->src_start = random_between(random, 0, 5);
    p->dst_start = 2 * random_between(random, 0, 3);
    type = words ? ELEMENT_U32 : type;
    example_tensor(call, REPACK_SRC, from || words ? type : ELEMENT_F32,
                   p->src_start + (uint64_t)p->rows * p->src_row);
    example_tensor(call, REPACK_DST, from && !words ? ELEMENT_F32 : type,
                   p->dst_start + size_round_up((uint64_t)p->rows * p->dst_row, 2));
}

/* Words that no float holds among them. */
static void repack_prepare(struct random *random, const struct op_call *call)
{
    const struct tensor *src = &call->tensors[REPACK_SRC];
    for (uint64_t i = 0; src->type == ELEMENT_U32 && i < src->elements; i++)
        tensor_set_u32(src, i, random_between(random, 0, UINT32_MAX));
}

static const struct op_candidate candidates[] = {
    {"flat", SHADER_repack, NEED_NOTHING, CLASS_ANY, 64, {0}, NULL},
};

const struct op op_repack = {
    .name = "repack",
    .tensor_count = 2,
    .params_size = sizeof(struct repack_params),
    .writes = 1u << REPACK_DST,
    .raw = 1u << REPACK_SRC | 1u << REPACK_DST,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = repack_reference,
    .items = repack_items,
    .span = repack_span,
    .cost = repack_cost,
    .example = repack_example,
    .prepare = repack_prepare,
};
