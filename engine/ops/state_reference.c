#include "ops/example.h"
#include "ops/reference.h"

/* One stretch of one head of one (b, g). */
struct stretch {
    uint64_t first, end; /* segments */
    uint64_t rows, rate; /* valid ones; of a segment */
    uint64_t k, v, p;    /* elements at which row 0 and the block lie */
};

/* The pool of a segment's rows in one column. */
static double segment(const struct op_call *call, const struct stretch *s, uint32_t index,
                      uint64_t j, uint64_t column)
{
    const struct state_params *p = &call->params.state;
    uint64_t first = j * s->rate, end = size_min(first + s->rate, s->rows);
    uint64_t at = (index == STATE_K ? s->k : s->v) + column;
    uint64_t stride = 4 * (uint64_t)(index == STATE_K ? p->k_row : p->v_row);
    return reference_pool(&call->tensors[index], at, stride, first, end,
                          call->options[OPTION_POOLING]);
}

/* phi of a pooled key's feature; 0 in padding, where phi(0) may not be. */
static double feature(const struct op_call *call, const struct stretch *s, uint64_t j, uint64_t f)
{
    if (f >= call->params.state.dk)
        return 0;
    return feature_map(call->options[OPTION_FEATURE], segment(call, s, STATE_K, j, f));
}

/* What the sum of element `at` of P starts from. */
static double first_sum(const struct op_call *call, uint64_t at)
{
    return call->options[OPTION_CONTINUE] ? tensor_get(&call->tensors[STATE_P], at) : 0;
}

/* Columns [column, column + count) of row f of P. */
static void state_block(const struct op_call *call, const struct stretch *s, uint64_t f,
                        uint32_t column, uint32_t count)
{
    double sum[REFERENCE_COLUMNS];
    uint64_t at = s->p + f * 4 * call->params.state.dv4 + column;
    for (uint32_t c = 0; c < count; c++)
        sum[c] = first_sum(call, at + c);
    for (uint64_t j = s->first; j < s->end; j++) {
        double x = feature(call, s, j, f);
        for (uint32_t c = 0; c < count; c++)
            sum[c] += x * segment(call, s, STATE_V, j, column + c);
    }
    for (uint32_t c = 0; c < count; c++)
        tensor_set(&call->tensors[STATE_P], at + c, sum[c]);
}

static void state_stretch(const struct op_call *call, const struct stretch *s)
{
    uint32_t features = (call->params.state.dk + 3) / 4 * 4, columns = 4 * call->params.state.dv4;
    for (uint32_t f = 0; f < features; f++) {
        uint64_t at = s->p + (uint64_t)features * columns + f;
        double z = first_sum(call, at);
        for (uint32_t c = 0; c < columns; c += REFERENCE_COLUMNS)
            state_block(call, s, f, c, (uint32_t)size_min(REFERENCE_COLUMNS, columns - c));
        for (uint64_t j = s->first; j < s->end; j++)
            z += feature(call, s, j, f);
        tensor_set(&call->tensors[STATE_P], at, z);
    }
}

/* Head `head` of (b, g); s->rows, s->k and s->v are there. */
static void state_head(const struct op_call *call, struct stretch *s, uint64_t block_index)
{
    const struct state_params *p = &call->params.state;
    uint64_t dk4 = size_div_up(p->dk, 4), block = dk4 * 4 * p->dv4 + dk4;
    uint64_t per_stretch = (uint64_t)p->per_stretch * p->rate / s->rate;
    for (uint64_t i = 0; i < p->stretches; i++) {
        s->first = i * per_stretch;
        s->end = size_min(s->first + per_stretch, size_div_up(s->rows, s->rate));
        s->p = 4 * (p->p_start + block_index * p->p_group + i * block);
        state_stretch(call, s);
    }
}

static uint64_t head_count(const struct op_call *call)
{
    return call->options[OPTION_HEADS] ? call->params.state.heads : 1;
}

static uint64_t head_rate(const struct op_call *call, uint64_t head)
{
    if (call->options[OPTION_SHARED])
        return call->options[OPTION_SHARED] >> 4 * head & 15;
    return call->options[OPTION_HEADS] ? tensor_get_u32(&call->tensors[STATE_RATES], head)
                                       : call->params.state.rate;
}

void state_reference(const struct op_call *call)
{
    const struct state_params *p = &call->params.state;
    uint64_t heads = head_count(call);
    for (uint64_t i = 0; i < heads * p->batch * p->groups; i++) {
        uint64_t head = i % heads, bg = i / heads, b = bg / p->groups, g = bg % p->groups;
        uint64_t length = tensor_get_u32(&call->tensors[STATE_LENGTHS], b);
        struct stretch s = {.rows = size_min(size_div_up(length, p->divisor), p->keys),
                            .rate = head_rate(call, head)};
        s.k = 4 * (p->k_start + b * p->k_batch + g * p->k_group + head * p->k_head);
        s.v = 4 * (p->v_start + b * p->v_batch + g * p->v_group + head * p->v_head);
        state_head(call, &s, i);
    }
}

void state_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct state_params *p = &call->params.state;
    double blocks = (double)p->batch * p->groups, dk = p->dk, dv = 4.0 * p->dv4, keys = p->keys;
    double heads = (double)head_count(call), segments = 0;
    for (uint64_t head = 0; head < head_count(call); head++)
        segments += (double)size_div_up(p->keys, head_rate(call, head));
    *operations = blocks * 2 * dk * dv * segments;
    double state = (call->options[OPTION_CONTINUE] ? 8.0 : 4.0) * dk * (dv + 1);
    *bytes =
        blocks * ((p->k_head ? heads : 1) * keys * dk * element_bytes(call->tensors[STATE_K].type) +
                  (p->v_head ? heads : 1) * keys * dv * element_bytes(call->tensors[STATE_V].type) +
                  heads * p->stretches * state);
}

