/* What of a device's limits a shader needs. */
#ifndef GPU_NEEDS_H
#define GPU_NEEDS_H

#include "gpu/gpu.h"

/* ---- shared.c ---- */

/* Bytes of shared memory of a module, with constant i < value_count set to values[i].
 * STATUS_UNSUPPORTED where they cannot be told. No device needed. */
status gpu_reflect_shared(struct logger *log, const uint32_t *words, size_t count,
                          const uint32_t *values, uint32_t value_count, uint32_t *bytes);

/* ---- needs.c ---- */

/* What of a device's limits a shader needs, with constant i < count set to values[i]; UINT32_MAX
 * where that cannot be told. */
struct gpu_needs {
    uint32_t storage_buffers, shared_bytes, push_bytes;
    uint32_t texels; /* bit i: binding i is a texel buffer */
};
struct gpu_needs gpu_shader_needs(const struct gpu_device *device, enum gpu_shader shader,
                                  const uint32_t *values, uint32_t count);
/* For tables by shader and constants. */
uint32_t gpu_shader_hash(enum gpu_shader shader, const uint32_t *values, uint32_t count);
/* needs.c's part of device creation and destruction. */
status gpu_needs_create(struct gpu_device *device);
void gpu_needs_destroy(struct gpu_device *device);

#endif
