/* The states of multires.c's kinds: P_h in stretches of the sequence, and S_h, the sum of them. */
#include "attn/multires.h"

/* How the sequence is split: a function of its length and the rates alone, so that devices agree,
 * and bounded, so that partial states take no more memory from 262,144 keys on, or next to none
 * beside the keys. Short sequences are split enough to fill a device, long ones so that the rows of
 * a stretch stay in a cache while all heads read them, and the longest so that no shader goes round
 * more often than drivers let it (limits.loop_iterations). */
#define FEW_STRETCHES  64
#define FEW_KEYS       256 /* of a stretch at least, up to that many */
#define MANY_STRETCHES 256
#define MANY_KEYS      1024
#define MOST_KEYS      16384 /* of a stretch, before it is rounded up to whole segments */

/* Quads of one state: S [dk4*4][dv4], then z [dk4]. */
static uint64_t state_block(const struct attn_shape *shape)
{
    uint64_t dk4 = size_div_up(shape->dk, 4), dv4 = size_div_up(shape->dv, 4);
    return dk4 * 4 * dv4 + dk4;
}

/* A rate over m pools what m does; within m, kernels can count rows in 32 bits. */
static uint32_t head_rate(const struct attn_shape *shape, uint32_t head)
{
    return (uint32_t)size_min(shape->rates[head], size_max(1, shape->m));
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The least number of keys that holds whole segments of every head; 0 when it is over `most`. */
static uint64_t common_segment(const struct attn_shape *shape, uint64_t most)
{
    uint64_t rows = 1;
    for (uint32_t head = 0; head < shape->heads && rows <= most; head++) {
        uint64_t rate = head_rate(shape, head);
        rows = rows / common_divisor(rows, rate) * rate;
    }
    return rows <= most ? rows : 0;
}

/* Stretches end at the same keys in all heads where that does not make them much longer. */
struct attn_stretches multires_stretches(const struct attn_shape *shape, uint32_t head)
{
    uint64_t keys = size_max(1, shape->m);
    uint64_t few = size_min(FEW_STRETCHES, size_div_up(keys, FEW_KEYS));
    uint64_t wanted = size_max(few, size_min(MANY_STRETCHES, keys / MANY_KEYS));
    uint64_t even = size_min(size_div_up(keys, wanted), MOST_KEYS);
    uint64_t unit = common_segment(shape, even);
    if (!unit)
        unit = head_rate(shape, head);
    uint64_t rows = size_round_up(even, unit);
    return (struct attn_stretches){
        .count = (uint32_t)size_div_up(keys, rows), .rows = (uint32_t)rows, .unit = (uint32_t)unit};
}

/* Where the partial states of a head go, and which keys they are of. */
struct part {
    struct attn_stretches stretches; /* as the keys lie in memory */
    uint32_t keys;
    bool more; /* continues what is in `target` */
    tensor_id target;
    uint64_t p_start, p_group; /* quads */
};

/* Appends partial states of one head. */
static struct graph_call *add_state(struct graph *graph, const struct attn_shape *shape,
                                    const struct attn_io *io, uint32_t head,
                                    const struct part *part)
{
    const struct attn_source *k = &io->k[head], *v = &io->v[head];
    uint32_t rate = head_rate(shape, head);
    struct graph_call *call = graph_add_call(graph, &op_state);
    call->params.state = (struct state_params){
        .batch = shape->batch,
        .groups = shape->groups,
        .dk = shape->dk,
        .dv4 = (uint32_t)size_div_up(shape->dv, 4),
        .rate = k->pooled ? 1 : rate,
        .divisor = k->pooled ? rate : 1,
        .stretches = part->stretches.count,
        .per_stretch = part->stretches.rows / rate,
        .k_start = (uint32_t)k->layout.start,
        .k_batch = (uint32_t)k->layout.batch,
        .k_group = (uint32_t)k->layout.group,
        .k_row = (uint32_t)k->layout.row,
        .v_start = (uint32_t)v->layout.start,
        .v_batch = (uint32_t)v->layout.batch,
        .v_group = (uint32_t)v->layout.group,
        .v_row = (uint32_t)v->layout.row,
        .p_start = (uint32_t)part->p_start,
        .p_group = (uint32_t)part->p_group,
        .keys = k->pooled ? (uint32_t)size_div_up(part->keys, rate) : part->keys,
    };
    call->options[OPTION_POOLING] = shape->pooling;
    call->options[OPTION_FEATURE] = shape->feature;
    call->options[OPTION_CONTINUE] = part->more;
    call->tensors[STATE_K] = k->tensor;
    call->tensors[STATE_V] = v->tensor;
    call->tensors[STATE_LENGTHS] = io->key_lengths;
    call->tensors[STATE_P] = part->target;
    return call;
}

/* Whether sources lie `head` quads apart, from the first head's on. */
static bool evenly_apart(const struct attn_source *sources, uint32_t heads, uint64_t *head)
{
    const struct attn_layout *first = &sources[0].layout;
    *head = heads > 1 ? sources[1].layout.start - first->start : 0;
    for (uint32_t i = 0; i < heads; i++) {
        const struct attn_layout *layout = &sources[i].layout;
        if (sources[i].pooled || sources[i].tensor != sources[0].tensor ||
            layout->start != first->start + i * *head || layout->batch != first->batch ||
            layout->group != first->group || layout->row != first->row)
            return false;
    }
    return true;
}

/* Whether one call can make the states of all heads: their stretches end at the same keys, and
 * their rows are found by one rule. */
static bool all_at_once(const struct attn_shape *shape, const struct attn_io *io, uint64_t *k_head,
                        uint64_t *v_head)
{
    uint32_t rows = multires_stretches(shape, 0).rows;
    for (uint32_t head = 0; head < shape->heads; head++)
        if (multires_stretches(shape, head).rows != rows || rows % head_rate(shape, head))
            return false;
    return shape->heads > 1 && evenly_apart(io->k, shape->heads, k_head) &&
           evenly_apart(io->v, shape->heads, v_head);
}

/* Appends the states of all heads, in one call, and their sums. */
static void add_all_at_once(struct graph *graph, const struct attn_shape *shape,
                            const struct attn_io *io, uint64_t k_head, uint64_t v_head,
                            tensor_id states)
{
    uint32_t rates[ATTN_MAX_HEADS], blocks = shape->batch * shape->groups * shape->heads;
    uint64_t block = state_block(shape);
    struct part part = {.stretches = multires_stretches(shape, 0), .keys = shape->m};
    part.target = states;
    part.p_group = part.stretches.count * block;
    if (part.stretches.count > 1)
        part.target = graph_add_tensor(graph, "partial states", ELEMENT_F32,
                                       blocks * part.p_group * 4, GRAPH_SCRATCH);
    for (uint32_t head = 0; head < shape->heads; head++)
        rates[head] = head_rate(shape, head);
    struct graph_call *call = add_state(graph, shape, io, 0, &part);
    call->options[OPTION_HEADS] = 1;
    if (k_head == 0 && v_head == 0)
        call->options[OPTION_SHARED] = op_shared_rates(rates, shape->heads);
    call->params.state.heads = shape->heads;
    call->params.state.rate = 1;
    call->params.state.per_stretch = part.stretches.rows;
    call->params.state.k_head = (uint32_t)k_head;
    call->params.state.v_head = (uint32_t)v_head;
    call->tensors[STATE_RATES] =
        graph_add_constant(graph, "rates", ELEMENT_U32, shape->heads, rates);
    if (part.target == states)
        return;
    call = graph_add_call(graph, &op_reduce);
    call->params.reduce = (struct reduce_params){.heads = 1, /* of as many blocks as all have */
                                                 .blocks = blocks,
                                                 .stretches = part.stretches.count,
                                                 .quads = (uint32_t)block,
                                                 .s_block = (uint32_t)block};
    call->tensors[REDUCE_P] = part.target;
    call->tensors[REDUCE_S] = states;
}

/* Appends the sums of the partial states of `heads` heads, from `head` on, into their places in S.
 * part: of the first one; the others' lie behind it. */
static void add_reduce(struct graph *graph, const struct attn_shape *shape, uint32_t head,
                       uint32_t heads, const struct part *part, tensor_id states)
{
    uint64_t block = state_block(shape);
    struct graph_call *call = graph_add_call(graph, &op_reduce);
    call->params.reduce = (struct reduce_params){
        .heads = heads,
        .blocks = shape->batch * shape->groups,
        .stretches = part->stretches.count,
        .quads = (uint32_t)block,
        .p_start = (uint32_t)part->p_start,
        .s_start = (uint32_t)(head * block),
        .s_block = (uint32_t)(shape->heads * block),
    };
    call->options[OPTION_CONTINUE] = part->more;
    call->tensors[REDUCE_P] = part->target;
    call->tensors[REDUCE_S] = states;
}

/* The state of a head of one stretch is no sum: it is written to its place in S. */
static void set_whole(const struct attn_shape *shape, uint32_t head, tensor_id states,
                      struct part *part)
{
    uint64_t block = state_block(shape);
    part->target = states;
    part->p_start = head * block;
    part->p_group = shape->heads * block;
}

/* How many heads, from `head` on, have as many stretches: one call sums them. */
static uint32_t alike(const struct attn_shape *shape, uint32_t head)
{
    uint32_t count = multires_stretches(shape, head).count, end = head + 1;
    while (end < shape->heads && multires_stretches(shape, end).count == count)
        end++;
    return end - head;
}

/* Sets where the partial states of heads go that are alike: one head's blocks after the other's. */
static void set_parts(struct graph *graph, const struct attn_shape *shape, uint32_t head,
                      uint32_t heads, tensor_id states, struct part *parts)
{
    uint64_t blocks = (uint64_t)shape->batch * shape->groups;
    uint32_t count = multires_stretches(shape, head).count;
    uint64_t quads = count * state_block(shape);
    tensor_id partial = NO_TENSOR;
    if (count > 1)
        partial = graph_add_tensor(graph, "partial states", ELEMENT_F32,
                                   heads * blocks * quads * 4, GRAPH_SCRATCH);
    for (uint32_t i = 0; i < heads; i++) {
        parts[head + i] = (struct part){.stretches = multires_stretches(shape, head + i),
                                        .keys = shape->m,
                                        .target = partial,
                                        .p_start = i * blocks * quads,
                                        .p_group = quads};
        if (count == 1)
            set_whole(shape, head + i, states, &parts[head + i]);
    }
}

/* Appends what fills S [B, G, H] and returns it. Head by head, all states come before all sums:
 * the heads' states may then overlap on the device. */
tensor_id multires_add_states(struct graph *graph, const struct attn_shape *shape,
                              const struct attn_io *io)
{
    uint64_t block = state_block(shape), blocks = (uint64_t)shape->batch * shape->groups;
    struct part parts[ATTN_MAX_HEADS];
    tensor_id states = graph_add_tensor(graph, "states", ELEMENT_F32,
                                        blocks * shape->heads * block * 4, GRAPH_SCRATCH);
    uint64_t k_head, v_head;
    if (all_at_once(shape, io, &k_head, &v_head)) {
        add_all_at_once(graph, shape, io, k_head, v_head, states);
        return states;
    }
    for (uint32_t head = 0; head < shape->heads; head += alike(shape, head))
        set_parts(graph, shape, head, alike(shape, head), states, parts);
    for (uint32_t head = 0; head < shape->heads; head++)
        add_state(graph, shape, io, head, &parts[head]);
    for (uint32_t head = 0; head < shape->heads; head += alike(shape, head))
        if (parts[head].target != states)
            add_reduce(graph, shape, head, alike(shape, head), &parts[head], states);
    return states;
}

/* ---- in pieces ---- */

uint64_t multires_partials(const struct attn_shape *shape, const struct attn_keys *keys)
{
    bool whole = multires_stretches(shape, keys->head).count == 1;
    return whole ? 0
                 : state_block(shape) * shape->batch * shape->groups * keys->heads * keys->count;
}

uint64_t multires_states(const struct attn_shape *shape)
{
    return state_block(shape) * shape->batch * shape->groups * shape->heads;
}

status multires_add_keys(struct graph *graph, const struct attn_shape *shape,
                         const struct attn_io *io, const struct attn_keys *keys, tensor_id partial,
                         tensor_id states)
{
    uint64_t quads = state_block(shape) * keys->count;
    bool whole = multires_stretches(shape, keys->head).count == 1;
    struct part parts[ATTN_MAX_HEADS];
    for (uint32_t i = 0; i < keys->heads; i++) {
        struct part *part = &parts[i];
        *part = (struct part){.stretches = {.count = keys->count, .rows = keys->rows},
                              .keys = keys->count * keys->rows,
                              .more = !keys->first,
                              .target = partial,
                              .p_start = i * quads * shape->batch * shape->groups,
                              .p_group = quads};
        if (whole)
            set_whole(shape, keys->head + i, states, part);
        add_state(graph, shape, io, keys->head + i, part);
    }
    if (keys->last && !whole) {
        parts[0].more = keys->stretch > 0;
        add_reduce(graph, shape, keys->head, keys->heads, &parts[0], states);
    }
    return graph_status(graph);
}
