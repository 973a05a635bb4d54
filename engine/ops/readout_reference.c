#include "ops/example.h"
#include "ops/reference.h"
#include <math.h>

/* One query: its (b, g), its own head without routing, its row in HEAD and PROB, its elements. */
struct query {
    uint64_t bg, head, row;
    uint64_t q, y;
};

/* Elements of a state: S [dk4*4][dv4*4], then z [dk4*4]. */
static uint64_t block_elements(const struct readout_params *p)
{
    return 4 * ((uint64_t)p->dk4 * 4 * p->dv4 + p->dk4);
}

/* total += weight * phi(q)^T S_h / (phi(q)^T z_h + eps) in columns [column, column + count) */
static void add_head(const struct op_call *call, const struct query *query, uint64_t head,
                     double weight, uint32_t column, uint32_t count, double *total)
{
    const struct readout_params *p = &call->params.readout;
    const struct tensor *s = &call->tensors[READOUT_S];
    double sum[REFERENCE_COLUMNS] = {0}, divisor = p->eps;
    uint64_t features = 4 * (uint64_t)p->dk4, columns = 4 * (uint64_t)p->dv4;
    uint64_t block = (query->bg * p->heads + head) * block_elements(p);
    for (uint64_t f = 0; f < features; f++) {
        double x = feature_map(call->options[OPTION_FEATURE],
                               tensor_get(&call->tensors[READOUT_Q], query->q + f));
        divisor += x * tensor_get(s, block + features * columns + f);
        for (uint32_t c = 0; c < count; c++)
            sum[c] += x * tensor_get(s, block + f * columns + column + c);
    }
    for (uint32_t c = 0; c < count; c++)
        total[c] += weight * sum[c] / divisor;
}

static void readout_block(const struct op_call *call, const struct query *query, bool valid,
                          uint32_t column, uint32_t count)
{
    uint32_t routing = call->options[OPTION_ROUTING], heads = call->params.readout.heads;
    const struct tensor *prob = &call->tensors[READOUT_PROB];
    double total[REFERENCE_COLUMNS] = {0};
    if (valid && routing == ROUTING_NONE)
        add_head(call, query, query->head, 1, column, count, total);
    if (valid && routing == ROUTING_TOP1)
        add_head(call, query, tensor_get_u32(&call->tensors[READOUT_HEAD], query->row),
                 tensor_get(prob, query->row), column, count, total);
    for (uint32_t h = 0; valid && routing == ROUTING_SOFT && h < heads; h++)
        add_head(call, query, h, tensor_get(prob, query->row * heads + h), column, count, total);
    for (uint32_t c = 0; c < count; c++)
        tensor_set(&call->tensors[READOUT_Y], query->y + column + c, total[c]);
}

void readout_reference(const struct op_call *call)
{
    const struct readout_params *p = &call->params.readout;
    uint32_t columns = 4 * p->dv4;
    uint64_t heads = call->options[OPTION_ROUTING] == ROUTING_NONE ? p->heads : 1;
    for (uint64_t outer = 0; outer < heads * p->batch * p->groups; outer++) {
        struct query query = {.bg = outer / heads, .head = outer % heads};
        uint64_t b = query.bg / p->groups, g = query.bg % p->groups;
        uint32_t length = tensor_get_u32(&call->tensors[READOUT_LENGTHS], (uint32_t)b);
        for (uint64_t i = 0; i < p->n; i++) {
            query.row = query.bg * p->n + i;
            query.q = 4 * (p->q_start + b * p->q_batch + g * p->q_group + query.head * p->q_head +
                           i * p->q_row);
            query.y = 4 * (p->y_start + b * p->y_batch + g * p->y_group + query.head * p->y_head +
                           i * p->y_row);
            for (uint32_t c = 0; c < columns; c += REFERENCE_COLUMNS)
                readout_block(call, &query, p->first_query + i < length, c,
                              (uint32_t)size_min(REFERENCE_COLUMNS, columns - c));
        }
    }
}

