/* stream: an attention over host memory that does not fit the device, in pieces: keys and values
 * into the states, piece by piece, then queries to outputs. What fits at a time:
 *
 *   round   some (b, g): their states stay on the device
 *   pass    some heads of a round, whose keys are read together
 *   piece   rows of some stretches of the heads of a pass, or rows of the queries of a round
 *
 * stream_layout.c chooses the sizes, stream_pieces.c says which pieces there are, stream_graph.c
 * what the memory of one looks like and what is done with it, stream_copy.c fills and empties it:
 * none of them knows a device. stream_set.c runs one, attention_stream.c all of them. */
#ifndef STREAM_H
#define STREAM_H

#include "attention_form.h"

/* One piece; `rows` are those of each stretch, or of queries. */
struct stream_piece {
    uint32_t batch, batches, group, groups; /* the round: batch rows, and groups of each */
    bool queries;                           /* else keys and values */
    struct attn_keys keys;                  /* of a pass */
    uint32_t width, depth;                  /* stretches and rows of a full piece of the pass */
    uint32_t row, rows;                     /* first one: of each stretch, or of the queries */
};

struct stream_limits {
    uint64_t memory;     /* bytes of device memory that may be taken */
    uint64_t allocation; /* bytes of one buffer */
    bool staged;         /* the host cannot see the device's memory: copies go through other one */
};

struct stream_layout {
    const struct attention_form *form;
    const uint32_t *key_lengths, *query_lengths; /* [B]; NULL: all */
    bool route;                                  /* head and prob are outputs */
    /* chosen */
    uint32_t batches, groups; /* of a round */
    uint64_t partial_bytes;   /* most that the partial states of a pass have */
    uint64_t piece_bytes;     /* most that a piece has, with what its ops need besides */
    uint64_t key_bytes;       /* most that a piece of keys has: that less what queries' ops need */
    uint32_t query_rows;      /* of a piece */
};

/* Chooses sizes. STATUS_OUT_OF_DEVICE_MEMORY: not even the smallest pieces fit. The form and the
 * lengths outlive the layout. */
status stream_layout_init(struct logger *log, const struct attention_form *form,
                          const adamra_attention_io *io, const struct stream_limits *limits,
                          struct stream_layout *layout);

/* ---- stream_pieces.c ---- */

/* Shorter pieces spend more on reading and writing sums than on making them. */
#define STREAM_LEAST_ROWS 512

/* The first piece, and the one after another; false after the last. */
void stream_first(const struct stream_layout *layout, struct stream_piece *piece);
bool stream_next(const struct stream_layout *layout, struct stream_piece *piece);
/* Sets heads, width and depth of the pass that starts at keys.head, with pieces of `least` rows or
 * more (or whole stretches); false where those do not fit. */
bool stream_pass(const struct stream_layout *layout, uint32_t least, struct stream_piece *piece);
/* Heads from this one on that are cut alike: what a pass has at most. */
uint32_t stream_equal_heads(const struct stream_layout *layout, uint32_t head);
/* Valid keys in the rows of a piece that are of stretch `stretch` of batch row b. */
uint32_t stream_valid_keys(const struct stream_layout *layout, const struct stream_piece *piece,
                           uint32_t b, uint32_t stretch);
/* Whether no row of a piece of queries has any output but zeros. */
bool stream_is_empty(const struct stream_layout *layout, const struct stream_piece *piece);

/* ---- stream_graph.c ---- */

/* Tensors start at multiples of this, and buffers have such sizes: any device's alignment of
 * bindings, and what its memory is given out in. */
#define STREAM_ALIGNMENT 256

/* The memory of a piece: inputs first. Slots that it does not have are not `used`. */
struct stream_memory {
    struct slot slots[SLOT_COUNT];
    uint64_t offsets[SLOT_COUNT];
    uint64_t input_bytes, bytes;
};

void stream_memory_init(const struct stream_layout *layout, const struct stream_piece *piece,
                        struct stream_memory *memory);
/* Bytes of the states of a round, and of the partial states of a piece of keys. */
uint64_t stream_state_bytes(const struct stream_layout *layout, const struct stream_piece *piece);
uint64_t stream_partial_bytes(const struct stream_layout *layout, const struct stream_piece *piece);

/* Tensors of a piece's graph beyond the slots. */
enum { STREAM_STATES = SLOT_COUNT, STREAM_PARTIALS, STREAM_TENSORS };

/* Appends what a piece does to a fresh graph; tensors[] are to be bound, or NO_TENSOR. */
status stream_graph(const struct stream_layout *layout, const struct stream_piece *piece,
                    const struct stream_memory *memory, struct graph *graph,
                    tensor_id tensors[STREAM_TENSORS]);
/* Whether the graph of one serves the other. */
bool stream_same_graph(const struct stream_piece *a, const struct stream_piece *b);

/* ---- stream_copy.c ---- */

/* Fills the inputs of a piece's memory; empties the outputs of a piece of queries, which start at
 * `outputs`, into the caller's. */
void stream_copy_in(const struct stream_layout *layout, const struct stream_piece *piece,
                    const struct stream_memory *memory, const adamra_attention_io *io,
                    uint8_t *bytes);
void stream_copy_out(const struct stream_layout *layout, const struct stream_piece *piece,
                     const struct stream_memory *memory, const adamra_attention_io *io,
                     const uint8_t *outputs);
/* The outputs of an empty piece. */
void stream_copy_zeros(const struct stream_layout *layout, const struct stream_piece *piece,
                       const struct stream_memory *memory, const adamra_attention_io *io);

#endif
