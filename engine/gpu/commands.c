/* A list of commands: creation, the end of recording, submission. */
#include "gpu/commands.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

void *gpu_array_add(struct logger *log, struct gpu_array *array, size_t size)
{
    if (array->count == array->capacity) {
        uint32_t capacity = array->capacity ? array->capacity * 2 : 16;
        void *items = capacity > array->capacity ? realloc(array->items, capacity * size) : NULL;
        if (!items) {
            fail(log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for recorded commands");
            return NULL;
        }
        array->items = items;
        array->capacity = capacity;
    }
    void *item = (char *)array->items + array->count++ * size;
    memset(item, 0, size);
    return item;
}

/* The engine's own command buffer and fence. */
static status open_own(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    status result = STATUS_OK;
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = device->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    GPU_TRY(device, result,
            device->vk.vkAllocateCommandBuffers(device->handle, &info, &commands->handle));
    GPU_TRY(device, result,
            device->vk.vkCreateFence(device->handle, &fence, NULL, &commands->fence));
    GPU_TRY(device, result, device->vk.vkBeginCommandBuffer(commands->handle, &begin));
    result = gpu_queries_stamp(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, NULL);
error:
    return result;
}

status gpu_commands_create(struct gpu_device *device, const struct gpu_commands_params *params,
                           struct gpu_commands **out)
{
    static const struct gpu_commands_params defaults;
    if (!params)
        params = &defaults;
    *out = NULL;
    if (device->lost)
        return fail(device->log, STATUS_DEVICE_LOST, "%s is lost", device->info.name);
    struct gpu_commands *commands = calloc(1, sizeof(*commands));
    if (!commands)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for commands");
    commands->device = device;
    commands->handle = params->command;
    commands->owned = !params->command;
    commands->profile = params->profile && commands->owned;
    status result = commands->owned ? open_own(commands) : STATUS_OK;
    if (result) {
        gpu_commands_destroy(commands);
        return result;
    }
    gpu_hazards_begin(commands);
    *out = commands;
    return STATUS_OK;
}

void gpu_commands_destroy(struct gpu_commands *commands)
{
    if (!commands)
        return;
    struct gpu_device *device = commands->device;
    if (commands->in_flight) /* the device still uses what is freed below */
        device->vk.vkWaitForFences(device->handle, 1, &commands->fence, VK_TRUE, UINT64_MAX);
    if (commands->owned && commands->handle)
        device->vk.vkFreeCommandBuffers(device->handle, device->commands, 1, &commands->handle);
    device->vk.vkDestroyFence(device->handle, commands->fence, NULL);
    gpu_descriptors_finish(commands);
    gpu_queries_finish(commands);
    free(commands->touches.items);
    free(commands->entries.items);
    free(commands);
}

status gpu_commands_end(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    status result = STATUS_OK;
    assert(!commands->ended);
    gpu_hazards_end(commands);
    if (commands->owned) {
        result = gpu_queries_stamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                   &commands->last_query);
        if (result)
            return result;
        GPU_TRY(device, result, device->vk.vkEndCommandBuffer(commands->handle));
    }
    commands->ended = true;
error:
    return result;
}

status gpu_commands_submit(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    status result = STATUS_OK;
    VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                           .commandBufferCount = 1,
                           .pCommandBuffers = &commands->handle};
    assert(commands->owned && commands->ended && !commands->in_flight);
    commands->submissions = 0;
    if (device->lost)
        return fail(device->log, STATUS_DEVICE_LOST, "%s is lost", device->info.name);
    GPU_TRY(device, result, device->vk.vkResetFences(device->handle, 1, &commands->fence));
    GPU_TRY(device, result, gpu_queue_submit(device, 1, &submit, commands->fence));
    commands->in_flight = true;
    commands->submissions = 1;
error:
    return result;
}

status gpu_commands_wait(struct gpu_commands *commands, double *device_ms)
{
    struct gpu_device *device = commands->device;
    status result = STATUS_OK;
    assert(commands->in_flight);
    commands->in_flight = false;
    GPU_TRY(device, result,
            device->vk.vkWaitForFences(device->handle, 1, &commands->fence, VK_TRUE, UINT64_MAX));
    if (device_ms) {
        *device_ms = -1;
        if (commands->queries)
            result = gpu_queries_ms(commands, 0, commands->last_query, device_ms);
    }
error:
    return result;
}

status gpu_commands_run(struct gpu_commands *commands, double *device_ms)
{
    status result = gpu_commands_submit(commands);
    return result ? result : gpu_commands_wait(commands, device_ms);
}

status gpu_commands_profile(struct gpu_commands *commands, const struct gpu_profile_entry **entries,
                            uint32_t *count)
{
    struct gpu_profile_entry *list = commands->entries.items;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < commands->entries.count && !result; i++)
        result = gpu_queries_ms(commands, 1 + 2 * i, 2 + 2 * i, &list[i].ms);
    *entries = list;
    *count = commands->entries.count;
    return result;
}

uint32_t gpu_commands_dispatches(const struct gpu_commands *commands)
{
    return commands->dispatches;
}

uint32_t gpu_commands_barriers(const struct gpu_commands *commands)
{
    return commands->barriers;
}

uint32_t gpu_commands_submissions(const struct gpu_commands *commands)
{
    return commands->submissions;
}
