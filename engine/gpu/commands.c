/* A list of commands: creation, the end of recording, what is known of it. */
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

static status create_fences(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    status result = STATUS_OK;
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    for (uint32_t i = 0; i < GPU_MAX_FLIGHTS; i++)
        GPU_TRY(device, result,
                device->vk.vkCreateFence(device->handle, &info, NULL, &commands->fences[i]));
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
    status result = gpu_device_check(device);
    if (result)
        return result;
    struct gpu_commands *commands = calloc(1, sizeof(*commands));
    if (!commands)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for commands");
    commands->device = device;
    commands->handle = params->command;
    commands->owned = !params->command;
    commands->profile = params->profile && commands->owned;
    result = commands->owned ? create_fences(commands) : STATUS_OK;
    if (!result)
        result = gpu_parts_begin(commands);
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
    gpu_run_stop(commands); /* the device still uses what is freed below */
    for (uint32_t i = 0; i < GPU_MAX_FLIGHTS; i++)
        device->vk.vkDestroyFence(device->handle, commands->fences[i], NULL);
    gpu_parts_finish(commands);
    gpu_descriptors_finish(commands);
    gpu_queries_finish(commands);
    free(commands->touches.items);
    free(commands->foreign.items);
    free(commands->entries.items);
    free(commands->marks.items);
    free(commands);
}

status gpu_commands_end(struct gpu_commands *commands)
{
    assert(!commands->ended);
    gpu_hazards_end(commands);
    status result = gpu_parts_end(commands);
    commands->ended = !result;
    return result;
}

status gpu_commands_profile(struct gpu_commands *commands, const struct gpu_profile_entry **entries,
                            uint32_t *count)
{
    struct gpu_profile_entry *list = commands->entries.items;
    const struct gpu_mark *marks = commands->marks.items;
    status result = STATUS_OK;
    if (!commands->run.whole) /* timestamps that were not written cannot be waited for */
        return fail(commands->device->log, STATUS_INVALID_ARGUMENT,
                    "a profile needs a run that has ended");
    for (uint32_t i = 0; i < commands->entries.count; i++)
        list[i].ms = 0;
    for (uint32_t i = 0; i < commands->marks.count && !result; i++) {
        uint64_t ticks[2] = {0};
        result = gpu_queries_ticks(commands, marks[i].from, marks[i].to, ticks);
        list[marks[i].entry].ms += gpu_ticks_ms(commands->device, ticks[0], ticks[1]);
    }
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
