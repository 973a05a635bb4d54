/* reduce: S = sum over stretches of P, in order, for each block of a state. */
#include "ops/example.h"

/* The first number of S of block `i` of all heads'. */
static uint64_t state_start(const struct reduce_params *p, uint64_t i)
{
    return 4 * (p->s_start + i % p->blocks * p->s_block + i / p->blocks * p->quads);
}

static void reduce_reference(const struct op_call *call)
{
    const struct reduce_params *p = &call->params.reduce;
    uint64_t block = 4 * (uint64_t)p->quads;
    for (uint64_t i = 0; i < (uint64_t)p->heads * p->blocks; i++) {
        uint64_t from = 4 * (uint64_t)p->p_start + i * p->stretches * block;
        uint64_t to = state_start(p, i);
        for (uint64_t c = 0; c < block; c++) {
            bool again = call->options[OPTION_CONTINUE];
            double sum = again ? tensor_get(&call->tensors[REDUCE_S], to + c) : 0;
            for (uint64_t s = 0; s < p->stretches; s++)
                sum += tensor_get(&call->tensors[REDUCE_P], from + s * block + c);
            tensor_set(&call->tensors[REDUCE_S], to + c, sum);
        }
    }
}

/* Items of a block: none crosses its end, as it would bind all stretches of two. */
static uint64_t block_items(const struct op_call *call, const struct op_candidate *candidate)
{
    return size_div_up(call->params.reduce.quads, candidate->group);
}

static uint64_t reduce_items(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct reduce_params *p = &call->params.reduce;
    return (uint64_t)p->heads * p->blocks * block_items(call, candidate);
}

static void reduce_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                        uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct reduce_params *p = &call->params.reduce;
    const struct op_candidate *candidate = span_candidate(dispatch);
    uint64_t items = block_items(call, candidate), last = end_item - 1;
    uint64_t low = first % items * candidate->group;
    uint64_t high = size_min((last % items + 1) * candidate->group, p->quads);
    /* A block is a batch row, a stretch a row of it. */
    struct span_layout layout = {.start = p->p_start,
                                 .batch = (uint64_t)p->stretches * p->quads,
                                 .row = p->quads,
                                 .width = p->quads,
                                 .groups = 1,
                                 .heads = 1};
    uint64_t rows = p->stretches;
    if (index == REDUCE_S) {
        layout = (struct span_layout){.start = p->s_start,
                                      .batch = p->quads, /* a head */
                                      .group = p->s_block,
                                      .row = 1,
                                      .width = 1,
                                      .groups = p->blocks,
                                      .heads = 1};
        rows = p->quads;
        span_rows(&layout, call->tensors[index].type, first / items, last / items, low, high, rows,
                  begin, end);
        return;
    }
    span_rows(&layout, call->tensors[index].type, first / items, last / items, 0, rows, rows, begin,
              end);
}

static void reduce_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct reduce_params *p = &call->params.reduce;
    double numbers = 4.0 * p->heads * p->blocks * p->quads;
    *operations = numbers * p->stretches;
    *bytes = numbers * 4 * (p->stretches + (call->options[OPTION_CONTINUE] ? 2.0 : 1.0));
}

static void reduce_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct reduce_params *p = &call->params.reduce;
    (void)type; /* states are f32 */
    p->heads = random_between(random, 1, 3);
    p->blocks = random_between(random, 1, 5);
    p->stretches = example_rows(random, 40);
    p->quads = random_between(random, 1, 300);
    p->p_start = random_between(random, 0, 5);
    p->s_start = random_between(random, 0, 5);
    p->s_block = p->quads * random_between(random, p->heads, p->heads + 2);
    call->options[OPTION_CONTINUE] = random_between(random, 0, 1);
    example_tensor(call, REDUCE_P, ELEMENT_F32,
                   4 * (uint64_t)(p->p_start + p->heads * p->blocks * p->stretches * p->quads));
    example_tensor(call, REDUCE_S, ELEMENT_F32,
                   4 * (uint64_t)(p->s_start + p->blocks * p->s_block));
}

/* Fills the blocks that are continued from, and not what lies between them. */
static void reduce_prepare(struct random *random, const struct op_call *call)
{
    const struct reduce_params *p = &call->params.reduce;
    if (!call->options[OPTION_CONTINUE])
        return;
    for (uint64_t i = 0; i < (uint64_t)p->heads * p->blocks; i++)
        for (uint64_t c = 0; c < 4 * (uint64_t)p->quads; c++)
            tensor_set(&call->tensors[REDUCE_S], state_start(p, i) + c, random_normal(random));
}

static struct op_shape_class reduce_class(const struct op_call *call)
{
    const struct reduce_params *p = &call->params.reduce;
    return (struct op_shape_class){.widths = {p->quads}};
}

static const struct op_candidate candidates[] = {
    {"flat_texel", SHADER_reduce_texel, NEED_TEXEL, CLASS_CPU, 64, {0}, NULL},
    {"flat", SHADER_reduce, NEED_NOTHING, CLASS_ANY, 32, {0}, NULL},
};

const struct op op_reduce = {
    .name = "reduce",
    .tensor_count = 2,
    .params_size = sizeof(struct reduce_params),
    .writes = 1u << REDUCE_S,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = reduce_reference,
    .items = reduce_items,
    .span = reduce_span,
    .cost = reduce_cost,
    .example = reduce_example,
    .prepare = reduce_prepare,
    .shape_class = reduce_class,
};
