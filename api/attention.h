/* attention: the inside of adamra_attention: its form, its own device buffers, and the plan of the
 * last run, which is kept as long as the same memory comes again. */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "attention_form.h"
#include "context.h"
#include "model/plan.h"

/* The memory that a slot had in a plan. */
struct slot_memory {
    struct gpu_buffer *buffer;
    uint64_t serial; /* of the caller's buffer; 0: our own */
    uint64_t offset;
};

struct adamra_attention {
    struct adamra_context *context;
    struct attention_form form;
    struct gpu_buffer *own[SLOT_COUNT]; /* made when a run first needs them */
    uint32_t *lengths;                  /* [B], for what is sent to the device */

    /* what the plan was made for */
    struct graph graph;
    tensor_id tensors[SLOT_COUNT];
    struct attention_variant variant;
    struct slot_memory memory[SLOT_COUNT];
    const char *candidate;
    struct plan *plan; /* NULL: none yet */
};

/* Drops the plan and its graph. */
void attention_drop_plan(struct adamra_attention *attention);
/* And its buffers. */
void attention_drop_memory(struct adamra_attention *attention);

/* Checks what one run brings against the form (attention_io.c). */
status attention_check_io(const struct adamra_attention *attention, const adamra_attention_io *io);
/* Which graph a checked run needs. */
struct attention_variant attention_io_variant(const struct attention_form *form,
                                              const adamra_attention_io *io);
/* The caller's tensor of a slot, y as an input would be; `{0}` for slots past SLOT_Y. */
adamra_tensor attention_io_tensor(const adamra_attention_io *io, enum slot_index slot);

#endif
