/* Which pieces there are, in which order. */
#include "stream.h"
#include <assert.h>

static uint32_t length_of(const uint32_t *lengths, uint32_t b, uint32_t all)
{
    return lengths ? lengths[b] : all;
}

/* The most of the lengths of a round's batch rows. */
static uint32_t longest(const uint32_t *lengths, const struct stream_piece *piece, uint32_t all)
{
    uint32_t most = 0;
    for (uint32_t b = piece->batch; b < piece->batch + piece->batches; b++)
        most = (uint32_t)size_max(most, length_of(lengths, b, all));
    return most;
}

static uint32_t clamp_rows(uint64_t length, uint64_t first, uint32_t rows)
{
    return length > first ? (uint32_t)size_min(length - first, rows) : 0;
}

static struct attn_stretches pass_stretches(const struct stream_layout *layout,
                                            const struct stream_piece *piece)
{
    const struct attention_form *form = layout->form;
    return form->kind->pieces->stretches(&form->shape, piece->keys.head);
}

uint32_t stream_valid_keys(const struct stream_layout *layout, const struct stream_piece *piece,
                           uint32_t b, uint32_t stretch)
{
    uint32_t length = length_of(layout->key_lengths, b, layout->form->shape.m);
    uint64_t first = (uint64_t)stretch * pass_stretches(layout, piece).rows + piece->row;
    return clamp_rows(length, first, piece->keys.rows);
}

bool stream_is_empty(const struct stream_layout *layout, const struct stream_piece *piece)
{
    uint32_t length = longest(layout->query_lengths, piece, layout->form->shape.n);
    return piece->queries && !layout->route && piece->row >= length;
}

/* ---- a pass ---- */

uint32_t stream_equal_heads(const struct stream_layout *layout, uint32_t head)
{
    const struct attention_form *form = layout->form;
    struct attn_stretches first = form->kind->pieces->stretches(&form->shape, head);
    uint32_t end = head + 1;
    for (; end < form->shape.heads; end++) {
        struct attn_stretches other = form->kind->pieces->stretches(&form->shape, end);
        if (other.rows != first.rows || other.unit != first.unit)
            break;
    }
    return end - head;
}

/* Whether pieces of `rows` rows fit, of as many stretches as do. */
static bool fit_width(const struct stream_layout *layout, uint32_t rows, struct stream_piece *piece)
{
    struct attn_stretches stretches = pass_stretches(layout, piece);
    struct stream_memory memory;
    piece->keys.rows = piece->depth = rows;
    for (uint32_t width = stretches.count; width > 0; width /= 2) {
        piece->keys.count = piece->width = width;
        stream_memory_init(layout, piece, &memory);
        if (memory.bytes <= layout->key_bytes &&
            stream_partial_bytes(layout, piece) <= layout->partial_bytes)
            return true;
    }
    return false;
}

/* Makes pieces as deep as fits, and all about as large as each other. */
static void fit_depth(const struct stream_layout *layout, struct stream_piece *piece)
{
    struct attn_stretches stretches = pass_stretches(layout, piece);
    struct stream_memory memory;
    stream_memory_init(layout, piece, &memory);
    uint64_t unit = stretches.unit, least = piece->depth;
    uint64_t deepest = layout->key_bytes * least / memory.bytes / unit * unit;
    uint64_t parts = size_div_up(stretches.rows, size_max(deepest, least));
    uint64_t depth = size_round_up(size_div_up(stretches.rows, parts), unit);
    for (;; depth -= unit) { /* gaps between tensors may have been missing */
        piece->keys.rows = piece->depth = (uint32_t)depth;
        stream_memory_init(layout, piece, &memory);
        if (depth <= least || memory.bytes <= layout->key_bytes)
            break;
    }
    parts = size_div_up(stretches.count, piece->width);
    piece->width = (uint32_t)size_div_up(stretches.count, parts);
}

