/* How large rounds and pieces are. */
#include "model/plan.h"
#include "stream.h"
#include <string.h>

/* Larger pieces gain nothing, and the first copy in and the last one out wait for nobody; kernels
 * count quads in 32 bits. */
#define PIECE_BYTES (UINT64_C(32) << 20)
#define MOST_BYTES  (UINT64_C(8) << 30)
/* Buffers of pieces: two are on their way at a time. */
#define PIECES 2
/* Where the host does not see the device's memory a piece is there, and twice beside it: on its way
 * in, and on its way out. */
#define STAGED_COPIES 3
/* Of what may be taken, one part in so many is left to the gaps between buffers. */
#define GAP_SHARE 8
/* Of what the states leave, one part in so many is for partial states. */
#define PARTIAL_SHARE 4
/* Queries of a piece, at the least. */
#define LEAST_QUERIES 64

/* ---- what there is ---- */

static uint64_t without_gaps(uint64_t bytes)
{
    return bytes - size_div_up(bytes, GAP_SHARE);
}

/* The pieces' buffers for a size of piece. */
static uint64_t set_factor(const struct stream_limits *limits)
{
    return PIECES * (limits->staged ? STAGED_COPIES : 1);
}

static struct stream_piece whole_round(const struct stream_layout *layout)
{
    return (struct stream_piece){.batches = layout->batches, .groups = layout->groups};
}

/* Divides what the states of a round leave; false when they leave nothing. */
static bool divide(const struct stream_limits *limits, uint64_t most, struct stream_layout *layout)
{
    struct stream_piece piece = whole_round(layout);
    uint64_t states = stream_state_bytes(layout, &piece), memory = without_gaps(limits->memory);
    if (states >= memory || states > limits->allocation)
        return false;
    uint64_t rest = memory - states, partial = rest / PARTIAL_SHARE;
    layout->partial_bytes = size_min(partial, size_min(limits->allocation, MOST_BYTES));
    layout->piece_bytes =
        size_min(size_min(most, limits->allocation), (rest - partial) / set_factor(limits));
    return true;
}

/* ---- what fits ---- */

/* Whether all passes fit with pieces of `least` rows; whole: without reading shared keys again. */
static bool keys_fit(const struct stream_layout *layout, uint32_t least, bool whole)
{
    const uint32_t heads = layout->form->shape.heads;
    const bool shared = layout->form->shared_keys || layout->form->shared_values;
    struct stream_piece piece = whole_round(layout);
    while (piece.keys.head < heads) {
        if (!stream_pass(layout, least, &piece))
            return false;
        if (whole && shared && piece.keys.heads < stream_equal_heads(layout, piece.keys.head))
            return false;
        piece.keys.head += piece.keys.heads;
    }
    return true;
}

/* Bytes of a piece of queries, and what its ops need besides. */
static status query_bytes(struct logger *log, const struct stream_layout *layout, uint32_t rows,
                          uint64_t *bytes, uint64_t *besides)
{
    struct stream_piece piece = whole_round(layout);
    struct stream_memory memory;
    struct graph graph;
    tensor_id tensors[STREAM_TENSORS];
    piece.queries = true;
    piece.rows = rows;
    stream_memory_init(layout, &piece, &memory);
    graph_init(&graph);
    status result = stream_graph(layout, &piece, &memory, &graph, tensors);
    if (result)
        fail(log, result, "no memory for the graph of an attention");
    else
        result = plan_measure(log, &graph, besides);
    graph_finish(&graph);
    *bytes = memory.bytes;
    *besides = size_round_up(*besides, STREAM_ALIGNMENT);
    return result;
}

/* Sets the queries of a piece, `most` at the most, and what they leave for pieces of keys, which
 * share its buffer; 0 where `least` do not fit. */
static status fit_queries(struct logger *log, uint32_t least, uint32_t most,
                          struct stream_layout *layout)
{
    uint32_t n = layout->form->shape.n;
    uint64_t bytes, besides = 0, rows = most;
    for (;;) {
        status result = query_bytes(log, layout, (uint32_t)rows, &bytes, &besides);
        if (result)
            return result;
        bytes += besides;
        if (bytes <= layout->piece_bytes)
            break;
        if (rows <= least) {
            layout->query_rows = 0;
            return STATUS_OK;
        }
        /* Bytes do not grow faster than rows, but for gaps and what is there for any number. */
        double share = (double)layout->piece_bytes / (double)bytes;
        rows = size_max(least, size_min(rows - 1, (uint64_t)((double)rows * share)));
    }
    /* Pieces about as large as each other. */
    rows = size_div_up(n, size_div_up(n, rows));
    layout->query_rows = (uint32_t)rows;
    layout->key_bytes = layout->piece_bytes - besides;
    return STATUS_OK;
}

