/* Recording of dispatches and copies. */
#include "gpu/commands.h"
#include <assert.h>
#include <string.h>

/* What the pipeline does to the bytes that the piece's views show. A view begins at the device's
 * alignment, so pieces side by side may share some bytes: the few barriers too many are what lets
 * synchronization validation, which sees views only, follow. */
static status order_piece(struct gpu_commands *commands, const struct gpu_dispatch *dispatch,
                          const struct gpu_piece *piece)
{
    const struct gpu_reflection *reflection = &dispatch->pipeline->reflection;
    struct gpu_touch touches[GPU_MAX_BINDINGS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < reflection->binding_count; i++) {
        const struct gpu_window *window = &piece->windows[i];
        if (reflection->kinds[i])
            touches[count++] = (struct gpu_touch){.buffer = dispatch->bindings[i].buffer->handle,
                                                  .begin = window->begin,
                                                  .end = window->end,
                                                  .access = reflection->access[i]};
    }
    return gpu_hazards_add(commands, touches, count);
}

static status record_piece(struct gpu_commands *commands, const struct gpu_dispatch *dispatch,
                           const struct gpu_piece *piece)
{
    const struct gpu_device *device = commands->device;
    const struct gpu_pipeline *pipeline = dispatch->pipeline;
    struct item_range range = {.first = (uint32_t)piece->first, .end = (uint32_t)piece->end};
    VkDescriptorSet set;
    for (uint32_t i = 0; i < GPU_MAX_BINDINGS; i++)
        range.base[i] = piece->windows[i].base;
    memcpy(dispatch->push, &range, sizeof(range));
    status result = order_piece(commands, dispatch, piece);
    if (!result)
        result = gpu_descriptors_make(commands, dispatch, piece, &set);
    if (result)
        return result;
    device->vk.vkCmdBindDescriptorSets(commands->handle, VK_PIPELINE_BIND_POINT_COMPUTE,
                                       pipeline->layout, 0, 1, &set, 0, NULL);
    if (pipeline->reflection.push_bytes)
        device->vk.vkCmdPushConstants(commands->handle, pipeline->layout,
                                      VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                      pipeline->reflection.push_bytes, dispatch->push);
    device->vk.vkCmdDispatch(commands->handle, piece->groups_x, piece->groups_y, 1);
    commands->dispatches++;
    return STATUS_OK;
}

/* A timestamp when all before it is done; entries of a profile lie between two of them. */
static status stamp_profile(struct gpu_commands *commands)
{
    if (!commands->profile || !commands->device->features.timestamps)
        return STATUS_OK;
    return gpu_queries_stamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, NULL);
}

static status add_entry(struct gpu_commands *commands, const char *label)
{
    if (!commands->profile || !commands->device->features.timestamps)
        return STATUS_OK;
    struct gpu_profile_entry *entry =
        gpu_array_add(commands->device->log, &commands->entries, sizeof(*entry));
    if (!entry)
        return STATUS_OUT_OF_HOST_MEMORY;
    entry->label = label;
    return STATUS_OK;
}

status gpu_commands_dispatch(struct gpu_commands *commands, const struct gpu_dispatch *dispatch)
{
    struct gpu_device *device = commands->device;
    struct gpu_piece piece;
    assert(!commands->ended);
    if (dispatch->items == 0)
        return STATUS_OK;
    status result = gpu_dispatch_check(device, dispatch);
    if (!result)
        result = add_entry(commands, dispatch->label);
    if (!result)
        result = stamp_profile(commands);
    if (!result)
        device->vk.vkCmdBindPipeline(commands->handle, VK_PIPELINE_BIND_POINT_COMPUTE,
                                     dispatch->pipeline->handle);
    for (uint64_t first = 0; first < dispatch->items && !result; first = piece.end) {
        result = gpu_piece_next(device, dispatch, first, &piece);
        if (!result)
            result = record_piece(commands, dispatch, &piece);
    }
    return result ? result : stamp_profile(commands);
}

status gpu_commands_copy(struct gpu_commands *commands, struct gpu_buffer *source,
                         uint64_t source_offset, struct gpu_buffer *target, uint64_t target_offset,
                         uint64_t size)
{
    const struct gpu_touch touches[] = {
        {source->handle, source_offset, source_offset + size, GPU_READ},
        {target->handle, target_offset, target_offset + size, GPU_WRITE}};
    VkBufferCopy region = {source_offset, target_offset, size};
    assert(!commands->ended);
    if (size == 0)
        return STATUS_OK;
    status result = gpu_hazards_add(commands, touches, ARRAY_SIZE(touches));
    if (!result)
        commands->device->vk.vkCmdCopyBuffer(commands->handle, source->handle, target->handle, 1,
                                             &region);
    return result;
}

status gpu_commands_fill(struct gpu_commands *commands, struct gpu_buffer *target, uint64_t offset,
                         uint64_t size, uint32_t value)
{
    const struct gpu_touch touch = {target->handle, offset, offset + size, GPU_WRITE};
    assert(!commands->ended && offset % 4 == 0 && size % 4 == 0);
    if (size == 0)
        return STATUS_OK;
    status result = gpu_hazards_add(commands, &touch, 1);
    if (!result)
        commands->device->vk.vkCmdFillBuffer(commands->handle, target->handle, offset, size, value);
    return result;
}
