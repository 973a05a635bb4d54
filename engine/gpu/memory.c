/* Buffers: memory from blocks, host access by mapping or staging, counts of what is in use. */
#include "gpu/memory.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

status gpu_memory_create(struct gpu_device *device)
{
    device->memory = calloc(1, sizeof(*device->memory));
    if (!device->memory)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a device");
    VkPhysicalDeviceMemoryProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    device->instance.GetPhysicalDeviceMemoryProperties2(device->physical, &properties);
    device->memory->properties = properties.memoryProperties;
    return STATUS_OK;
}

void gpu_memory_destroy(struct gpu_device *device)
{
    if (!device->memory)
        return;
    gpu_staging_finish(device);
    gpu_blocks_finish(device);
    free(device->memory);
    device->memory = NULL;
}

/* No buffer is larger than it. */
static uint32_t largest_heap(const struct gpu_memory *memory)
{
    const VkPhysicalDeviceMemoryProperties *properties = &memory->properties;
    uint32_t best = 0;
    for (uint32_t i = 1; i < properties->memoryHeapCount; i++)
        if (properties->memoryHeaps[i].size > properties->memoryHeaps[best].size)
            best = i;
    return best;
}

static status create_handle(struct gpu_buffer *buffer)
{
    struct gpu_device *device = buffer->device;
    status result = STATUS_OK;
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .size = buffer->bytes,
                               .usage = GPU_BUFFER_USAGE};
    GPU_TRY(device, result,
            device->vk.vkCreateBuffer(device->handle, &info, NULL, &buffer->handle));
error:
    return result;
}

static status bind_memory(struct gpu_buffer *buffer, enum gpu_memory_kind kind)
{
    struct gpu_device *device = buffer->device;
    VkMemoryRequirements needs;
    struct gpu_range range;
    device->vk.vkGetBufferMemoryRequirements(device->handle, buffer->handle, &needs);
    status result = gpu_range_alloc(device, &needs, kind, &range);
    if (result)
        return result;
    buffer->block = range.block;
    buffer->block_offset = range.offset;
    buffer->block_size = range.size;
    buffer->memory = gpu_block_handle(range.block);
    buffer->coherent = gpu_block_coherent(range.block);
    uint8_t *mapped = gpu_block_mapped(range.block);
    if (mapped && (kind != GPU_MEMORY_DEVICE || device->features.unified))
        buffer->mapped = mapped + range.offset;
    GPU_TRY(device, result,
            device->vk.vkBindBufferMemory(device->handle, buffer->handle, buffer->memory,
                                          buffer->block_offset));
error:
    return result;
}

status gpu_buffer_make(struct gpu_device *device, uint64_t size, enum gpu_memory_kind kind,
                       struct gpu_buffer **out)
{
    *out = NULL;
    status result = gpu_device_check(device);
    if (result)
        return result;
    uint32_t heap = largest_heap(device->memory);
    if (size > size_min(device->limits.allocation_bytes,
                        device->memory->properties.memoryHeaps[heap].size))
        return gpu_memory_fail(device, size, heap);
    struct gpu_buffer *buffer = calloc(1, sizeof(*buffer));
    if (!buffer)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a buffer");
    buffer->device = device;
    buffer->size = size;
    buffer->bytes = size_round_up(size_max(size, 1), 16);
    buffer->texel = buffer->copies = true;
    result = create_handle(buffer);
    if (!result)
        result = bind_memory(buffer, kind);
    if (result) {
        gpu_buffer_release(buffer);
        return result;
    }
    *out = buffer;
    return STATUS_OK;
}

void gpu_buffer_release(struct gpu_buffer *buffer)
{
    struct gpu_device *device = buffer->device;
    if (buffer->handle && !buffer->borrowed)
        device->vk.vkDestroyBuffer(device->handle, buffer->handle, NULL);
    if (buffer->block) {
        struct gpu_range range = {buffer->block, buffer->block_offset, buffer->block_size};
        gpu_range_free(device, &range);
    } else if (buffer->memory) { /* imported */
        device->vk.vkFreeMemory(device->handle, buffer->memory, NULL);
    }
    free(buffer);
}