/* Per_stretch of several heads' examples is a multiple of it, and of the other one where they are
 * OPTION_SHARED. */
#define RATES_DIVIDE  12
#define SHARED_DIVIDE 8

/* Heads that read the same rows. */
static const uint32_t shared_rates[] = {0x8421, 0x12, 0x418};

static uint32_t shared_heads(uint32_t shared)
{
    uint32_t heads = 0;
    while (shared >> 4 * heads)
        heads++;
    return heads;
}

void state_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct state_params *p = &call->params.state;
    p->batch = random_between(random, 1, 3);
    p->groups = random_between(random, 1, 2);
    p->dk = 4 * example_quads(random) - random_between(random, 0, 3);
    p->dv4 = example_quads(random);
    bool several = example_chance(random, 2);
    uint32_t shared = several && example_chance(random, 2)
                          ? shared_rates[random_between(random, 0, ARRAY_SIZE(shared_rates) - 1)]
                          : 0;
    p->heads = several ? random_between(random, 1, 4) : 0;
    if (shared)
        p->heads = shared_heads(shared);
    p->rate = several ? 1 : example_rows(random, 9);
    p->divisor = p->rate == 1 ? example_rows(random, 9) : 1;
    p->keys = example_rows(random, example_chance(random, 4) ? 600 : 120);
    p->per_stretch = example_rows(random, 40);
    if (several)
        p->per_stretch = (shared ? SHARED_DIVIDE : RATES_DIVIDE) * random_between(random, 1, 5);
    p->stretches = (uint32_t)size_div_up(size_div_up(p->keys, p->rate), p->per_stretch);
    call->options[OPTION_POOLING] = random_between(random, POOLING_MEAN, POOLING_MAX);
    call->options[OPTION_FEATURE] = random_between(random, FEATURE_ELU1, FEATURE_RELU);
    call->options[OPTION_CONTINUE] = random_between(random, 0, 1);
    call->options[OPTION_HEADS] = several;
    call->options[OPTION_SHARED] = shared;
    uint32_t dk4 = (p->dk + 3) / 4, block = dk4 * 4 * p->dv4 + dk4;
    /* Keys may be each head's own while values are shared, and the reverse. */
    uint32_t k_heads = several && !shared && example_chance(random, 2) ? p->heads : 1;
    uint32_t v_heads = several && !shared && example_chance(random, 2) ? p->heads : 1;
    struct span_layout k = example_layout(random, p->groups, k_heads, p->keys, dk4);
    struct span_layout v = example_layout(random, p->groups, v_heads, p->keys, p->dv4);
    p->k_head = k_heads > 1 ? (uint32_t)k.head : 0;
    p->v_head = v_heads > 1 ? (uint32_t)v.head : 0;
    p->k_start = (uint32_t)k.start;
    p->k_batch = (uint32_t)k.batch;
    p->k_group = (uint32_t)k.group;
    p->k_row = (uint32_t)k.row;
    p->v_start = (uint32_t)v.start;
    p->v_batch = (uint32_t)v.batch;
    p->v_group = (uint32_t)v.group;
    p->v_row = (uint32_t)v.row;
    p->p_start = block * random_between(random, 0, 1);
    p->p_group = block * (p->stretches + random_between(random, 0, 1));
    example_place(call, STATE_K, type, &k, p->batch);
    example_place(call, STATE_V, type, &v, p->batch);
    example_tensor(call, STATE_LENGTHS, ELEMENT_U32, p->batch);
    example_tensor(
        call, STATE_P, ELEMENT_F32,
        4 * (uint64_t)(p->p_start + p->batch * p->groups * head_count(call) * p->p_group));
    if (several)
        example_tensor(call, STATE_RATES, ELEMENT_U32, p->heads);
}

/* Fills the blocks that are continued from, and not what lies between them. */
static void fill_blocks(struct random *random, const struct op_call *call)
{
    const struct state_params *p = &call->params.state;
    uint64_t dk4 = size_div_up(p->dk, 4), elements = 4 * p->stretches * (dk4 * 4 * p->dv4 + dk4);
    for (uint64_t index = 0; index < head_count(call) * p->batch * p->groups; index++)
        for (uint64_t i = 0; i < elements; i++)
            tensor_set(&call->tensors[STATE_P], 4 * (p->p_start + index * p->p_group) + i,
                       random_normal(random));
}

void state_prepare(struct random *random, const struct op_call *call)
{
    const struct state_params *p = &call->params.state;
    static const uint32_t rates[] = {1, 2, 3, 4, 6, 12};
    for (uint64_t head = 0; head < call->tensors[STATE_RATES].elements; head++) {
        uint32_t rate = rates[random_between(random, 0, ARRAY_SIZE(rates) - 1)];
        if (call->options[OPTION_SHARED])
            rate = (uint32_t)head_rate(call, head);
        tensor_set_u32(&call->tensors[STATE_RATES], head, rate);
    }
    if (call->options[OPTION_CONTINUE])
        fill_blocks(random, call);
    example_lengths(random, &call->tensors[STATE_LENGTHS], p->keys * p->divisor);
}
