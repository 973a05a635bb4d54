/* attention_form: what one adamra_attention computes, free of any device: checked parameters,
 * the tensors that go in and out, and the graph over them. */
#ifndef ATTENTION_FORM_H
#define ATTENTION_FORM_H

#include "adamra.h"
#include "attn/attn.h"

/* The tensors of a run. Those up to SLOT_Y may be the caller's device buffers; in a recorded run
 * all may. */
enum slot_index {
    SLOT_Q,
    SLOT_K,
    SLOT_V,
    SLOT_LOGITS,
    SLOT_Y,
    SLOT_KEY_LENGTHS,
    SLOT_QUERY_LENGTHS,
    SLOT_WEIGHT,
    SLOT_BIAS,
    SLOT_HEAD,
    SLOT_PROB,
    SLOT_COUNT,
    SLOT_SHARED_COUNT = SLOT_Y + 1
};

static inline bool slot_is_route(enum slot_index slot)
{
    return slot == SLOT_HEAD || slot == SLOT_PROB;
}

static inline bool slot_is_output(enum slot_index slot)
{
    return slot == SLOT_Y || slot_is_route(slot);
}

/* The dimensions before the width, in adamra_strides' order. */
enum slot_dim { DIM_BATCH, DIM_GROUP, DIM_HEAD, DIM_ROW, SLOT_DIMS };

/* Rows that the caller has tight; on the device `stride` elements lie from row to row, unless the
 * caller's buffer has strides of its own. */
struct slot {
    const char *name;
    enum element_type type; /* on the device */
    uint64_t rows;
    uint32_t width, stride;
    bool used; /* by this kind, routing and router; head and prob: where the caller wants them */
    uint32_t dims[SLOT_DIMS]; /* of the caller's tensors: rows is their product */
};

struct attention_form {
    const struct attn_kind *kind;
    struct attn_shape shape;
    bool shared_keys, shared_values;
    double operations, bytes; /* of a run, as the specification counts them */
    struct slot slots[SLOT_COUNT];
};

/* What may change from run to run and changes the graph. */
struct attention_variant {
    uint32_t repacked; /* bit of a slot: a caller's tight buffer whose rows are no whole quads, or
                        * that lacks a usage: kernels have a copy */
    bool route;        /* head and prob are outputs */
    adamra_strides strides[SLOT_SHARED_COUNT]; /* of the caller's buffers; all 0: tight */
    const void *const *constants; /* [SLOT_COUNT]: tensors known now, on the device's layout, which
                                   * become the graph's own; entries and all of it may be NULL */
};

/* Elements of a slot on the device, and its bytes there. */
uint64_t slot_elements(const struct slot *slot);
uint64_t slot_bytes(const struct slot *slot);

bool slot_is_tight(const adamra_strides *strides);
/* Rows one after the other, or as the caller has them. A head of 1: all heads read the same. */
struct attn_layout slot_layout(const struct slot *slot, const adamra_strides *strides);
/* Elements from a slot's first to its last, in a caller's buffer; false when they pass 64 bits. */
bool slot_extent(const struct slot *slot, const adamra_strides *strides, uint64_t *elements);

bool attention_variant_equal(const struct attention_variant *a, const struct attention_variant *b);

/* Checks the parameters: STATUS_INVALID_ARGUMENT names the one that broke a rule,
 * STATUS_OUT_OF_DEVICE_MEMORY a tensor too large to be addressed. */
status attention_form_init(struct logger *log, const adamra_attention_params *params,
                           struct attention_form *form);
/* Appends the tensors and calls of a variant to a fresh graph; tensors[slot] is the one to be
 * bound, or NO_TENSOR. What the variant points to is read during the call only. */
status attention_form_build(const struct attention_form *form,
                            const struct attention_variant *variant, struct graph *graph,
                            tensor_id tensors[SLOT_COUNT]);

#endif
