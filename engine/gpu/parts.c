/* Cuts a list into command buffers, so that what is submitted can be small: a submission that runs
 * for seconds freezes a screen, and some drivers end it. */
#include "gpu/commands.h"
#include <math.h>
#include <stdlib.h>

/* Operations a millisecond that a slow device of a type has left for anyone: what the size of parts
 * is chosen by before there is a measurement. */
static const double least_rates[] = {[GPU_DISCRETE] = 30e6,
                                     [GPU_INTEGRATED] = 5e6,
                                     [GPU_VIRTUAL] = 5e6,
                                     [GPU_CPU] = 1e6,
                                     [GPU_OTHER] = 1e6};

/* A group of parts comes this near to what may be submitted, at the least. */
#define PARTS_PER_GROUP 4
/* No part has more dispatches or copies: each takes some microseconds, however small it is. */
#define MAX_DISPATCHES 2048
/* Parts that could be so many times larger cost more than to record them again. */
#define OUTGROWN 4
/* One dispatch is not cut further: a part of it has a descriptor set and a command buffer. */
#define MAX_PIECES 4096

double gpu_rate_floor(const struct gpu_device *device)
{
    double least = least_rates[device->info.type], known = device->operations_per_ms;
    return known > 0 ? fmin(known, least) : least;
}

static double choose_grain(const struct gpu_device *device)
{
    if (isinf(device->max_submit_ms))
        return (double)INFINITY;
    double rate = fmax(device->operations_per_ms / PARTS_PER_GROUP, gpu_rate_floor(device));
    return rate * device->max_submit_ms;
}

bool gpu_commands_outgrown(const struct gpu_commands *commands)
{
    return commands->parts.count > 1 &&
           choose_grain(commands->device) >= OUTGROWN * commands->grain;
}

static struct gpu_part *open_part(const struct gpu_commands *commands)
{
    return (struct gpu_part *)commands->parts.items + commands->parts.count - 1;
}

static status begin_part(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    status result = STATUS_OK;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    struct gpu_part *part = gpu_array_add(device->log, &commands->parts, sizeof(*part));
    VkCommandBuffer *handle =
        part ? gpu_array_add(device->log, &commands->handles, sizeof(VkCommandBuffer)) : NULL;
    if (!handle)
        return STATUS_OUT_OF_HOST_MEMORY;
    result = gpu_command_make(device, handle);
    if (result)
        return result;
    commands->handle = *handle;
    GPU_TRY(device, result, device->vk.vkBeginCommandBuffer(commands->handle, &begin));
    result = gpu_queries_stamp(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, &part->first_query);
error:
    return result;
}

status gpu_parts_begin(struct gpu_commands *commands)
{
    commands->grain = commands->owned ? choose_grain(commands->device) : (double)INFINITY;
    return commands->owned ? begin_part(commands) : STATUS_OK;
}

status gpu_parts_end(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    if (!commands->owned)
        return STATUS_OK;
    struct gpu_part *part = open_part(commands);
    status result =
        gpu_queries_stamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, &part->last_query);
    if (result)
        return result;
    gpu_queries_copy(commands, part->first_query, part->last_query);
    GPU_TRY(device, result, device->vk.vkEndCommandBuffer(commands->handle));
error:
    return result;
}

void gpu_parts_finish(struct gpu_commands *commands)
{
    const struct gpu_device *device = commands->device;
    if (commands->handles.count)
        device->vk.vkFreeCommandBuffers(device->handle, device->commands, commands->handles.count,
                                        commands->handles.items);
    free(commands->handles.items);
    free(commands->parts.items);
}

/* What a dispatch or copy counts for. */
static double counted(const struct gpu_commands *commands, double operations)
{
    if (isinf(commands->grain))
        return operations;
    return fmax(operations, commands->grain / MAX_DISPATCHES);
}

bool gpu_part_full(const struct gpu_commands *commands, double operations)
{
    if (isinf(commands->grain))
        return false;
    double filled = open_part(commands)->operations;
    return filled > 0 && filled + counted(commands, operations) > commands->grain;
}

status gpu_part_cut(struct gpu_commands *commands)
{
    status result = gpu_parts_end(commands);
    return result ? result : begin_part(commands);
}

void gpu_part_add(struct gpu_commands *commands, double operations, bool begins)
{
    if (!commands->owned)
        return;
    double work = counted(commands, operations);
    open_part(commands)->operations += work;
    open_part(commands)->begins |= begins;
    commands->operations += work;
}

uint64_t gpu_part_pieces(const struct gpu_commands *commands, double operations)
{
    double pieces = ceil(operations / commands->grain);
    return pieces > 1 ? (uint64_t)fmin(pieces, MAX_PIECES) : 1;
}