/* Whether rounds of layout->batches and groups can be done; good: without small pieces. */
static status round_fits(struct logger *log, const struct stream_limits *limits, bool good,
                         struct stream_layout *layout, bool *fits)
{
    const uint32_t n = layout->form->shape.n;
    const uint32_t least = (uint32_t)size_min(good ? LEAST_QUERIES : 1, n);
    *fits = false;
    if (!divide(limits, good ? PIECE_BYTES : MOST_BYTES, layout))
        return STATUS_OK;
    for (uint32_t most = n;; most = (uint32_t)size_max(least, layout->query_rows / 2)) {
        status result = fit_queries(log, least, most, layout);
        if (result || layout->query_rows == 0)
            return result;
        *fits = keys_fit(layout, good ? STREAM_LEAST_ROWS : 1, good);
        if (*fits || layout->query_rows <= least) /* fewer queries leave no more for keys */
            return STATUS_OK;
    }
}

/* ---- choice ---- */

/* Rounds with fewer (b, g); false when there is but one. */
static bool make_smaller(struct stream_layout *layout)
{
    uint32_t *size = layout->batches > 1 ? &layout->batches : &layout->groups;
    if (*size == 1)
        return false;
    *size = (*size + 1) / 2;
    return true;
}

/* The least memory with which rounds of one (b, g) work: pieces of one segment or one query. */
static status least_memory(struct logger *log, const struct stream_limits *limits,
                           struct stream_layout *layout, uint64_t *bytes, uint32_t *segment)
{
    const struct attention_form *form = layout->form;
    struct stream_piece piece = whole_round(layout);
    struct stream_memory memory;
    uint64_t partial = 0, most, besides = 0;
    status result = query_bytes(log, layout, 1, &most, &besides);
    *segment = 1;
    for (uint32_t head = 0; head < form->shape.heads; head++) {
        uint32_t unit = form->kind->pieces->stretches(&form->shape, head).unit;
        piece.keys = (struct attn_keys){.head = head, .heads = 1, .count = 1, .rows = unit};
        stream_memory_init(layout, &piece, &memory);
        most = size_max(most, memory.bytes);
        partial = size_max(partial, stream_partial_bytes(layout, &piece));
        *segment = (uint32_t)size_max(*segment, unit);
    }
    /* The inverse of divide, rounded up. */
    uint64_t pieces =
        size_div_up((most + besides) * set_factor(limits) * PARTIAL_SHARE, PARTIAL_SHARE - 1);
    uint64_t rest = size_max(PARTIAL_SHARE * partial, pieces + PARTIAL_SHARE);
    uint64_t needed = stream_state_bytes(layout, &piece) + rest;
    *bytes = size_div_up(needed * GAP_SHARE, GAP_SHARE - 1) + GAP_SHARE;
    return result;
}

static status refuse(struct logger *log, const struct stream_limits *limits,
                     struct stream_layout *layout)
{
    uint64_t least;
    uint32_t segment;
    status result = least_memory(log, limits, layout, &least, &segment);
    if (result)
        return result;
    return fail(log, STATUS_OUT_OF_DEVICE_MEMORY,
                "attention in pieces of at least %u keys: expected %llu bytes of device memory, "
                "%llu may be taken",
                segment, (unsigned long long)least, (unsigned long long)limits->memory);
}

status stream_layout_init(struct logger *log, const struct attention_form *form,
                          const adamra_attention_io *io, const struct stream_limits *limits,
                          struct stream_layout *layout)
{
    const struct attn_shape *shape = &form->shape;
    *layout = (struct stream_layout){.form = form,
                                     .key_lengths = io->key_lengths,
                                     .query_lengths = io->query_lengths,
                                     .route = io->head || io->prob};
    for (int good = 1; good >= 0; good--) {
        layout->batches = shape->batch;
        layout->groups = shape->groups;
        do {
            bool fits;
            status result = round_fits(log, limits, good, layout, &fits);
            if (result || fits)
                return result;
        } while (make_smaller(layout));
    }
    return refuse(log, limits, layout);
}
