/* adamra: heads of several resolutions and a router; linear: one head at rate 1, no router.
 *
 *   state     P_h = phi(pool(K_h))^T pool(V_h), and z_h, in stretches of the sequence, per head
 *   reduce    S_h = sum of the stretches of P_h, where there are several
 *   route     head and probability of each query (top1), or all probabilities (soft)
 *   readout   Y from phi(Q), S and the route
 *
 * A top1 route that nobody asked for is made by the readout itself.
 * Heads write different regions, so their states need no barrier between them. */
#include "attn/multires.h"

/* Routes that nobody asked for are scratch, made for this many queries (of all batch rows and
 * groups) at a time, so that scratch does not grow with n. */
#define ROUTED_QUERIES 65536
#define LEAST_CHUNK    1024

/* Where a chunk of the queries is, and its route. */
struct chunk {
    uint32_t first, count;
    tensor_id head, prob; /* NO_TENSOR: there is none, or the readout makes it */
};

static void add_route(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io,
                      const struct chunk *chunk)
{
    const struct attn_layout *q = &io->q_layout;
    struct graph_call *call = graph_add_call(graph, &op_route);
    call->params.route = (struct route_params){
        .batch = shape->batch,
        .groups = shape->groups,
        .n = chunk->count,
        .heads = shape->heads,
        .dk4 = (uint32_t)size_div_up(shape->dk, 4),
        .q_start = (uint32_t)(q->start + chunk->first * q->row),
        .q_batch = (uint32_t)q->batch,
        .q_group = (uint32_t)q->group,
        .q_row = (uint32_t)q->row,
        .first_query = chunk->first,
        .queries = shape->n,
    };
    call->options[OPTION_ROUTING] = shape->routing;
    call->options[OPTION_ROUTER] = shape->router;
    if (shape->router == ROUTER_WEIGHT) {
        call->tensors[ROUTE_Q] = io->q;
        call->tensors[ROUTE_WEIGHT] = io->router_weight;
        call->tensors[ROUTE_BIAS] = io->router_bias;
    } else {
        call->tensors[ROUTE_LOGITS] = io->router_logits;
    }
    call->tensors[ROUTE_HEAD] = chunk->head;
    call->tensors[ROUTE_PROB] = chunk->prob;
}

static bool is_fused(const struct attn_shape *shape, const struct attn_io *io)
{
    return shape->routing == ROUTING_TOP1 && io->router_head == NO_TENSOR &&
           io->router_prob == NO_TENSOR;
}

/* What the readout routes by, in place of a route. */
static void set_router(struct graph_call *call, const struct attn_shape *shape,
                       const struct attn_io *io)
{
    call->options[OPTION_FUSED] = 1;
    call->options[OPTION_ROUTER] = shape->router;
    if (shape->router == ROUTER_WEIGHT) {
        call->tensors[READOUT_WEIGHT] = io->router_weight;
        call->tensors[READOUT_BIAS] = io->router_bias;
    } else {
        call->tensors[READOUT_LOGITS] = io->router_logits;
    }
}

static void add_readout(struct graph *graph, const struct attn_shape *shape,
                        const struct attn_io *io, tensor_id states, const struct chunk *chunk)
{
    const struct attn_layout *q = &io->q_layout, *y = &io->y_layout;
    struct graph_call *call = graph_add_call(graph, &op_readout);
    call->params.readout = (struct readout_params){
        .batch = shape->batch,
        .groups = shape->groups,
        .heads = shape->heads,
        .n = chunk->count,
        .dk4 = (uint32_t)size_div_up(shape->dk, 4),
        .dv4 = (uint32_t)size_div_up(shape->dv, 4),
        .q_start = (uint32_t)(q->start + chunk->first * q->row),
        .q_batch = (uint32_t)q->batch,
        .q_group = (uint32_t)q->group,
        .q_head = (uint32_t)q->head,
        .q_row = (uint32_t)q->row,
        .y_start = (uint32_t)(y->start + chunk->first * y->row),
        .y_batch = (uint32_t)y->batch,
        .y_group = (uint32_t)y->group,
        .y_head = (uint32_t)y->head,
        .y_row = (uint32_t)y->row,
        .eps = shape->eps,
        .first_query = chunk->first,
        .queries = shape->n,
    };
    call->options[OPTION_FEATURE] = shape->feature;
    call->options[OPTION_ROUTING] = shape->routing;
    call->tensors[READOUT_Q] = io->q;
    call->tensors[READOUT_S] = states;
    call->tensors[READOUT_HEAD] = chunk->head;
    call->tensors[READOUT_PROB] = chunk->prob;
    call->tensors[READOUT_LENGTHS] = io->query_lengths;
    call->tensors[READOUT_Y] = io->y;
    if (is_fused(shape, io))
        set_router(call, shape, io);
}

