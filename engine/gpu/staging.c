/* Copies between the host and memory that it cannot see, through one bounded buffer a direction. */
#include "gpu/commands.h"
#include "gpu/memory.h"
#include <string.h>

/* Bytes of a staging buffer, and the share of what may be taken that it has at most. */
#define STAGING_BYTES (UINT64_C(16) << 20)
#define TAKEN_SHARE   16

/* Makes what earlier submissions wrote visible to the copy, and the copy to the host and to later
 * submissions. */
static void transfer_barrier(struct gpu_device *device, VkCommandBuffer command,
                             VkPipelineStageFlags before, VkPipelineStageFlags after)
{
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
                               .dstAccessMask =
                                   VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT};
    device->vk.vkCmdPipelineBarrier(command, before, after, 0, 1, &barrier, 0, NULL, 0, NULL);
}

static void pass_ends(struct gpu_device *device, VkCommandBuffer command,
                      const struct gpu_buffer *const ends[2], bool taken)
{
    for (size_t i = 0; i < 2; i++)
        if (ends[i]->foreign)
            gpu_foreign_pass(device, command, ends[i]->handle, taken);
}

static status transfer_run(struct gpu_device *device, const struct gpu_once *once,
                           const struct gpu_buffer *source, const struct gpu_buffer *target,
                           const VkBufferCopy *region)
{
    const struct gpu_buffer *const ends[] = {source, target};
    VkCommandBuffer command = once->command;
    status result = gpu_once_begin(device, once);
    if (result)
        return result;
    transfer_barrier(device, command, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
                     VK_PIPELINE_STAGE_TRANSFER_BIT);
    pass_ends(device, command, ends, true);
    device->vk.vkCmdCopyBuffer(command, source->handle, target->handle, 1, region);
    pass_ends(device, command, ends, false);
    transfer_barrier(device, command, VK_PIPELINE_STAGE_TRANSFER_BIT,
                     VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT);
    return gpu_once_run(device, once);
}

/* Of a new staging buffer. */
static uint64_t staging_bytes(const struct gpu_device *device)
{
    uint64_t bytes = size_min(STAGING_BYTES, device->limits.allocation_bytes);
    if (device->max_memory)
        bytes = size_min(bytes, device->max_memory / TAKEN_SHARE);
    return size_max(bytes, 1);
}

uint64_t gpu_staging_missing(const struct gpu_device *device)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < ARRAY_SIZE(device->memory->staging); i++)
        if (!device->features.unified && !device->memory->staging[i])
            bytes += staging_bytes(device);
    return bytes;
}

static status get_staging(struct gpu_device *device, enum gpu_direction direction,
                          struct gpu_buffer **out)
{
    struct gpu_buffer **staging = &device->memory->staging[direction];
    status result = STATUS_OK;
    if (!*staging)
        result = gpu_buffer_make(
            device, staging_bytes(device),
            direction == GPU_TO_DEVICE ? GPU_MEMORY_UPLOAD : GPU_MEMORY_READBACK, staging);
    *out = *staging;
    return result;
}

status gpu_staging_copy(struct gpu_buffer *buffer, uint64_t offset, uint8_t *data, uint64_t size,
                        enum gpu_direction direction)
{
    struct gpu_device *device = buffer->device;
    struct gpu_once once = {0};
    struct gpu_buffer *staging;
    if (!buffer->copies)
        return fail(device->log, STATUS_UNSUPPORTED,
                    "a buffer of the caller's: expected usages TRANSFER_SRC and TRANSFER_DST for "
                    "copies by the host");
    status result = get_staging(device, direction, &staging);
    if (!result)
        result = gpu_once_init(device, &once);
    for (uint64_t done = 0; done < size && !result;) {
        uint64_t piece = size_min(size - done, staging->size);
        if (direction == GPU_TO_DEVICE) {
            VkBufferCopy region = {0, offset + done, piece};
            result = gpu_buffer_write(staging, 0, data + done, piece);
            if (!result)
                result = transfer_run(device, &once, staging, buffer, &region);
        } else {
            VkBufferCopy region = {offset + done, 0, piece};
            result = transfer_run(device, &once, buffer, staging, &region);
            if (!result)
                result = gpu_buffer_read(staging, 0, data + done, piece);
        }
        done += piece;
    }
    gpu_once_finish(device, &once);
    return result;
}

void gpu_staging_finish(struct gpu_device *device)
{
    for (size_t i = 0; i < ARRAY_SIZE(device->memory->staging); i++) {
        if (device->memory->staging[i])
            gpu_buffer_release(device->memory->staging[i]);
        device->memory->staging[i] = NULL;
    }
}
