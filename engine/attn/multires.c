/* adamra: heads of several resolutions and a router; linear: one head at rate 1, no router.
 *
 *   state     P_h = phi(pool(K_h))^T pool(V_h), and z_h, in stretches of the sequence, per head
 *   reduce    S_h = sum of the stretches of P_h, where there are several
 *   route     head and probability of each query (top1), or all probabilities (soft)
 *   readout   Y from phi(Q), S and the route
 *
 * Heads write different regions, so their states need no barrier between them. */
#include "attn/attn.h"

/* How the sequence is split: a function of its length alone, so that devices agree, and bounded, so
 * that partial states take no more memory from 16,384 keys on. */
#define MAX_STRETCHES 64
#define STRETCH_KEYS  256

/* Routes that nobody asked for are scratch, made for this many queries (of all batch rows and
 * groups) at a time, so that scratch does not grow with n. */
#define ROUTED_QUERIES 65536
#define LEAST_CHUNK    1024

/* Quads of one state: S [dk4*4][dv4], then z [dk4]. */
static uint64_t state_block(const struct attn_shape *shape)
{
    uint64_t dk4 = size_div_up(shape->dk, 4), dv4 = size_div_up(shape->dv, 4);
    return dk4 * 4 * dv4 + dk4;
}

struct stretches {
    uint32_t count, segments; /* segments of each; the last may have fewer */
};

static struct stretches split_segments(uint32_t keys, uint64_t segments)
{
    uint64_t wanted = size_max(1, size_min(MAX_STRETCHES, size_div_up(keys, STRETCH_KEYS)));
    uint64_t each = size_max(1, size_div_up(segments, wanted));
    uint64_t count = size_max(1, size_div_up(segments, each));
    return (struct stretches){.count = (uint32_t)count, .segments = (uint32_t)each};
}

/* A rate over m pools what m does; within m, kernels can count rows in 32 bits. */
static uint32_t head_rate(const struct attn_shape *shape, uint32_t head)
{
    return (uint32_t)size_min(shape->rates[head], size_max(1, shape->m));
}

static struct stretches head_stretches(const struct attn_shape *shape, uint32_t head)
{
    return split_segments(shape->m, size_div_up(shape->m, head_rate(shape, head)));
}

/* Appends the state of one head, written to `target` at p_start, p_group quads a (b, g). */
static void add_state(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io,
                      uint32_t head, tensor_id target, uint64_t p_start, uint64_t p_group)
{
    const struct attn_source *k = &io->k[head], *v = &io->v[head];
    struct stretches stretches = head_stretches(shape, head);
    uint32_t rate = head_rate(shape, head);
    struct graph_call *call = graph_add_call(graph, &op_state);
    call->params.state = (struct state_params){
        .batch = shape->batch,
        .groups = shape->groups,
        .dk = shape->dk,
        .dv4 = (uint32_t)size_div_up(shape->dv, 4),
        .rate = k->pooled ? 1 : rate,
        .divisor = k->pooled ? rate : 1,
        .stretches = stretches.count,
        .per_stretch = stretches.segments,
        .k_start = (uint32_t)k->layout.start,
        .k_batch = (uint32_t)k->layout.batch,
        .k_group = (uint32_t)k->layout.group,
        .k_row = (uint32_t)k->layout.row,
        .v_start = (uint32_t)v->layout.start,
        .v_batch = (uint32_t)v->layout.batch,
        .v_group = (uint32_t)v->layout.group,
        .v_row = (uint32_t)v->layout.row,
        .p_start = (uint32_t)p_start,
        .p_group = (uint32_t)p_group,
        .keys = k->pooled ? (uint32_t)size_div_up(shape->m, rate) : shape->m,
    };
    call->options[OPTION_POOLING] = shape->pooling;
    call->options[OPTION_FEATURE] = shape->feature;
    call->tensors[STATE_K] = k->tensor;
    call->tensors[STATE_V] = v->tensor;
    call->tensors[STATE_LENGTHS] = io->key_lengths;
    call->tensors[STATE_P] = target;
}

/* Appends the sum of one head's partial states into its place in S. */
static void add_reduce(struct graph *graph, const struct attn_shape *shape, uint32_t head,
                       tensor_id partial, tensor_id states)
{
    uint64_t block = state_block(shape);
    struct graph_call *call = graph_add_call(graph, &op_reduce);
    call->params.reduce = (struct reduce_params){
        .blocks = shape->batch * shape->groups,
        .stretches = head_stretches(shape, head).count,
        .quads = (uint32_t)block,
        .s_start = (uint32_t)(head * block),
        .s_block = (uint32_t)(shape->heads * block),
    };
    call->tensors[REDUCE_P] = partial;
    call->tensors[REDUCE_S] = states;
}

/* Appends what fills S [B, G, H] and returns it. All states come before all sums: the heads'
 * states may then overlap on the device. */
static tensor_id add_states(struct graph *graph, const struct attn_shape *shape,
                            const struct attn_io *io)
{
    uint64_t block = state_block(shape), blocks = (uint64_t)shape->batch * shape->groups;
    tensor_id partial[ATTN_MAX_HEADS];
    tensor_id states = graph_add_tensor(graph, "states", ELEMENT_F32,
                                        blocks * shape->heads * block * 4, GRAPH_SCRATCH);
    for (uint32_t head = 0; head < shape->heads; head++) {
        uint64_t stretches = head_stretches(shape, head).count;
        if (stretches == 1) {
            partial[head] = NO_TENSOR;
            add_state(graph, shape, io, head, states, head * block, shape->heads * block);
        } else {
            partial[head] = graph_add_tensor(graph, "partial states", ELEMENT_F32,
                                             blocks * stretches * block * 4, GRAPH_SCRATCH);
            add_state(graph, shape, io, head, partial[head], 0, stretches * block);
        }
    }
    for (uint32_t head = 0; head < shape->heads; head++)
        if (partial[head] != NO_TENSOR)
            add_reduce(graph, shape, head, partial[head], states);
    return states;
}

/* Where a chunk of the queries is, and its route. */
struct chunk {
    uint32_t first, count;
    tensor_id head, prob;
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
    };
    call->options[OPTION_FEATURE] = shape->feature;
    call->options[OPTION_ROUTING] = shape->routing;
    call->tensors[READOUT_Q] = io->q;
    call->tensors[READOUT_S] = states;
    call->tensors[READOUT_HEAD] = chunk->head;
    call->tensors[READOUT_PROB] = chunk->prob;
    call->tensors[READOUT_LENGTHS] = io->query_lengths;
    call->tensors[READOUT_Y] = io->y;
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

static status build_adamra(struct graph *graph, const struct attn_shape *shape,
                           const struct attn_io *io)
{
    tensor_id states = add_states(graph, shape, io);
    if (shape->routing == ROUTING_NONE) {
        struct chunk all = {.count = shape->n, .head = NO_TENSOR, .prob = NO_TENSOR};
        add_readout(graph, shape, io, states, &all);
    } else {
        add_routed_readout(graph, shape, io, states);
    }
    return graph_status(graph);
}

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

const struct attn_kind attn_adamra = {
    .name = "adamra", .multires = true, .build = build_adamra, .cost = cost_adamra};
const struct attn_kind attn_linear = {.name = "linear", .build = build_linear, .cost = cost_linear};
