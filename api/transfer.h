/* transfer: tight host floats to padded rows of the storage type on the device, and back. */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "attention_form.h"

/* Writes rows x width floats to a slot's buffer; padding becomes zero. */
status transfer_upload(struct gpu_buffer *target, const struct slot *slot, const float *data);
/* Reads a slot's buffer back into rows x width floats. */
status transfer_download(struct gpu_buffer *source, const struct slot *slot, float *data);

#endif