/* Queries routed at a time: all of them where the route is an output. */
static uint32_t chunk_size(const struct attn_shape *shape, const struct attn_io *io)
{
    if (io->router_head != NO_TENSOR || io->router_prob != NO_TENSOR)
        return shape->n;
    uint64_t blocks = (uint64_t)shape->batch * shape->groups;
    uint64_t rows = size_max(LEAST_CHUNK, ROUTED_QUERIES / size_max(1, blocks));
    return (uint32_t)size_min(rows, shape->n);
}

static void add_routed_readout(struct graph *graph, const struct attn_shape *shape,
                               const struct attn_io *io, tensor_id states)
{
    bool top1 = shape->routing == ROUTING_TOP1;
    uint32_t size = chunk_size(shape, io);
    uint64_t rows = (uint64_t)shape->batch * shape->groups * size;
    struct chunk chunk = {.head = io->router_head, .prob = io->router_prob};
    if (!top1)
        chunk.head = NO_TENSOR;
    else if (chunk.head == NO_TENSOR)
        chunk.head = graph_add_tensor(graph, "router.head", ELEMENT_U32, rows, GRAPH_SCRATCH);
    if (chunk.prob == NO_TENSOR)
        chunk.prob = graph_add_tensor(graph, "router.prob", ELEMENT_F32,
                                      rows * (top1 ? 1 : shape->heads), GRAPH_SCRATCH);
    for (uint64_t first = 0; first < shape->n; first += size) {
        chunk.first = (uint32_t)first;
        chunk.count = (uint32_t)size_min(size, shape->n - first);
        add_route(graph, shape, io, &chunk);
        add_readout(graph, shape, io, states, &chunk);
    }
}

static status add_queries(struct graph *graph, const struct attn_shape *shape,
                          const struct attn_io *io, tensor_id states)
{
    if (shape->routing == ROUTING_NONE || is_fused(shape, io)) {
        struct chunk all = {.count = shape->n, .head = NO_TENSOR, .prob = NO_TENSOR};
        add_readout(graph, shape, io, states, &all);
    } else {
        add_routed_readout(graph, shape, io, states);
    }
    return graph_status(graph);
}

static status build_adamra(struct graph *graph, const struct attn_shape *shape,
                           const struct attn_io *io)
{
    return add_queries(graph, shape, io, multires_add_states(graph, shape, io));
}

static const struct attn_pieces pieces = {.stretches = multires_stretches,
                                          .states = multires_states,
                                          .partials = multires_partials,
                                          .add_keys = multires_add_keys,
                                          .add_queries = add_queries};

static status cost_adamra(const struct attn_shape *shape, bool shared_kv, double *operations,
                          double *bytes)
{
    double blocks = (double)shape->batch * shape->groups;
    double n = shape->n, m = shape->m, dk = shape->dk, dv = shape->dv, heads = shape->heads;
    bool routed = shape->routing != ROUTING_NONE;
    double segments = 0;
    for (uint32_t head = 0; head < shape->heads; head++)
        segments += (double)size_div_up(shape->m, shape->rates[head]);

    double reads = shape->routing == ROUTING_TOP1 ? n : heads * n;
    double numbers = (routed ? 1 : heads) * n * (dk + dv) + (shared_kv ? 1 : heads) * m * (dk + dv);
    *operations = 2 * dk * dv * (segments + reads);
    if (routed && shape->router == ROUTER_WEIGHT)
        *operations += 2 * n * heads * dk;
    else if (routed)
        numbers += n * heads;
    *operations *= blocks;
    *bytes = blocks * numbers * element_bytes(shape->type);
    return STATUS_OK;
}

/* The same attention as adamra's with one head that pools nothing. */
static struct attn_shape as_linear(const struct attn_shape *shape)
{
    struct attn_shape linear = *shape;
    linear.heads = 1;
    linear.rates[0] = 1;
    linear.routing = ROUTING_NONE;
    return linear;
}

static status build_linear(struct graph *graph, const struct attn_shape *shape,
                           const struct attn_io *io)
{
    struct attn_shape linear = as_linear(shape);
    return build_adamra(graph, &linear, io);
}

static status cost_linear(const struct attn_shape *shape, bool shared_kv, double *operations,
                          double *bytes)
{
    struct attn_shape linear = as_linear(shape);
    return cost_adamra(&linear, shared_kv, operations, bytes);
}

const struct attn_kind attn_adamra = {.name = "adamra",
                                      .multires = true,
                                      .build = build_adamra,
                                      .cost = cost_adamra,
                                      .pieces = &pieces};
const struct attn_kind attn_linear = {
    .name = "linear", .build = build_linear, .cost = cost_linear, .pieces = &pieces};
