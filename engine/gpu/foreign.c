/* Buffers that others own between runs: taken over where a list first uses them, given back at its
 * end, or where it is stopped. */
#include "gpu/commands.h"

/* Between runs the other users wait by semaphores or fences; recordings that follow each other in
 * one command buffer are ordered by these stages. */
void gpu_foreign_pass(struct gpu_device *device, VkCommandBuffer command, VkBuffer buffer,
                      bool taken)
{
    VkBufferMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER,
        .srcAccessMask = taken ? 0 : GPU_WRITES,
        .dstAccessMask = taken ? GPU_ACCESSES : 0,
        .srcQueueFamilyIndex = taken ? VK_QUEUE_FAMILY_FOREIGN_EXT : device->family,
        .dstQueueFamilyIndex = taken ? device->family : VK_QUEUE_FAMILY_FOREIGN_EXT,
        .buffer = buffer,
        .size = VK_WHOLE_SIZE};
    device->vk.vkCmdPipelineBarrier(command, GPU_STAGES, GPU_STAGES, 0, 0, NULL, 1, &barrier, 0,
                                    NULL);
}

status gpu_foreign_take(struct gpu_commands *commands, VkBuffer buffer)
{
    const struct gpu_foreign *taken = commands->foreign.items;
    for (uint32_t i = 0; i < commands->foreign.count; i++)
        if (taken[i].buffer == buffer)
            return STATUS_OK;
    struct gpu_foreign *added =
        gpu_array_add(commands->device->log, &commands->foreign, sizeof(*added));
    if (!added)
        return STATUS_OUT_OF_HOST_MEMORY;
    *added = (struct gpu_foreign){buffer, commands->owned ? commands->parts.count - 1 : 0};
    gpu_foreign_pass(commands->device, commands->handle, buffer, true);
    return STATUS_OK;
}

void gpu_foreign_give(const struct gpu_commands *commands, VkCommandBuffer command, uint32_t parts)
{
    const struct gpu_foreign *taken = commands->foreign.items;
    for (uint32_t i = 0; i < commands->foreign.count; i++)
        if (taken[i].part < parts)
            gpu_foreign_pass(commands->device, command, taken[i].buffer, false);
}

status gpu_foreign_give_stopped(const struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    struct gpu_once once;
    const uint32_t parts = commands->run.next;
    const struct gpu_foreign *taken = commands->foreign.items; /* in the order of their parts */
    if (commands->foreign.count == 0 || taken[0].part >= parts || device->lost)
        return STATUS_OK;
    status result = gpu_once_init(device, &once);
    if (!result)
        result = gpu_once_begin(device, &once);
    if (!result) {
        gpu_foreign_give(commands, once.command, parts);
        result = gpu_once_run(device, &once);
    }
    gpu_once_finish(device, &once);
    return result;
}
