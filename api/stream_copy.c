/* Host memory to a piece's memory and back. */
#include "stream.h"
#include "transfer.h"
#include <string.h>

/* Rows [row, ...) of [B, G, heads, rows]: their number in the caller's tensor. */
static uint64_t whole_row(const struct slot *whole, uint64_t b, uint64_t g, uint64_t head,
                          uint64_t row)
{
    return ((b * whole->dims[DIM_GROUP] + g) * whole->dims[DIM_HEAD] + head) *
               whole->dims[DIM_ROW] +
           row;
}

/* ---- keys and values ---- */

/* The valid rows of one head of one (b, g): some of each stretch. */
static void copy_stretches(const struct stream_layout *layout, const struct stream_piece *piece,
                           const struct slot *whole, uint32_t b, const float *data, uint8_t *bytes)
{
    const struct attn_keys *keys = &piece->keys;
    const struct attention_form *form = layout->form;
    uint64_t stretch_rows = form->kind->pieces->stretches(&form->shape, keys->head).rows;
    uint64_t row_bytes = (uint64_t)whole->stride * element_bytes(whole->type);
    for (uint32_t i = 0; i < keys->count; i++) {
        uint32_t valid = stream_valid_keys(layout, piece, b, keys->stretch + i);
        uint64_t first = (keys->stretch + i) * stretch_rows + piece->row;
        if (valid)
            transfer_pack(whole, bytes + (uint64_t)i * keys->rows * row_bytes,
                          data + first * whole->width, valid);
    }
}

static void copy_keys(const struct stream_layout *layout, const struct stream_piece *piece,
                      const struct slot *slot, const struct slot *whole, const float *data,
                      uint8_t *bytes)
{
    const uint32_t *dims = slot->dims;
    uint64_t head_bytes = (uint64_t)dims[DIM_ROW] * slot->stride * element_bytes(slot->type);
    bool shared = whole->dims[DIM_HEAD] == 1;
    for (uint32_t b = 0; b < dims[DIM_BATCH]; b++)
        for (uint32_t g = 0; g < dims[DIM_GROUP]; g++)
            for (uint32_t h = 0; h < dims[DIM_HEAD]; h++, bytes += head_bytes) {
                uint64_t row = whole_row(whole, piece->batch + b, piece->group + g,
                                         shared ? 0 : piece->keys.head + h, 0);
                copy_stretches(layout, piece, whole, piece->batch + b,
                               data ? data + row * whole->width : NULL, bytes);
            }
}

/* Of the rows of a piece the first ones are valid: stretches are full but for the last that has
 * any. */
static void copy_key_lengths(const struct stream_layout *layout, const struct stream_piece *piece,
                             uint32_t *lengths)
{
    for (uint32_t b = 0; b < piece->batches; b++) {
        lengths[b] = 0;
        for (uint32_t i = 0; i < piece->keys.count; i++)
            lengths[b] +=
                stream_valid_keys(layout, piece, piece->batch + b, piece->keys.stretch + i);
    }
}

/* ---- queries and outputs ---- */

/* The (b, g, head) of a piece of queries, counted through. */
static uint64_t head_count(const struct slot *slot)
{
    return (uint64_t)slot->dims[DIM_BATCH] * slot->dims[DIM_GROUP] * slot->dims[DIM_HEAD];
}

/* Where the piece's rows of one of them start in the caller's tensor. */
static uint64_t head_row(const struct stream_piece *piece, const struct slot *slot,
                         const struct slot *whole, uint64_t index)
{
    uint64_t heads = slot->dims[DIM_HEAD], groups = slot->dims[DIM_GROUP];
    return whole_row(whole, piece->batch + index / heads / groups,
                     piece->group + index / heads % groups, index % heads, piece->row);
}

static void copy_rows_in(const struct stream_piece *piece, const struct slot *slot,
                         const struct slot *whole, const float *data, uint8_t *bytes)
{
    uint64_t head_bytes = (uint64_t)slot->dims[DIM_ROW] * slot->stride * element_bytes(slot->type);
    for (uint64_t i = 0; i < head_count(slot); i++)
        transfer_pack(slot, bytes + i * head_bytes,
                      data + head_row(piece, slot, whole, i) * slot->width, slot->dims[DIM_ROW]);
}

static void copy_query_lengths(const struct stream_layout *layout, const struct stream_piece *piece,
                               uint32_t *lengths)
{
    for (uint32_t b = 0; b < piece->batches; b++) {
        uint32_t all = layout->form->shape.n;
        uint32_t length = layout->query_lengths ? layout->query_lengths[piece->batch + b] : all;
        lengths[b] = length > piece->row ? length - piece->row : 0;
    }
}

