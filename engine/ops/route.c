/* route: p = softmax(r) over the heads of a query; r are logits given, or W_r q + b_r. top1: head =
 * argmax r, ties to the lowest, and prob = p[head]; soft: prob = p. */
#include "ops/example.h"
#include "ops/reference.h"
#include <math.h>

/* One query: its (b, g), its row there. */
struct query {
    uint64_t bg, i;
};

static struct query query_of(const struct op_call *call, uint64_t index)
{
    return (struct query){index / call->params.route.n, index % call->params.route.n};
}

static double logit(const struct op_call *call, struct query query, uint64_t head)
{
    const struct route_params *p = &call->params.route;
    const struct tensor *tensors = call->tensors;
    uint64_t b = query.bg / p->groups, g = query.bg % p->groups;
    if (call->options[OPTION_ROUTER] == ROUTER_LOGITS) {
        uint64_t row = query.bg * p->queries + p->first_query + query.i;
        return tensor_get(&tensors[ROUTE_LOGITS], row * p->heads + head);
    }
    uint64_t q = 4 * (p->q_start + b * p->q_batch + g * p->q_group + query.i * p->q_row);
    uint64_t w = 4 * (g * p->heads + head) * p->dk4;
    double sum = tensor_get(&tensors[ROUTE_BIAS], g * p->heads + head);
    for (uint64_t f = 0; f < 4 * (uint64_t)p->dk4; f++)
        sum += tensor_get(&tensors[ROUTE_Q], q + f) * tensor_get(&tensors[ROUTE_WEIGHT], w + f);
    return sum;
}

struct reference_route reference_route(const struct op_call *call, uint64_t index)
{
    struct query query = query_of(call, index);
    struct reference_route route = {0};
    double top = logit(call, query, 0), second = -INFINITY, sum = 0;
    for (uint32_t h = 1; h < call->params.route.heads; h++) {
        double r = logit(call, query, h);
        second = fmax(second, fmin(top, r));
        if (r > top) {
            top = r;
            route.head = h;
        }
    }
    for (uint32_t h = 0; h < call->params.route.heads; h++)
        sum += exp(logit(call, query, h) - top);
    route.prob = 1 / sum;
    route.margin = top - second;
    return route;
}

static void route_query(const struct op_call *call, uint64_t index)
{
    struct reference_route route = reference_route(call, index);
    struct query query = query_of(call, index);
    uint32_t heads = call->params.route.heads;
    if (call->options[OPTION_ROUTING] == ROUTING_TOP1) {
        tensor_set_u32(&call->tensors[ROUTE_HEAD], index, route.head);
        tensor_set(&call->tensors[ROUTE_PROB], index, route.prob);
        return;
    }
    double top = logit(call, query, route.head);
    for (uint32_t h = 0; h < heads; h++)
        tensor_set(&call->tensors[ROUTE_PROB], index * heads + h,
                   exp(logit(call, query, h) - top) * route.prob);
}

static uint64_t query_count(const struct op_call *call)
{
    const struct route_params *p = &call->params.route;
    return (uint64_t)p->batch * p->groups * p->n;
}

static void route_reference(const struct op_call *call)
{
    for (uint64_t index = 0; index < query_count(call); index++)
        route_query(call, index);
}

/* Given logits are compared without rounding. */
static double route_margin(const struct op_call *call, uint64_t element)
{
    if (call->options[OPTION_ROUTER] == ROUTER_LOGITS)
        return INFINITY;
    return reference_route(call, element).margin;
}

enum { TILE_ROWS };

/* Queries of an item; all of one (b, g), so that an item touches few bytes in every layout. */
static uint64_t item_queries(const struct op_candidate *candidate)
{
    return candidate->group * candidate->tiles[TILE_ROWS];
}

/* Items of a (b, g). */
static uint64_t item_tiles(const struct op_call *call, const struct op_candidate *candidate)
{
    return size_div_up(call->params.route.n, item_queries(candidate));
}

static uint64_t route_items(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct route_params *p = &call->params.route;
    return (uint64_t)p->batch * p->groups * item_tiles(call, candidate);
}

/* The first query of an item, counted over all (b, g). */
static uint64_t first_query(const struct op_call *call, const struct op_candidate *candidate,
                            uint64_t item)
{
    uint64_t tiles = item_tiles(call, candidate);
    return item / tiles * call->params.route.n + item % tiles * item_queries(candidate);
}

static void route_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                       uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct route_params *p = &call->params.route;
    uint64_t low = first_query(call, span_candidate(dispatch), first);
    uint64_t end_query = first_query(call, span_candidate(dispatch), end_item);
    uint64_t high = size_min(end_query, query_count(call)) - 1;
    struct query from = query_of(call, low), to = query_of(call, high);
    uint64_t width = element_bytes(call->tensors[index].type);
    struct span_layout layout = {.start = p->q_start,
                                 .batch = p->q_batch,
                                 .group = p->q_group,
                                 .row = p->q_row,
                                 .width = p->dk4,
                                 .groups = p->groups,
                                 .heads = 1};
    switch (index) {
    case ROUTE_Q:
        span_rows(&layout, call->tensors[index].type, from.bg, to.bg, from.i, to.i + 1, p->n, begin,
                  end);
        return;
    case ROUTE_LOGITS:
        *begin = width * p->heads * (from.bg * p->queries + p->first_query + from.i);
        *end = width * p->heads * (to.bg * p->queries + p->first_query + to.i + 1);
        *begin = *begin / 4 * 4; /* whole words */
        *end = size_round_up(*end, 4);
        return;
    case ROUTE_WEIGHT: /* one group's, where that is enough: all may pass what texels can hold */
        span_whole(dispatch, index, begin, end);
        if (from.bg == to.bg) {
            uint64_t group = 4 * width * p->heads * p->dk4;
            *begin = from.bg % p->groups * group;
            *end = *begin + group;
        }
        return;
    case ROUTE_HEAD:
    case ROUTE_PROB:
        if (call->options[OPTION_ROUTING] == ROUTING_SOFT)
            width *= p->heads;
        *begin = width * low;
        *end = width * (high + 1);
        return;
    default:
        span_whole(dispatch, index, begin, end);
    }
}

