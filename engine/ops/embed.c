/* embed: X[b*n + i] = token_table[tokens[b*n + i]] + position_table[i]; a token that the table
 * lacks reads as row 0. */
#include "ops/example.h"

static void embed_row(const struct op_call *call, uint32_t row)
{
    const struct embed_params *p = &call->params.embed;
    const struct tensor *tensors = call->tensors;
    uint32_t token = tensor_get_u32(&tensors[EMBED_TOKENS], row);
    uint64_t word = 4 * (uint64_t)(token < p->vocabulary ? token : 0) * p->table_row;
    uint64_t place = 4 * (uint64_t)(row % p->n) * p->position_row;
    for (uint32_t c = 0; c < 4 * p->quads; c++)
        tensor_set(&tensors[EMBED_X], 4 * (uint64_t)row * p->x_row + c,
                   tensor_get(&tensors[EMBED_TABLE], word + c) +
                       tensor_get(&tensors[EMBED_POSITIONS], place + c));
}

static void embed_reference(const struct op_call *call)
{
    for (uint32_t row = 0; row < call->params.embed.rows; row++)
        embed_row(call, row);
}

static uint64_t embed_items(const struct op_call *call, const struct op_candidate *candidate)
{
    return size_div_up((uint64_t)call->params.embed.rows * call->params.embed.quads,
                       candidate->group);
}

static void embed_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                       uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct embed_params *p = &call->params.embed;
    uint64_t group = span_candidate(dispatch)->group, row_bytes = 4;
    if (index == EMBED_TABLE || index == EMBED_POSITIONS) {
        span_whole(dispatch, index, begin, end);
        return;
    }
    if (index == EMBED_X)
        row_bytes = 4 * (uint64_t)element_bytes(call->tensors[index].type) * p->x_row;
    *begin = first * group / p->quads * row_bytes;
    *end = size_div_up(end_item * group, p->quads) * row_bytes;
}

static void embed_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct embed_params *p = &call->params.embed;
    double numbers = 4.0 * p->rows * p->quads;
    *operations = numbers;
    *bytes = numbers * (element_bytes(call->tensors[EMBED_TABLE].type) +
                        element_bytes(call->tensors[EMBED_POSITIONS].type) +
                        element_bytes(call->tensors[EMBED_X].type));
}

static void embed_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct embed_params *p = &call->params.embed;
    p->n = example_rows(random, 60);
    p->rows = p->n * random_between(random, 1, 3);
    p->quads = example_quads(random);
    p->vocabulary = example_rows(random, 300);
    p->table_row = p->quads + random_between(random, 0, 1);
    p->position_row = p->quads + random_between(random, 0, 1);
    p->x_row = p->quads + random_between(random, 0, 1);
    example_tensor(call, EMBED_TOKENS, ELEMENT_U32, p->rows);
    example_tensor(call, EMBED_TABLE, type, 4 * (uint64_t)p->vocabulary * p->table_row);
    example_tensor(call, EMBED_POSITIONS, type, 4 * (uint64_t)p->n * p->position_row);
    example_tensor(call, EMBED_X, type, 4 * (uint64_t)p->rows * p->x_row);
}

static void embed_prepare(struct random *random, const struct op_call *call)
{
    example_numbers(random, &call->tensors[EMBED_TOKENS], call->params.embed.vocabulary);
}

static struct op_shape_class embed_class(const struct op_call *call)
{
    const struct embed_params *p = &call->params.embed;
    return (struct op_shape_class){.widths = {p->quads}};
}

static const struct op_candidate candidates[] = {
    {"flat_texel", SHADER_embed_texel, NEED_TEXEL, CLASS_CPU, 64, {0}, NULL},
    {"flat", SHADER_embed, NEED_NOTHING, CLASS_ANY, 64, {0}, NULL},
};

const struct op op_embed = {
    .name = "embed",
    .tensor_count = 4,
    .params_size = sizeof(struct embed_params),
    .writes = 1u << EMBED_X,
    .raw = 1u << EMBED_TOKENS,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = embed_reference,
    .items = embed_items,
    .span = embed_span,
    .cost = embed_cost,
    .example = embed_example,
    .prepare = embed_prepare,
    .shape_class = embed_class,
};