static void copy_router(const struct stream_piece *piece, const struct stream_memory *memory,
                        const adamra_attention_io *io, uint8_t *bytes)
{
    const struct slot *weight = &memory->slots[SLOT_WEIGHT], *bias = &memory->slots[SLOT_BIAS];
    uint64_t first = (uint64_t)piece->group * weight->dims[DIM_HEAD];
    transfer_pack(weight, bytes + memory->offsets[SLOT_WEIGHT],
                  io->router_weight.data + first * weight->width, weight->rows);
    if (io->router_bias.data)
        transfer_pack(bias, bytes + memory->offsets[SLOT_BIAS], io->router_bias.data + first,
                      bias->rows);
    else
        memset(bytes + memory->offsets[SLOT_BIAS], 0, slot_bytes(bias));
}

/* ---- pieces ---- */

void stream_copy_in(const struct stream_layout *layout, const struct stream_piece *piece,
                    const struct stream_memory *memory, const adamra_attention_io *io,
                    uint8_t *bytes)
{
    const struct slot *slots = memory->slots, *whole = layout->form->slots;
    const uint64_t *offsets = memory->offsets;
    if (!piece->queries) {
        copy_keys(layout, piece, &slots[SLOT_K], &whole[SLOT_K], io->k.data,
                  bytes + offsets[SLOT_K]);
        copy_keys(layout, piece, &slots[SLOT_V], &whole[SLOT_V], io->v.data,
                  bytes + offsets[SLOT_V]);
        copy_key_lengths(layout, piece, (uint32_t *)(void *)(bytes + offsets[SLOT_KEY_LENGTHS]));
        return;
    }
    copy_rows_in(piece, &slots[SLOT_Q], &whole[SLOT_Q], io->q.data, bytes + offsets[SLOT_Q]);
    if (slots[SLOT_LOGITS].used)
        copy_rows_in(piece, &slots[SLOT_LOGITS], &whole[SLOT_LOGITS], io->router_logits.data,
                     bytes + offsets[SLOT_LOGITS]);
    if (slots[SLOT_WEIGHT].used)
        copy_router(piece, memory, io, bytes);
    copy_query_lengths(layout, piece, (uint32_t *)(void *)(bytes + offsets[SLOT_QUERY_LENGTHS]));
}

/* 32 bit words of head or prob, where the caller wants them. */
static void copy_words_out(const struct stream_piece *piece, const struct slot *slot,
                           const struct slot *whole, void *out, const uint8_t *bytes)
{
    uint64_t rows = slot->dims[DIM_ROW];
    for (uint64_t i = 0; out && i < head_count(slot); i++)
        memcpy((uint32_t *)out + head_row(piece, slot, whole, i), bytes + 4 * i * rows, 4 * rows);
}

void stream_copy_out(const struct stream_layout *layout, const struct stream_piece *piece,
                     const struct stream_memory *memory, const adamra_attention_io *io,
                     const uint8_t *outputs)
{
    const struct slot *slots = memory->slots, *whole = layout->form->slots, *y = &slots[SLOT_Y];
    const uint8_t *bytes = outputs + memory->offsets[SLOT_Y] - memory->input_bytes;
    uint64_t head_bytes = (uint64_t)y->dims[DIM_ROW] * y->stride * element_bytes(y->type);
    for (uint64_t i = 0; i < head_count(y); i++)
        transfer_unpack(y, io->y.data + head_row(piece, y, &whole[SLOT_Y], i) * y->width,
                        bytes + i * head_bytes, y->dims[DIM_ROW]);
    if (!layout->route)
        return;
    copy_words_out(piece, &slots[SLOT_HEAD], &whole[SLOT_HEAD], io->head,
                   outputs + memory->offsets[SLOT_HEAD] - memory->input_bytes);
    copy_words_out(piece, &slots[SLOT_PROB], &whole[SLOT_PROB], io->prob,
                   outputs + memory->offsets[SLOT_PROB] - memory->input_bytes);
}

void stream_copy_zeros(const struct stream_layout *layout, const struct stream_piece *piece,
                       const struct stream_memory *memory, const adamra_attention_io *io)
{
    const struct slot *y = &memory->slots[SLOT_Y], *whole = &layout->form->slots[SLOT_Y];
    for (uint64_t i = 0; i < head_count(y); i++)
        memset(io->y.data + head_row(piece, y, whole, i) * y->width, 0,
               (uint64_t)y->dims[DIM_ROW] * y->width * sizeof(float));
}