static void route_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct route_params *p = &call->params.route;
    double queries = (double)query_count(call), heads = p->heads, dk = 4.0 * p->dk4;
    bool weights = call->options[OPTION_ROUTER] == ROUTER_WEIGHT;
    bool top1 = call->options[OPTION_ROUTING] == ROUTING_TOP1;
    *operations = queries * heads * (weights ? 2 * dk : 1);
    *bytes = queries * (weights ? dk * element_bytes(call->tensors[ROUTE_Q].type)
                                : heads * element_bytes(call->tensors[ROUTE_LOGITS].type));
    *bytes += queries * 4 * (top1 ? 2 : heads);
}

static void route_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct route_params *p = &call->params.route;
    p->batch = random_between(random, 1, 3);
    p->groups = random_between(random, 1, 2);
    p->n = example_rows(random, 100);
    p->heads = random_between(random, 1, 9);
    p->dk4 = example_quads(random);
    p->first_query = example_chance(random, 2) ? random_between(random, 1, 20) : 0;
    p->queries = p->first_query + p->n + random_between(random, 0, 5);
    call->options[OPTION_ROUTING] = random_between(random, ROUTING_TOP1, ROUTING_SOFT);
    call->options[OPTION_ROUTER] = random_between(random, ROUTER_LOGITS, ROUTER_WEIGHT);
    uint64_t blocks = (uint64_t)p->batch * p->groups;
    if (call->options[OPTION_ROUTER] == ROUTER_WEIGHT) {
        struct span_layout q = example_layout(random, p->groups, 1, p->n, p->dk4);
        p->q_start = (uint32_t)q.start;
        p->q_batch = (uint32_t)q.batch;
        p->q_group = (uint32_t)q.group;
        p->q_row = (uint32_t)q.row;
        example_place(call, ROUTE_Q, type, &q, p->batch);
        example_tensor(call, ROUTE_WEIGHT, type, 4 * (uint64_t)p->groups * p->heads * p->dk4);
        example_tensor(call, ROUTE_BIAS, ELEMENT_F32, (uint64_t)p->groups * p->heads);
    } else {
        example_tensor(call, ROUTE_LOGITS, type, blocks * p->queries * p->heads);
    }
    if (call->options[OPTION_ROUTING] == ROUTING_TOP1)
        example_tensor(call, ROUTE_HEAD, ELEMENT_U32, blocks * p->n);
    example_tensor(call, ROUTE_PROB, ELEMENT_F32,
                   blocks * p->n * (call->options[OPTION_ROUTING] == ROUTING_SOFT ? p->heads : 1));
}

void reference_ties(struct random *random, const struct tensor *logits, uint32_t heads)
{
    for (uint64_t row = 0; row < logits->elements; row += heads)
        if (example_chance(random, 4))
            tensor_set(logits, row + random_between(random, 0, heads - 1),
                       tensor_get(logits, row + random_between(random, 0, heads - 1)));
}

static void route_prepare(struct random *random, const struct op_call *call)
{
    reference_ties(random, &call->tensors[ROUTE_LOGITS], call->params.route.heads);
}

/* Through heads, four at a time, and for each four through features: for the largest and, where all
 * are stored, once more. */
static uint64_t route_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct route_params *p = &call->params.route;
    uint64_t step = candidate->need & NEED_SHUFFLE ? candidate->group / 4 : 1;
    uint64_t logits = call->options[OPTION_ROUTER] == ROUTER_WEIGHT ? size_div_up(p->dk4, step) : 0;
    uint64_t times = call->options[OPTION_ROUTING] == ROUTING_TOP1 ? 1 : 2;
    return times * size_div_up(p->heads, 4) * (1 + logits);
}

static bool computes_logits(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->options[OPTION_ROUTER] == ROUTER_WEIGHT;
}

static struct op_shape_class route_class(const struct op_call *call)
{
    const struct route_params *p = &call->params.route;
    return (struct op_shape_class){.widths = {p->dk4}, .kind = call->options[OPTION_ROUTER]};
}

static const struct op_candidate candidates[] = {
    {"lane16_texel", SHADER_route_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 16, {4},
     computes_logits},
    {"lane8_texel", SHADER_route_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 8, {4},
     computes_logits},
    {"lane4_texel", SHADER_route_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 4, {4},
     computes_logits},
    {"flat_few", SHADER_route_few, NEED_NOTHING, CLASS_SPARE, 64, {1}, NULL},
    {"flat", SHADER_route, NEED_NOTHING, CLASS_ANY, 64, {1}, NULL},
};

const struct op op_route = {
    .name = "route",
    .tensor_count = 6,
    .params_size = sizeof(struct route_params),
    .writes = 1u << ROUTE_HEAD | 1u << ROUTE_PROB,
    .raw = 1u << ROUTE_BIAS | 1u << ROUTE_LOGITS | 1u << ROUTE_HEAD | 1u << ROUTE_PROB,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = route_reference,
    .items = route_items,
    .span = route_span,
    .cost = route_cost,
    .example = route_example,
    .iterations = route_iterations,
    .prepare = route_prepare,
    .margin = route_margin,
    .shape_class = route_class,
};