status gpu_buffer_create(struct gpu_device *device, uint64_t size, enum gpu_memory_kind kind,
                         struct gpu_buffer **out)
{
    status result = gpu_buffer_make(device, size, kind, out);
    if (result)
        return result;
    struct gpu_memory *memory = device->memory;
    memory->used += (*out)->size;
    memory->peak = size_max(memory->peak, memory->used);
    return STATUS_OK;
}

void gpu_buffer_destroy(struct gpu_buffer *buffer)
{
    if (!buffer)
        return;
    if (buffer->block)
        buffer->device->memory->used -= buffer->size;
    gpu_buffer_release(buffer);
}

status gpu_buffer_wrap(struct gpu_device *device, VkBuffer handle, uint64_t size,
                       VkBufferUsageFlags usage, struct gpu_buffer **out)
{
    const VkBufferUsageFlags copies =
        VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    assert(size >= 16 && size % 4 == 0 && usage & VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
    struct gpu_buffer *buffer = *out = calloc(1, sizeof(*buffer));
    if (!buffer)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a buffer");
    *buffer = (struct gpu_buffer){.device = device,
                                  .handle = handle,
                                  .size = size,
                                  .bytes = size,
                                  .texel = usage & VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
                                  .copies = (usage & copies) == copies,
                                  .borrowed = true};
    return STATUS_OK;
}

/* The mapped range around [offset, offset + size) of the buffer, in whole atoms. */
static VkMappedMemoryRange mapped_range(const struct gpu_buffer *buffer, uint64_t offset,
                                        uint64_t size)
{
    uint64_t atom = buffer->device->limits.noncoherent_atom;
    uint64_t begin = (buffer->block_offset + offset) / atom * atom;
    uint64_t end = size_round_up(buffer->block_offset + offset + size, atom);
    end = size_min(end, gpu_block_size(buffer->block));
    return (VkMappedMemoryRange){.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                                 .memory = buffer->memory,
                                 .offset = begin,
                                 .size = end - begin};
}

status gpu_buffer_flush(struct gpu_buffer *buffer, uint64_t offset, uint64_t size)
{
    struct gpu_device *device = buffer->device;
    status result = STATUS_OK;
    if (!buffer->mapped || buffer->coherent || size == 0)
        return STATUS_OK;
    VkMappedMemoryRange range = mapped_range(buffer, offset, size);
    GPU_TRY(device, result, device->vk.vkFlushMappedMemoryRanges(device->handle, 1, &range));
error:
    return result;
}

status gpu_buffer_invalidate(struct gpu_buffer *buffer, uint64_t offset, uint64_t size)
{
    struct gpu_device *device = buffer->device;
    status result = STATUS_OK;
    if (!buffer->mapped || buffer->coherent || size == 0)
        return STATUS_OK;
    VkMappedMemoryRange range = mapped_range(buffer, offset, size);
    GPU_TRY(device, result, device->vk.vkInvalidateMappedMemoryRanges(device->handle, 1, &range));
error:
    return result;
}

status gpu_buffer_write(struct gpu_buffer *buffer, uint64_t offset, const void *data, uint64_t size)
{
    assert(offset <= buffer->size && size <= buffer->size - offset);
    if (size == 0)
        return STATUS_OK;
    if (!buffer->mapped)
        return gpu_staging_copy(buffer, offset, (uint8_t *)(uintptr_t)data, size, GPU_TO_DEVICE);
    memcpy(buffer->mapped + offset, data, size);
    return gpu_buffer_flush(buffer, offset, size);
}

status gpu_buffer_read(struct gpu_buffer *buffer, uint64_t offset, void *data, uint64_t size)
{
    assert(offset <= buffer->size && size <= buffer->size - offset);
    if (size == 0)
        return STATUS_OK;
    if (!buffer->mapped)
        return gpu_staging_copy(buffer, offset, data, size, GPU_TO_HOST);
    status result = gpu_buffer_invalidate(buffer, offset, size);
    if (!result)
        memcpy(data, buffer->mapped + offset, size);
    return result;
}

uint64_t gpu_memory_used(const struct gpu_device *device)
{
    return device->memory->used;
}

uint64_t gpu_memory_peak(const struct gpu_device *device)
{
    return device->memory->peak;
}

void gpu_memory_reset_peak(struct gpu_device *device)
{
    device->memory->peak = device->memory->used;
}