bool stream_pass(const struct stream_layout *layout, uint32_t least, struct stream_piece *piece)
{
    struct attn_stretches stretches = pass_stretches(layout, piece);
    uint64_t rows = size_min(size_round_up(least, stretches.unit), stretches.rows);
    for (uint32_t heads = stream_equal_heads(layout, piece->keys.head); heads > 0; heads--) {
        piece->keys.heads = heads;
        if (fit_width(layout, (uint32_t)rows, piece)) {
            fit_depth(layout, piece);
            return true;
        }
    }
    return false;
}

/* ---- the order ---- */

/* The piece of keys at keys.stretch and row. Rows that are valid nowhere are left out, but each
 * group of stretches has a piece, which makes its sums zero. */
static void set_keys(const struct stream_layout *layout, struct stream_piece *piece)
{
    struct attn_stretches stretches = pass_stretches(layout, piece);
    struct attn_keys *keys = &piece->keys;
    uint64_t begin = (uint64_t)keys->stretch * stretches.rows;
    uint32_t length = longest(layout->key_lengths, piece, layout->form->shape.m);
    uint32_t end = clamp_rows(length, begin, stretches.rows);
    keys->count = (uint32_t)size_min(piece->width, stretches.count - keys->stretch);
    keys->rows = (uint32_t)size_min(piece->depth, stretches.rows - piece->row);
    keys->first = piece->row == 0;
    keys->last = (uint64_t)piece->row + keys->rows >= end;
}

/* The first piece of the pass that starts at a head. */
static void start_pass(const struct stream_layout *layout, uint32_t head,
                       struct stream_piece *piece)
{
    piece->queries = false;
    piece->keys = (struct attn_keys){.head = head};
    piece->row = 0;
    if (!stream_pass(layout, STREAM_LEAST_ROWS, piece)) {
        bool fits = stream_pass(layout, 1, piece);
        assert(fits); /* stream_layout_init has tried */
        (void)fits;
    }
    set_keys(layout, piece);
}

static void start_round(const struct stream_layout *layout, uint32_t batch, uint32_t group,
                        struct stream_piece *piece)
{
    const struct attn_shape *shape = &layout->form->shape;
    *piece =
        (struct stream_piece){.batch = batch,
                              .batches = (uint32_t)size_min(layout->batches, shape->batch - batch),
                              .group = group,
                              .groups = (uint32_t)size_min(layout->groups, shape->groups - group)};
    start_pass(layout, 0, piece);
}

static void set_queries(const struct stream_layout *layout, uint32_t row,
                        struct stream_piece *piece)
{
    piece->queries = true;
    piece->row = row;
    piece->rows = (uint32_t)size_min(layout->query_rows, layout->form->shape.n - row);
}

void stream_first(const struct stream_layout *layout, struct stream_piece *piece)
{
    start_round(layout, 0, 0, piece);
}

static void next_keys(const struct stream_layout *layout, struct stream_piece *piece)
{
    struct attn_stretches stretches = pass_stretches(layout, piece);
    struct attn_keys *keys = &piece->keys;
    if (!keys->last) {
        piece->row += keys->rows;
        set_keys(layout, piece);
        return;
    }
    keys->stretch += keys->count;
    piece->row = 0;
    uint64_t key = (uint64_t)keys->stretch * stretches.rows;
    if (keys->stretch < stretches.count &&
        key < longest(layout->key_lengths, piece, layout->form->shape.m))
        set_keys(layout, piece);
    else if (keys->head + keys->heads < layout->form->shape.heads)
        start_pass(layout, keys->head + keys->heads, piece);
    else
        set_queries(layout, 0, piece);
}

bool stream_next(const struct stream_layout *layout, struct stream_piece *piece)
{
    const struct attn_shape *shape = &layout->form->shape;
    if (!piece->queries) {
        next_keys(layout, piece);
        return true;
    }
    if (shape->n - piece->row > piece->rows) {
        set_queries(layout, piece->row + piece->rows, piece);
        return true;
    }
    uint32_t batch = piece->batch, group = piece->group + piece->groups;
    if (group == shape->groups) {
        group = 0;
        batch += piece->batches;
    }
    if (batch == shape->batch)
        return false;
    start_round(layout, batch, group, piece);
    return true;
}
