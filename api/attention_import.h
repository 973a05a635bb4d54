/* attention_import: host tensors of a run that the device reads and writes where they are. */
#ifndef ATTENTION_IMPORT_H
#define ATTENTION_IMPORT_H

#include "attention.h"

struct host_import {
    struct gpu_buffer *buffer; /* the pages around the tensor; NULL: it is copied */
    bool shared;               /* with an earlier slot, which owns it */
    uint64_t offset;           /* of the tensor in the buffer */
};

/* Imports what pays: large tensors that the device can read as they are, on devices that share the
 * host's memory and import it by pages or less. What cannot be imported is left to be copied. For
 * one run only: the caller may do as he likes with his memory afterwards. */
void attention_import(struct adamra_attention *attention, const adamra_attention_io *io,
                      struct host_import imports[SLOT_SHARED_COUNT]);
void attention_import_finish(struct host_import imports[SLOT_SHARED_COUNT]);

#endif
