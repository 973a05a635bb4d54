/* The block allocator behind buffers. A block is one VkDeviceMemory, cut into ranges. */
#ifndef GPU_MEMORY_H
#define GPU_MEMORY_H

#include "gpu/gpu.h"

struct gpu_block;

struct gpu_memory {
    VkPhysicalDeviceMemoryProperties properties;
    struct gpu_block *blocks;
    uint64_t heap_used[VK_MAX_MEMORY_HEAPS]; /* bytes of blocks */
    uint64_t used, peak;                     /* bytes of buffers, but for staging */
    struct gpu_buffer *staging[2];           /* by enum gpu_direction; made on first use */
};

/* A range of a block. */
struct gpu_range {
    struct gpu_block *block;
    uint64_t offset, size;
};

/* ---- memory_types.c ---- */

/* Bits of types that are not for buffers of ours: AMD's for debugging, every access to which is
 * slow, and protected memory. */
#define GPU_MEMORY_NEVER                                                                           \
    (VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_PROTECTED_BIT)

/* The best of the types whose bits are set; UINT32_MAX: none suits. */
uint32_t gpu_memory_type(const struct gpu_device *device, uint32_t allowed,
                         enum gpu_memory_kind kind);

/* ---- blocks.c ---- */

/* Memory for a buffer, from a block with room or a new one; of the next best type where the best
 * one's is full. */
status gpu_range_alloc(struct gpu_device *device, const VkMemoryRequirements *needs,
                       enum gpu_memory_kind kind, struct gpu_range *out);
/* Gives the range back; frees the block when it is empty and another empty one is kept. */
void gpu_range_free(struct gpu_device *device, const struct gpu_range *range);
VkDeviceMemory gpu_block_handle(const struct gpu_block *block);
/* NULL where the host cannot see it. */
uint8_t *gpu_block_mapped(const struct gpu_block *block);
uint64_t gpu_block_size(const struct gpu_block *block);
bool gpu_block_coherent(const struct gpu_block *block);
/* Frees all blocks: the device is being destroyed. */
void gpu_blocks_finish(struct gpu_device *device);
/* STATUS_OUT_OF_DEVICE_MEMORY: what was asked, what the heap has, what is in use. */
status gpu_memory_fail(struct gpu_device *device, uint64_t asked, uint32_t heap);

/* ---- staging.c ---- */

enum gpu_direction { GPU_TO_DEVICE, GPU_TO_HOST };

/* Copies in pieces through a staging buffer; waits for each. */
status gpu_staging_copy(struct gpu_buffer *buffer, uint64_t offset, uint8_t *data, uint64_t size,
                        enum gpu_direction direction);
void gpu_staging_finish(struct gpu_device *device);

/* ---- memory.c ---- */

/* Of all buffers that are made here. */
#define GPU_BUFFER_USAGE                                                                           \
    (VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |               \
     VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT)

/* gpu_buffer_create and gpu_buffer_destroy, but not counted as used. */
status gpu_buffer_make(struct gpu_device *device, uint64_t size, enum gpu_memory_kind kind,
                       struct gpu_buffer **out);
void gpu_buffer_release(struct gpu_buffer *buffer);

#endif
