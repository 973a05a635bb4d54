/* Timestamps, from query pools that grow. */
#include "gpu/commands.h"
#include <stdlib.h>

#define QUERY_POOL_SIZE 256

static status add_pool(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    status result = STATUS_OK;
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = QUERY_POOL_SIZE};
    VkQueryPool *pool = gpu_array_add(device->log, &commands->query_pools, sizeof(*pool));
    if (!pool)
        return STATUS_OUT_OF_HOST_MEMORY;
    GPU_TRY(device, result, device->vk.vkCreateQueryPool(device->handle, &info, NULL, pool));
    device->vk.vkCmdResetQueryPool(commands->handle, *pool, 0, QUERY_POOL_SIZE);
    return STATUS_OK;
error:
    commands->query_pools.count--;
    return result;
}

status gpu_queries_stamp(struct gpu_commands *commands, VkPipelineStageFlagBits stage,
                         uint32_t *query)
{
    struct gpu_device *device = commands->device;
    if (!device->features.timestamps)
        return STATUS_OK;
    if (commands->queries == commands->query_pools.count * QUERY_POOL_SIZE) {
        status result = add_pool(commands);
        if (result)
            return result;
    }
    const VkQueryPool *pools = commands->query_pools.items;
    device->vk.vkCmdWriteTimestamp(commands->handle, stage,
                                   pools[commands->queries / QUERY_POOL_SIZE],
                                   commands->queries % QUERY_POOL_SIZE);
    if (query)
        *query = commands->queries;
    commands->queries++;
    return STATUS_OK;
}

/* Ticks of `count` queries of one pool, from `first` on. */
static status read_ticks(struct gpu_commands *commands, uint32_t first, uint32_t count,
                         uint64_t *ticks)
{
    struct gpu_device *device = commands->device;
    const VkQueryPool *pools = commands->query_pools.items;
    status result = STATUS_OK;
    GPU_TRY(device, result,
            device->vk.vkGetQueryPoolResults(device->handle, pools[first / QUERY_POOL_SIZE],
                                             first % QUERY_POOL_SIZE, count, count * sizeof(*ticks),
                                             ticks, sizeof(*ticks),
                                             VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
error:
    return result;
}

status gpu_queries_ticks(struct gpu_commands *commands, uint32_t from, uint32_t to,
                         uint64_t ticks[2])
{
    /* Where they are neighbours, together: some drivers wait for all of their queue each time. */
    if (to == from + 1 && to % QUERY_POOL_SIZE != 0)
        return read_ticks(commands, from, 2, ticks);
    status result = read_ticks(commands, from, 1, &ticks[0]);
    return result ? result : read_ticks(commands, to, 1, &ticks[1]);
}

double gpu_ticks_ms(const struct gpu_device *device, uint64_t from, uint64_t to)
{
    /* The counter may wrap: the difference in its own bits, with their sign, is right all the
     * same. */
    const uint32_t unused = 64 - device->timestamp_bits;
    int64_t ticks = (int64_t)((to - from) << unused) >> unused;
    return (double)ticks * (double)device->timestamp_ns * 1e-6;
}

void gpu_queries_finish(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    const VkQueryPool *pools = commands->query_pools.items;
    for (uint32_t i = 0; i < commands->query_pools.count; i++)
        device->vk.vkDestroyQueryPool(device->handle, pools[i], NULL);
    free(commands->query_pools.items);
}
