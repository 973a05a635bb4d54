/* Barriers from accesses. What was touched since the last barrier is kept as byte ranges; the first
 * conflict (write after read, read after write, write after write) places one barrier for all
 * memory, after which nothing earlier can conflict. */
#include "gpu/commands.h"

#define STAGES   (VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT)
#define WRITES   (VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT)
#define ACCESSES (WRITES | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT)

static void place_barrier(struct gpu_commands *commands, VkPipelineStageFlags from,
                          VkAccessFlags from_access, VkPipelineStageFlags to,
                          VkAccessFlags to_access)
{
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = from_access,
                               .dstAccessMask = to_access};
    commands->device->vk.vkCmdPipelineBarrier(commands->handle, from, to, 0, 1, &barrier, 0, NULL,
                                              0, NULL);
}

static bool conflicts(const struct gpu_touch *a, const struct gpu_touch *b)
{
    return a->buffer == b->buffer && a->begin < b->end && b->begin < a->end &&
           ((a->access | b->access) & GPU_WRITE);
}

static bool conflicts_with_any(const struct gpu_commands *commands, const struct gpu_touch *touch)
{
    const struct gpu_touch *earlier = commands->touches.items;
    for (uint32_t i = 0; i < commands->touches.count; i++)
        if (conflicts(&earlier[i], touch))
            return true;
    return false;
}

/* ---- foreign buffers ---- */

/* Between runs the other users wait by semaphores or fences; recordings that follow each other in
 * one command buffer are ordered by these stages. */
void gpu_foreign_pass(struct gpu_device *device, VkCommandBuffer command, VkBuffer buffer,
                      bool taken)
{
    VkBufferMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER,
        .srcAccessMask = taken ? 0 : WRITES,
        .dstAccessMask = taken ? ACCESSES : 0,
        .srcQueueFamilyIndex = taken ? VK_QUEUE_FAMILY_FOREIGN_EXT : device->family,
        .dstQueueFamilyIndex = taken ? device->family : VK_QUEUE_FAMILY_FOREIGN_EXT,
        .buffer = buffer,
        .size = VK_WHOLE_SIZE};
    device->vk.vkCmdPipelineBarrier(command, STAGES, STAGES, 0, 0, NULL, 1, &barrier, 0, NULL);
}

static status acquire(struct gpu_commands *commands, VkBuffer buffer)
{
    const VkBuffer *acquired = commands->foreign.items;
    for (uint32_t i = 0; i < commands->foreign.count; i++)
        if (acquired[i] == buffer)
            return STATUS_OK;
    VkBuffer *added = gpu_array_add(commands->device->log, &commands->foreign, sizeof(*added));
    if (!added)
        return STATUS_OUT_OF_HOST_MEMORY;
    *added = buffer;
    gpu_foreign_pass(commands->device, commands->handle, buffer, true);
    return STATUS_OK;
}

static void release_all(struct gpu_commands *commands)
{
    const VkBuffer *acquired = commands->foreign.items;
    for (uint32_t i = 0; i < commands->foreign.count; i++)
        gpu_foreign_pass(commands->device, commands->handle, acquired[i], false);
    commands->foreign.count = 0;
}

/* ---- barriers ---- */

status gpu_hazards_add(struct gpu_commands *commands, const struct gpu_touch *touches,
                       uint32_t count)
{
    bool conflict = false;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < count && !result; i++)
        if (touches[i].foreign)
            result = acquire(commands, touches[i].buffer);
    if (result)
        return result;
    for (uint32_t i = 0; i < count && !conflict; i++)
        conflict = conflicts_with_any(commands, &touches[i]);
    if (conflict) {
        /* Always both stages: a later command of either relies on this barrier alone. */
        place_barrier(commands, STAGES, WRITES, STAGES, ACCESSES);
        commands->barriers++;
        commands->touches.count = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (touches[i].begin >= touches[i].end)
            continue;
        struct gpu_touch *touch =
            gpu_array_add(commands->device->log, &commands->touches, sizeof(*touch));
        if (!touch)
            return STATUS_OUT_OF_HOST_MEMORY;
        *touch = touches[i];
    }
    return STATUS_OK;
}

/* In a command buffer of the caller's only with compute and transfer work, and what the host reads
 * when that has ended: graphics around it shall not wait. */
void gpu_hazards_begin(struct gpu_commands *commands)
{
    if (commands->owned)
        place_barrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_MEMORY_WRITE_BIT,
                      STAGES, ACCESSES);
    else
        place_barrier(commands, STAGES, WRITES, STAGES, ACCESSES);
}

void gpu_hazards_end(struct gpu_commands *commands)
{
    release_all(commands);
    if (!commands->owned) {
        place_barrier(commands, STAGES, WRITES, STAGES | VK_PIPELINE_STAGE_HOST_BIT,
                      ACCESSES | VK_ACCESS_HOST_READ_BIT);
        return;
    }
    place_barrier(commands, STAGES, WRITES,
                  VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT,
                  VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT);
}
