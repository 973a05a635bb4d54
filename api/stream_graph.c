/* What the memory of a piece looks like, and what is done with it. */
#include "stream.h"
#include <string.h>

/* ---- memory ---- */

static void set_dims(struct slot *slot, uint32_t batch, uint32_t groups, uint64_t heads,
                     uint64_t rows)
{
    slot->used = true;
    slot->dims[DIM_BATCH] = batch;
    slot->dims[DIM_GROUP] = groups;
    slot->dims[DIM_HEAD] = (uint32_t)heads;
    slot->dims[DIM_ROW] = (uint32_t)rows;
    slot->rows = (uint64_t)batch * groups * heads * rows;
}

static void set_key_slots(const struct stream_layout *layout, const struct stream_piece *piece,
                          struct slot *slots)
{
    const struct attention_form *form = layout->form;
    uint64_t heads = piece->keys.heads, rows = (uint64_t)piece->keys.count * piece->keys.rows;
    set_dims(&slots[SLOT_K], piece->batches, piece->groups, form->shared_keys ? 1 : heads, rows);
    set_dims(&slots[SLOT_V], piece->batches, piece->groups, form->shared_values ? 1 : heads, rows);
    set_dims(&slots[SLOT_KEY_LENGTHS], piece->batches, 1, 1, 1);
}

static void set_query_slots(const struct stream_layout *layout, const struct stream_piece *piece,
                            struct slot *slots)
{
    const struct slot *whole = layout->form->slots;
    uint32_t batches = piece->batches, groups = piece->groups, heads = layout->form->shape.heads;
    uint32_t streams = whole[SLOT_Q].dims[DIM_HEAD];
    set_dims(&slots[SLOT_Q], batches, groups, streams, piece->rows);
    set_dims(&slots[SLOT_Y], batches, groups, streams, piece->rows);
    set_dims(&slots[SLOT_QUERY_LENGTHS], batches, 1, 1, 1);
    if (whole[SLOT_LOGITS].used)
        set_dims(&slots[SLOT_LOGITS], batches, groups, 1, piece->rows);
    if (whole[SLOT_WEIGHT].used)
        set_dims(&slots[SLOT_WEIGHT], 1, groups, heads, 1);
    if (whole[SLOT_BIAS].used)
        set_dims(&slots[SLOT_BIAS], 1, groups, heads, 1);
    if (layout->route) {
        set_dims(&slots[SLOT_HEAD], batches, groups, 1, piece->rows);
        set_dims(&slots[SLOT_PROB], batches, groups, 1, piece->rows);
    }
}

void stream_memory_init(const struct stream_layout *layout, const struct stream_piece *piece,
                        struct stream_memory *memory)
{
    memcpy(memory->slots, layout->form->slots, sizeof(memory->slots));
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        memory->slots[i].used = false;
    if (piece->queries)
        set_query_slots(layout, piece, memory->slots);
    else
        set_key_slots(layout, piece, memory->slots);
    memory->bytes = 0;
    for (int outputs = 0; outputs < 2; outputs++) {
        for (enum slot_index i = 0; i < SLOT_COUNT; i++) {
            if (!memory->slots[i].used || slot_is_output(i) != outputs)
                continue;
            memory->offsets[i] = memory->bytes;
            memory->bytes += size_round_up(slot_bytes(&memory->slots[i]), STREAM_ALIGNMENT);
        }
        if (!outputs)
            memory->input_bytes = memory->bytes;
    }
}

/* ---- graph ---- */

/* What the ops see as the whole: the round, and of queries the piece. */
static struct attn_shape piece_shape(const struct stream_layout *layout,
                                     const struct stream_piece *piece)
{
    struct attn_shape shape = layout->form->shape;
    shape.batch = piece->batches;
    shape.groups = piece->groups;
    if (piece->queries)
        shape.n = piece->rows;
    return shape;
}

uint64_t stream_state_bytes(const struct stream_layout *layout, const struct stream_piece *piece)
{
    struct attn_shape shape = piece_shape(layout, piece);
    return size_round_up(16 * layout->form->kind->pieces->states(&shape), STREAM_ALIGNMENT);
}

