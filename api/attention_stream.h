/* attention_stream: runs an attention over host memory in pieces (stream.h). */
#ifndef ATTENTION_STREAM_H
#define ATTENTION_STREAM_H

#include "attention.h"

/* Whether a checked run must go in pieces: its tensors are in host memory, its kind can, and the
 * device's memory that it needs at once is not to be had. */
status attention_must_stream(struct adamra_attention *attention, const adamra_attention_io *io,
                             const struct attention_variant *variant, bool *stream);
/* Runs it. The attention keeps no device memory. refused: nothing was done or said, as not even
 * pieces fit what the driver estimates to be free; the whole may be had all the same. */
status attention_stream(struct adamra_attention *attention, const adamra_attention_io *io,
                        adamra_timing *timing, bool *refused);

#endif
