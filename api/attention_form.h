/* attention_form: what one adamra_attention computes, free of any device: checked parameters,
 * the tensors that go in and out, and the graph over them. */
#ifndef ATTENTION_FORM_H
#define ATTENTION_FORM_H

#include "adamra.h"
#include "attn/attn.h"

/* The tensors of a run. Those up to SLOT_Y may be the caller's device buffers. */
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

/* Rows that the caller has tight; on the device `stride` elements lie from row to row. */
struct slot {
    const char *name;
    enum element_type type; /* on the device */
    uint64_t rows;
    uint32_t width, stride;
    bool used; /* by this kind, routing and router; head and prob: where the caller wants them */
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
    uint32_t repacked; /* bit of a slot: a caller's tight buffer whose rows are no whole quads */
    bool route;        /* head and prob are outputs */
};

/* Elements of a slot on the device, and its bytes there. */
uint64_t slot_elements(const struct slot *slot);
uint64_t slot_bytes(const struct slot *slot);
/* Bytes of the same rows without padding, as a caller's buffer has them. */
uint64_t slot_tight_bytes(const struct slot *slot);

/* Checks the parameters: STATUS_INVALID_ARGUMENT names the one that broke a rule,
 * STATUS_OUT_OF_DEVICE_MEMORY a tensor too large to be addressed. */
status attention_form_init(struct logger *log, const adamra_attention_params *params,
                           struct attention_form *form);
/* Appends the tensors and calls of a variant to a fresh graph; tensors[slot] is the one to be
 * bound, or NO_TENSOR. */
status attention_form_build(const struct attention_form *form,
                            const struct attention_variant *variant, struct graph *graph,
                            tensor_id tensors[SLOT_COUNT]);

#endif
