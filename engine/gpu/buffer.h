/* buffer: memory of all kinds; a part of gpu.h, which includes it. */
#ifndef GPU_BUFFER_H
#define GPU_BUFFER_H

#include "gpu/gpu.h"

/* ---- memory.c ---- */

enum gpu_memory_kind {
    GPU_MEMORY_DEVICE,   /* device local; mapped too where memory is unified */
    GPU_MEMORY_UPLOAD,   /* host visible, coherent, or flushed by gpu_buffer_write; mapped */
    GPU_MEMORY_READBACK, /* host visible, cached where possible; mapped */
};

/* A VkBuffer with its memory. Usage: storage, uniform texel, transfer source and destination. */
struct gpu_buffer {
    struct gpu_device *device;
    VkBuffer handle;
    uint64_t size;   /* bytes asked for */
    uint64_t bytes;  /* of the Vulkan buffer, where views end: our own round `size` up to 16 */
    uint8_t *mapped; /* NULL when the host cannot see it */
    bool coherent;
    bool texel;    /* made with uniform texel usage (always, unless it is the caller's) */
    bool copies;   /* made with both transfer usages, likewise */
    bool borrowed; /* the Vulkan buffer is the caller's */
    bool foreign;  /* its bytes are others' between command buffers: VK_QUEUE_FAMILY_FOREIGN_EXT */
    void *block;   /* blocks.c's */
    uint64_t block_offset, block_size;
    VkDeviceMemory memory;
};

/* size 0 is allowed (a small buffer is made). STATUS_OUT_OF_DEVICE_MEMORY says what was asked and
 * what there is. */
status gpu_buffer_create(struct gpu_device *device, uint64_t size, enum gpu_memory_kind kind,
                         struct gpu_buffer **out);
void gpu_buffer_destroy(struct gpu_buffer *buffer);
/* A buffer of the caller's, of 16 bytes at least and a multiple of 4, without memory of ours;
 * copies to and from it need its transfer usage (STATUS_UNSUPPORTED without). It is not destroyed
 * with what is made here. */
status gpu_buffer_wrap(struct gpu_device *device, VkBuffer handle, uint64_t size,
                       VkBufferUsageFlags usage, struct gpu_buffer **out);
/* Host memory as a buffer, mapped at `data`; data and size are multiples of limits.host_import.
 * STATUS_UNSUPPORTED where that cannot be done; neither it nor want of memory is logged as an
 * error. */
status gpu_buffer_import(struct gpu_device *device, void *data, uint64_t size,
                         struct gpu_buffer **out);
#ifdef __ANDROID__
struct AHardwareBuffer;
/* An Android hardware buffer of format BLOB and `size` bytes; the same otherwise. */
status gpu_buffer_import_android(struct gpu_device *device, struct AHardwareBuffer *hardware,
                                 uint64_t size, struct gpu_buffer **out);
#endif
/* Bytes that may still be taken: of max_memory, and of the heap's budget as the driver tells it. */
uint64_t gpu_memory_free(struct gpu_device *device);
/* What buffers can have of so many free bytes: there are gaps between them. */
static inline uint64_t gpu_memory_usable(uint64_t free)
{
    return free - free / 16;
}
/* Bytes that the first copies will take for staging buffers, where they are made through some. */
uint64_t gpu_staging_missing(const struct gpu_device *device);
/* Blocking copies between host and buffer; by mapping where there is one, else through a bounded
 * staging buffer. Nothing that uses the buffer may be in flight. */
status gpu_buffer_write(struct gpu_buffer *buffer, uint64_t offset, const void *data,
                        uint64_t size);
status gpu_buffer_read(struct gpu_buffer *buffer, uint64_t offset, void *data, uint64_t size);
/* For writers through `mapped`: makes host writes visible to the device, or the reverse. */
status gpu_buffer_flush(struct gpu_buffer *buffer, uint64_t offset, uint64_t size);
status gpu_buffer_invalidate(struct gpu_buffer *buffer, uint64_t offset, uint64_t size);
/* Bytes of buffers alive now, and the most since the last gpu_memory_reset_peak. */
uint64_t gpu_memory_used(const struct gpu_device *device);
uint64_t gpu_memory_peak(const struct gpu_device *device);
void gpu_memory_reset_peak(struct gpu_device *device);
/* memory.c's part of device creation and destruction. */
status gpu_memory_create(struct gpu_device *device);
void gpu_memory_destroy(struct gpu_device *device);

#endif