uint64_t stream_partial_bytes(const struct stream_layout *layout, const struct stream_piece *piece)
{
    struct attn_shape shape = piece_shape(layout, piece);
    uint64_t bytes = 16 * layout->form->kind->pieces->partials(&shape, &piece->keys);
    return size_round_up(bytes, STREAM_ALIGNMENT);
}

static void set_sources(const struct stream_piece *piece, const struct stream_memory *memory,
                        const tensor_id *tensors, struct attn_io *io)
{
    static const adamra_strides tight;
    struct attn_layout k = slot_layout(&memory->slots[SLOT_K], &tight);
    struct attn_layout v = slot_layout(&memory->slots[SLOT_V], &tight);
    for (uint32_t i = 0; i < piece->keys.heads; i++) {
        struct attn_source *key = &io->k[piece->keys.head + i];
        struct attn_source *value = &io->v[piece->keys.head + i];
        *key = (struct attn_source){.tensor = tensors[SLOT_K], .layout = k};
        *value = (struct attn_source){.tensor = tensors[SLOT_V], .layout = v};
        key->layout.start = i * k.head;
        value->layout.start = i * v.head;
    }
}

static struct attn_io query_io(const struct stream_memory *memory, const tensor_id *tensors)
{
    static const adamra_strides tight;
    return (struct attn_io){
        .q = tensors[SLOT_Q],
        .y = tensors[SLOT_Y],
        .q_layout = slot_layout(&memory->slots[SLOT_Q], &tight),
        .y_layout = slot_layout(&memory->slots[SLOT_Y], &tight),
        .key_lengths = NO_TENSOR,
        .query_lengths = tensors[SLOT_QUERY_LENGTHS],
        .router_logits = tensors[SLOT_LOGITS],
        .router_weight = tensors[SLOT_WEIGHT],
        .router_bias = tensors[SLOT_BIAS],
        .router_head = tensors[SLOT_HEAD],
        .router_prob = tensors[SLOT_PROB],
    };
}

status stream_graph(const struct stream_layout *layout, const struct stream_piece *piece,
                    const struct stream_memory *memory, struct graph *graph,
                    tensor_id tensors[STREAM_TENSORS])
{
    const struct attn_pieces *pieces = layout->form->kind->pieces;
    struct attn_shape shape = piece_shape(layout, piece);
    for (uint32_t i = 0; i < STREAM_TENSORS; i++)
        tensors[i] = NO_TENSOR;
    for (enum slot_index i = 0; i < SLOT_COUNT; i++) {
        const struct slot *slot = &memory->slots[i];
        if (slot->used)
            tensors[i] = graph_add_tensor(graph, slot->name, slot->type,
                                          size_max(slot_elements(slot), 1), GRAPH_BOUND);
    }
    tensors[STREAM_STATES] = graph_add_tensor(graph, "states", ELEMENT_F32,
                                              stream_state_bytes(layout, piece) / 4, GRAPH_BOUND);
    if (piece->queries) {
        struct attn_io io = query_io(memory, tensors);
        return pieces->add_queries(graph, &shape, &io, tensors[STREAM_STATES]);
    }
    uint64_t partials = stream_partial_bytes(layout, piece);
    if (partials)
        tensors[STREAM_PARTIALS] =
            graph_add_tensor(graph, "partial states", ELEMENT_F32, partials / 4, GRAPH_BOUND);
    struct attn_io io = {.key_lengths = tensors[SLOT_KEY_LENGTHS]};
    set_sources(piece, memory, tensors, &io);
    return pieces->add_keys(graph, &shape, &io, &piece->keys, tensors[STREAM_PARTIALS],
                            tensors[STREAM_STATES]);
}

bool stream_same_graph(const struct stream_piece *a, const struct stream_piece *b)
{
    const struct attn_keys *x = &a->keys, *y = &b->keys;
    if (a->batches != b->batches || a->groups != b->groups || a->queries != b->queries)
        return false;
    if (a->queries)
        return a->rows == b->rows;
    return x->head == y->head && x->heads == y->heads && x->count == y->count &&
           x->rows == y->rows && x->first == y->first && x->last == y->last &&
           (x->stretch > 0) == (y->stretch > 0);
}
