/* choices: which candidate was measured to be the fastest on a device, by class of calls; made by
 * tune.h, kept between processes by gpu/cache.h, read by op_choose.
 *
 * A class is an op, a storage type, an op's own kind (top1 and soft readouts, for example) and two
 * widths, each narrow (up to 32 numbers), middle (up to 128) or wide. Lengths are no part of it:
 * the pieces of a call, of a stream or of a split, must run the kernel that the whole would. */
#ifndef CHOICES_H
#define CHOICES_H

#include "gpu/store.h"
#include "ops/ops.h"

#define OP_MOST    16 /* ops */
#define OP_TYPES   2
#define OP_WIDTHS  3
#define OP_CLASSES (OP_MOST * OP_TYPES * OP_KINDS * OP_WIDTHS * OP_WIDTHS)

/* Of a class: nothing known; measured, and the usual order is right; else 1 + the candidate. */
#define CHOICE_NONE  0
#define CHOICE_USUAL 255

struct op_choices {
    uint8_t chosen[OP_CLASSES];
};

/* The class of a call; OP_CLASSES for one that has none. */
uint32_t op_class_of(const struct op_call *call);
/* Enters a candidate of the op, or NULL for the usual order; nothing for a call without class. */
void op_choices_set(struct op_choices *choices, const struct op_call *call,
                    const struct op_candidate *candidate);
/* The measured candidate where the device has one and can run it for this call; else NULL. */
const struct op_candidate *op_chosen(const struct gpu_device *device, const struct op_call *call);
/* Classes with a candidate other than the usual one. */
uint32_t op_choices_count(const struct op_choices *choices);

/* What the store has for the device; all CHOICE_NONE, and false, where that is nothing, or of
 * another device, driver, version or set of candidates, or damaged. */
bool op_choices_load(const struct gpu_device *device, const struct gpu_store *store,
                     struct op_choices *choices);
/* Adds what is known in `choices` to what the store has by now; false where it cannot be kept. */
bool op_choices_keep(const struct gpu_device *device, const struct gpu_store *store,
                     const struct op_choices *choices);
/* Has the device run by a copy of these; NULL: by the usual order. False: no memory, as before. */
bool op_choices_use(struct gpu_device *device, const struct op_choices *choices);

#endif
