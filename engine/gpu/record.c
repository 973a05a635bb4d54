/* Recording of dispatches and copies. */
#include "gpu/commands.h"
#include <assert.h>
#include <string.h>

/* A copy that is cut is cut at multiples of this, bytes. */
#define COPY_STEP 4096

static struct gpu_touch touch_of(const struct gpu_buffer *buffer, uint64_t begin, uint64_t end,
                                 uint32_t access)
{
    return (struct gpu_touch){buffer->handle, buffer->foreign, begin, end, access};
}

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
            touches[count++] = touch_of(dispatch->bindings[i].buffer, window->begin, window->end,
                                        reflection->access[i]);
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

/* ---- profiles: an entry's time lies between timestamps, a pair in each part that it is in ---- */

static bool profiles(const struct gpu_commands *commands)
{
    return commands->profile && commands->device->features.timestamps;
}

static status add_entry(struct gpu_commands *commands, const char *label)
{
    if (!profiles(commands))
        return STATUS_OK;
    struct gpu_profile_entry *entry =
        gpu_array_add(commands->device->log, &commands->entries, sizeof(*entry));
    if (!entry)
        return STATUS_OUT_OF_HOST_MEMORY;
    entry->label = label;
    return STATUS_OK;
}

static status begin_mark(struct gpu_commands *commands)
{
    if (!profiles(commands))
        return STATUS_OK;
    struct gpu_mark *mark = gpu_array_add(commands->device->log, &commands->marks, sizeof(*mark));
    if (!mark)
        return STATUS_OUT_OF_HOST_MEMORY;
    mark->entry = commands->entries.count - 1;
    return gpu_queries_stamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, &mark->from);
}

static status end_mark(struct gpu_commands *commands)
{
    if (!profiles(commands))
        return STATUS_OK;
    struct gpu_mark *marks = commands->marks.items;
    return gpu_queries_stamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                             &marks[commands->marks.count - 1].to);
}

/* ---- dispatches ---- */

/* Binds the pipeline in the open part. */
static status begin_pieces(struct gpu_commands *commands, const struct gpu_dispatch *dispatch)
{
    status result = begin_mark(commands);
    if (!result)
        commands->device->vk.vkCmdBindPipeline(commands->handle, VK_PIPELINE_BIND_POINT_COMPUTE,
                                               dispatch->pipeline->handle);
    return result;
}

/* Goes on in a new part. */
static status cut_pieces(struct gpu_commands *commands, const struct gpu_dispatch *dispatch)
{
    status result = end_mark(commands);
    if (!result)
        result = gpu_part_cut(commands);
    return result ? result : begin_pieces(commands, dispatch);
}

status gpu_commands_dispatch(struct gpu_commands *commands, const struct gpu_dispatch *dispatch)
{
    struct gpu_piece piece;
    assert(!commands->ended);
    if (dispatch->items == 0)
        return STATUS_OK;
    const double each = dispatch->operations / (double)dispatch->items;
    const uint64_t most =
        size_div_up(dispatch->items, gpu_part_pieces(commands, dispatch->operations));
    status result = gpu_dispatch_check(commands->device, dispatch);
    if (!result)
        result = add_entry(commands, dispatch->label);
    if (!result && gpu_part_full(commands, each * (double)most))
        result = gpu_part_cut(commands);
    if (!result)
        result = begin_pieces(commands, dispatch);
    for (uint64_t first = 0; first < dispatch->items && !result; first = piece.end) {
        result = gpu_piece_next(commands->device, dispatch, first, most, &piece);
        if (result)
            break;
        const double operations = each * (double)(piece.end - piece.first);
        if (first > 0 && gpu_part_full(commands, operations))
            result = cut_pieces(commands, dispatch);
        if (!result)
            result = record_piece(commands, dispatch, &piece);
        if (!result)
            gpu_part_add(commands, operations, first == 0);
    }
    return result ? result : end_mark(commands);
}

/* ---- copies ---- */

/* Makes room for a transfer of some bytes, after what it must wait for. */
static status begin_transfer(struct gpu_commands *commands, const struct gpu_touch *touches,
                             uint32_t count, uint64_t bytes)
{
    const double operations = (double)bytes * GPU_OPERATIONS_PER_BYTE;
    status result = STATUS_OK;
    if (gpu_part_full(commands, operations))
        result = gpu_part_cut(commands);
    if (!result)
        result = gpu_hazards_add(commands, touches, count);
    if (!result)
        gpu_part_add(commands, operations, false);
    return result;
}

/* Bytes that go into one part. */
static uint64_t transfer_step(const struct gpu_commands *commands, uint64_t size)
{
    double operations = (double)size * GPU_OPERATIONS_PER_BYTE;
    return size_round_up(size_div_up(size, gpu_part_pieces(commands, operations)), COPY_STEP);
}

status gpu_commands_copy(struct gpu_commands *commands, struct gpu_buffer *source,
                         uint64_t source_offset, struct gpu_buffer *target, uint64_t target_offset,
                         uint64_t size)
{
    const uint64_t step = transfer_step(commands, size);
    status result = STATUS_OK;
    assert(!commands->ended);
    for (uint64_t done = 0; done < size && !result; done += step) {
        const VkBufferCopy region = {source_offset + done, target_offset + done,
                                     size_min(step, size - done)};
        const struct gpu_touch touches[] = {
            touch_of(source, region.srcOffset, region.srcOffset + region.size, GPU_READ),
            touch_of(target, region.dstOffset, region.dstOffset + region.size, GPU_WRITE)};
        result = begin_transfer(commands, touches, ARRAY_SIZE(touches), region.size);
        if (!result)
            commands->device->vk.vkCmdCopyBuffer(commands->handle, source->handle, target->handle,
                                                 1, &region);
    }
    return result;
}

status gpu_commands_fill(struct gpu_commands *commands, struct gpu_buffer *target, uint64_t offset,
                         uint64_t size, uint32_t value)
{
    const uint64_t step = transfer_step(commands, size);
    status result = STATUS_OK;
    assert(!commands->ended && offset % 4 == 0 && size % 4 == 0);
    for (uint64_t done = 0; done < size && !result; done += step) {
        const uint64_t bytes = size_min(step, size - done);
        const struct gpu_touch touch =
            touch_of(target, offset + done, offset + done + bytes, GPU_WRITE);
        result = begin_transfer(commands, &touch, 1, bytes);
        if (!result)
            commands->device->vk.vkCmdFillBuffer(commands->handle, target->handle, offset + done,
                                                 bytes, value);
    }
    return result;
}
