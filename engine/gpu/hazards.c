/* Barriers from accesses. What was touched since the last barrier is kept as byte ranges; the first
 * conflict (write after read, read after write, write after write) places one barrier for all
 * memory, after which nothing earlier can conflict. */
#include "gpu/commands.h"

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

/* Makes one range of two that meet, where the other one is of the last dispatch: one may come in
 * thousands of pieces, each of which is compared with all ranges. False: none meets this one. */
static bool join(struct gpu_commands *commands, const struct gpu_touch *touch)
{
    struct gpu_touch *touches = commands->touches.items;
    const uint32_t count = commands->touches.count;
    for (uint32_t i = count; i > 0 && i + GPU_MAX_BINDINGS > count; i--) {
        struct gpu_touch *last = &touches[i - 1];
        if (last->buffer != touch->buffer || last->access != touch->access ||
            last->foreign != touch->foreign || last->begin > touch->end ||
            touch->begin > last->end)
            continue;
        last->begin = size_min(last->begin, touch->begin);
        last->end = size_max(last->end, touch->end);
        return true;
    }
    return false;
}

/* ---- barriers ---- */

status gpu_hazards_add(struct gpu_commands *commands, const struct gpu_touch *touches,
                       uint32_t count)
{
    bool conflict = false;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < count && !result; i++)
        if (touches[i].foreign)
            result = gpu_foreign_take(commands, touches[i].buffer);
    if (result)
        return result;
    for (uint32_t i = 0; i < count && !conflict; i++)
        conflict = conflicts_with_any(commands, &touches[i]);
    if (conflict) {
        /* Always both stages: a later command of either relies on this barrier alone. */
        place_barrier(commands, GPU_STAGES, GPU_WRITES, GPU_STAGES, GPU_ACCESSES);
        commands->barriers++;
        commands->touches.count = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (touches[i].begin >= touches[i].end || join(commands, &touches[i]))
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
                      GPU_STAGES, GPU_ACCESSES);
    else
        place_barrier(commands, GPU_STAGES, GPU_WRITES, GPU_STAGES, GPU_ACCESSES);
}

void gpu_hazards_end(struct gpu_commands *commands)
{
    gpu_foreign_give(commands, commands->handle, UINT32_MAX);
    if (!commands->owned) {
        place_barrier(commands, GPU_STAGES, GPU_WRITES, GPU_STAGES | VK_PIPELINE_STAGE_HOST_BIT,
                      GPU_ACCESSES | VK_ACCESS_HOST_READ_BIT);
        return;
    }
    place_barrier(commands, GPU_STAGES, GPU_WRITES,
                  VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT,
                  VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT);
}
