/* transfer: tight host floats to padded rows of the storage type on the device, and back. */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "attention_form.h"

/* Some rows of a slot, in memory that the host sees; padding becomes zero. */
void transfer_pack(const struct slot *slot, void *out, const float *in, uint64_t count);
void transfer_unpack(const struct slot *slot, float *out, const void *in, uint64_t count);
/* Writes rows x width floats to a slot's buffer; padding becomes zero. */
status transfer_upload(struct gpu_buffer *target, const struct slot *slot, const float *data);
/* Reads a slot's buffer back into rows x width floats. */
status transfer_download(struct gpu_buffer *source, const struct slot *slot, float *data);

#endif