void readout_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct readout_params *p = &call->params.readout;
    uint32_t routing = call->options[OPTION_ROUTING];
    double blocks = (double)p->batch * p->groups, dk = 4.0 * p->dk4, dv = 4.0 * p->dv4;
    double reads = (double)p->n * (routing == ROUTING_TOP1 ? 1 : p->heads);
    double rows = (double)p->n * (routing == ROUTING_NONE ? p->heads : 1);
    *operations = blocks * 2 * dk * dv * reads;
    *bytes = blocks * (rows * dk * element_bytes(call->tensors[READOUT_Q].type) +
                       rows * dv * element_bytes(call->tensors[READOUT_Y].type) +
                       4.0 * p->heads * dk * (dv + 1));
    if (routing != ROUTING_NONE)
        *bytes += blocks * reads * 4;
    if (routing == ROUTING_TOP1)
        *bytes += blocks * reads * 4;
}

void readout_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct readout_params *p = &call->params.readout;
    uint32_t routing = random_between(random, ROUTING_TOP1, ROUTING_NONE);
    p->batch = random_between(random, 1, 3);
    p->groups = random_between(random, 1, 2);
    p->heads = random_between(random, 1, 5);
    p->n = example_rows(random, example_chance(random, 4) ? 700 : 80);
    p->dk4 = example_quads(random);
    p->dv4 = example_quads(random);
    p->eps = 1e-6f;
    p->first_query = example_chance(random, 2) ? random_between(random, 1, 50) : 0;
    call->options[OPTION_FEATURE] = random_between(random, FEATURE_ELU1, FEATURE_RELU);
    call->options[OPTION_ROUTING] = routing;
    uint32_t heads = routing == ROUTING_NONE ? p->heads : 1;
    struct span_layout q = example_layout(random, p->groups, heads, p->n, p->dk4);
    struct span_layout y = example_layout(random, p->groups, heads, p->n, p->dv4);
    p->q_start = (uint32_t)q.start;
    p->q_batch = (uint32_t)q.batch;
    p->q_group = (uint32_t)q.group;
    p->q_head = (uint32_t)q.head;
    p->q_row = (uint32_t)q.row;
    p->y_start = (uint32_t)y.start;
    p->y_batch = (uint32_t)y.batch;
    p->y_group = (uint32_t)y.group;
    p->y_head = (uint32_t)y.head;
    p->y_row = (uint32_t)y.row;
    uint64_t blocks = (uint64_t)p->batch * p->groups;
    example_place(call, READOUT_Q, type, &q, p->batch);
    example_place(call, READOUT_Y, type, &y, p->batch);
    example_tensor(call, READOUT_S, ELEMENT_F32, blocks * p->heads * block_elements(p));
    example_tensor(call, READOUT_LENGTHS, ELEMENT_U32, p->batch);
    if (routing == ROUTING_TOP1)
        example_tensor(call, READOUT_HEAD, ELEMENT_U32, blocks * p->n);
    if (routing != ROUTING_NONE)
        example_tensor(call, READOUT_PROB, ELEMENT_F32,
                       blocks * p->n * (routing == ROUTING_SOFT ? p->heads : 1));
}

/* Makes states possible: some are those of no keys, all zeros; the normaliser of others is large
 * enough that quotients stay within a half's range. */
static void make_states_possible(struct random *random, const struct op_call *call)
{
    const struct readout_params *p = &call->params.readout;
    const struct tensor *s = &call->tensors[READOUT_S];
    uint64_t block = block_elements(p), features = 4 * (uint64_t)p->dk4;
    for (uint64_t start = 0; start < s->elements; start += block) {
        bool empty = example_chance(random, 4);
        for (uint64_t i = start; empty && i < start + block; i++)
            tensor_set(s, i, 0);
        for (uint64_t i = start + block - features; !empty && i < start + block; i++)
            tensor_set(s, i, 1 + fabs(tensor_get(s, i)));
    }
}

void readout_prepare(struct random *random, const struct op_call *call)
{
    const struct readout_params *p = &call->params.readout;
    make_states_possible(random, call);
    example_lengths(random, &call->tensors[READOUT_LENGTHS], p->first_query + p->n);
    example_numbers(random, &call->tensors[READOUT_HEAD], p->heads - 1);
}
