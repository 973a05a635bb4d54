#include "ops/example.h"
#include "ops/reference.h"
#include <math.h>

/* By how many of the largest term's sizes a head must be better than the next one for rounding not
 * to matter. */
#define CLEAR_MARGIN 1e-3

/* One query: its (b, g), the head that it reads and that one's weight (but with soft routing), its
 * row in HEAD and PROB, its elements. */
struct query {
    uint64_t bg, head, row;
    double weight;
    uint64_t q, y;
};

/* What the readout routes by, as a call of `route`. */
static struct op_call as_route(const struct op_call *call)
{
    const struct readout_params *p = &call->params.readout;
    struct op_call route = {.op = &op_route};
    route.params.route = (struct route_params){.batch = p->batch,
                                               .groups = p->groups,
                                               .n = p->n,
                                               .heads = p->heads,
                                               .dk4 = p->dk4,
                                               .q_start = p->q_start,
                                               .q_batch = p->q_batch,
                                               .q_group = p->q_group,
                                               .q_row = p->q_row,
                                               .first_query = p->first_query,
                                               .queries = p->queries};
    route.options[OPTION_ROUTER] = call->options[OPTION_ROUTER];
    route.tensors[ROUTE_Q] = call->tensors[READOUT_Q];
    route.tensors[ROUTE_WEIGHT] = call->tensors[READOUT_WEIGHT];
    route.tensors[ROUTE_BIAS] = call->tensors[READOUT_BIAS];
    route.tensors[ROUTE_LOGITS] = call->tensors[READOUT_LOGITS];
    return route;
}

/* Head and weight with top-1 routing. */
static void route_query(const struct op_call *call, struct query *query)
{
    if (call->options[OPTION_FUSED]) {
        const struct op_call route = as_route(call);
        struct reference_route found = reference_route(&route, query->row);
        query->head = found.head;
        query->weight = found.prob;
        return;
    }
    query->head = tensor_get_u32(&call->tensors[READOUT_HEAD], query->row);
    query->weight = tensor_get(&call->tensors[READOUT_PROB], query->row);
}

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
    if (valid && routing != ROUTING_SOFT)
        add_head(call, query, query->head, query->weight, column, count, total);
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
        uint64_t bg = outer / heads, b = bg / p->groups, g = bg % p->groups;
        uint32_t length = tensor_get_u32(&call->tensors[READOUT_LENGTHS], (uint32_t)b);
        for (uint64_t i = 0; i < p->n; i++) {
            struct query query = {.bg = bg, .head = outer % heads, .weight = 1};
            query.row = bg * p->n + i;
            query.q = 4 * (p->q_start + b * p->q_batch + g * p->q_group + query.head * p->q_head +
                           i * p->q_row);
            query.y = 4 * (p->y_start + b * p->y_batch + g * p->y_group + query.head * p->y_head +
                           i * p->y_row);
            if (call->options[OPTION_ROUTING] == ROUTING_TOP1)
                route_query(call, &query);
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
    if (call->options[OPTION_FUSED] && call->options[OPTION_ROUTER] == ROUTER_WEIGHT)
        *operations += blocks * rows * p->heads * 2 * dk;
    else if (call->options[OPTION_FUSED])
        *bytes += blocks * rows * p->heads * element_bytes(call->tensors[READOUT_LOGITS].type);
    else if (routing != ROUTING_NONE)
        *bytes += blocks * reads * (routing == ROUTING_TOP1 ? 8 : 4);
}

/* Tensors of the route: as it comes from `route`, or what it is made of. */
static void example_route(struct random *random, enum element_type type, struct op_call *call)
{
    struct readout_params *p = &call->params.readout;
    const uint32_t routing = call->options[OPTION_ROUTING];
    uint64_t blocks = (uint64_t)p->batch * p->groups;
    call->options[OPTION_FUSED] = routing == ROUTING_TOP1 && !example_chance(random, 3);
    if (call->options[OPTION_FUSED]) {
        call->options[OPTION_ROUTER] = random_between(random, ROUTER_LOGITS, ROUTER_WEIGHT);
        p->queries = p->first_query + p->n + random_between(random, 0, 5);
    }
    if (call->options[OPTION_FUSED] && call->options[OPTION_ROUTER] == ROUTER_WEIGHT) {
        example_tensor(call, READOUT_WEIGHT, type, 4 * (uint64_t)p->groups * p->heads * p->dk4);
        example_tensor(call, READOUT_BIAS, ELEMENT_F32, (uint64_t)p->groups * p->heads);
    } else if (call->options[OPTION_FUSED]) {
        example_tensor(call, READOUT_LOGITS, type, blocks * p->queries * p->heads);
    } else {
        if (routing == ROUTING_TOP1)
            example_tensor(call, READOUT_HEAD, ELEMENT_U32, blocks * p->n);
        if (routing != ROUTING_NONE)
            example_tensor(call, READOUT_PROB, ELEMENT_F32,
                           blocks * p->n * (routing == ROUTING_SOFT ? p->heads : 1));
    }
}

void readout_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct readout_params *p = &call->params.readout;
    uint32_t routing = random_between(random, ROUTING_TOP1, ROUTING_NONE);
    p->batch = random_between(random, 1, 3);
    p->groups = random_between(random, 1, 2);
    p->heads = random_between(random, 1, example_chance(random, 4) ? 20 : 5);
    p->n = example_rows(random, example_chance(random, 4) ? 700 : 80);
    p->dk4 = example_quads(random);
    p->dv4 = example_quads(random);
    p->eps = (const float[]){1e-6f, 1e-2f, 1}[random_between(random, 0, 2)];
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
    example_route(random, type, call);
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

static double largest(const struct tensor *tensor, uint64_t first, uint64_t count)
{
    double most = 0;
    for (uint64_t i = first; i < first + count; i++)
        most = fmax(most, fabs(tensor_get(tensor, i)));
    return most;
}

/* Makes queries 0 for which two heads are so near that rounding may choose: then their logits are
 * the biases, exactly. */
static void make_choices_clear(const struct op_call *call)
{
    const struct readout_params *p = &call->params.readout;
    const struct op_call route = as_route(call);
    const struct tensor *weight = &call->tensors[READOUT_WEIGHT], *q = &call->tensors[READOUT_Q];
    const uint64_t features = 4 * (uint64_t)p->dk4;
    const double most = largest(weight, 0, weight->elements);
    for (uint64_t row = 0; row < (uint64_t)p->batch * p->groups * p->n; row++) {
        uint64_t bg = row / p->n, b = bg / p->groups, g = bg % p->groups;
        uint64_t at = 4 * (p->q_start + b * p->q_batch + g * p->q_group + row % p->n * p->q_row);
        double term = fmax(most * largest(q, at, features), 1);
        bool clear = reference_route(&route, row).margin > CLEAR_MARGIN * term;
        for (uint64_t f = 0; f < features && !clear; f++)
            tensor_set(q, at + f, 0);
    }
}

void readout_prepare(struct random *random, const struct op_call *call)
{
    const struct readout_params *p = &call->params.readout;
    make_states_possible(random, call);
    example_lengths(random, &call->tensors[READOUT_LENGTHS], p->first_query + p->n);
    if (!call->options[OPTION_FUSED])
        example_numbers(random, &call->tensors[READOUT_HEAD], p->heads - 1);
    else if (call->options[OPTION_ROUTER] == ROUTER_WEIGHT)
        make_choices_clear(call);
    else
        reference_ties(random, &call->tensors[READOUT_LOGITS], p->heads);
}
