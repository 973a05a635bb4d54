/* Timestamps, from query pools that grow. Where memory is unified the device copies them to where
 * the host reads them, since vkGetQueryPoolResults waits for the whole queue in some drivers,
 * whosever work is in it. Elsewhere that would take a block of memory for a few numbers; under a
 * bound all memory is for tensors. */
#include "gpu/commands.h"
#include "gpu/memory.h"
#include <stdlib.h>
#include <string.h>

#define POOL_SIZE 64

struct query_pool {
    VkQueryPool handle;
    struct gpu_buffer *ticks; /* uint64_t[POOL_SIZE], or NULL */
};

static status add_pool(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    status result = STATUS_OK;
    VkQueryPool handle = VK_NULL_HANDLE;
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = POOL_SIZE};
    struct query_pool *pool = gpu_array_add(device->log, &commands->query_pools, sizeof(*pool));
    if (!pool)
        return STATUS_OUT_OF_HOST_MEMORY;
    GPU_TRY(device, result, device->vk.vkCreateQueryPool(device->handle, &info, NULL, &handle));
    pool->handle = handle;
    device->vk.vkCmdResetQueryPool(commands->handle, handle, 0, POOL_SIZE);
    if (!device->features.unified || device->max_memory)
        return STATUS_OK;
    /* Of the same memory as tensors, which are there anyway: another kind may need a block. */
    result = gpu_buffer_make(device, POOL_SIZE * sizeof(uint64_t), GPU_MEMORY_DEVICE, &pool->ticks);
    if (!result && !pool->ticks->mapped) {
        gpu_buffer_release(pool->ticks);
        pool->ticks = NULL;
    }
error:
    return result;
}

status gpu_queries_stamp(struct gpu_commands *commands, VkPipelineStageFlagBits stage,
                         uint32_t *query)
{
    struct gpu_device *device = commands->device;
    if (!device->features.timestamps)
        return STATUS_OK;
    if (commands->queries == commands->query_pools.count * POOL_SIZE) {
        status result = add_pool(commands);
        if (result)
            return result;
    }
    const struct query_pool *pools = commands->query_pools.items;
    device->vk.vkCmdWriteTimestamp(commands->handle, stage,
                                   pools[commands->queries / POOL_SIZE].handle,
                                   commands->queries % POOL_SIZE);
    *query = commands->queries++;
    return STATUS_OK;
}

void gpu_queries_copy(struct gpu_commands *commands, uint32_t from, uint32_t to)
{
    const struct gpu_device *device = commands->device;
    const struct query_pool *pools = commands->query_pools.items;
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    if (!device->features.timestamps)
        return;
    for (uint32_t next; from <= to; from = next) {
        const struct query_pool *pool = &pools[from / POOL_SIZE];
        const uint32_t first = from % POOL_SIZE;
        next = from - first + POOL_SIZE;
        if (!pool->ticks)
            continue;
        device->vk.vkCmdCopyQueryPoolResults(
            commands->handle, pool->handle, first, (next <= to ? next : to + 1) - from,
            pool->ticks->handle, first * sizeof(uint64_t), sizeof(uint64_t),
            VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    }
    device->vk.vkCmdPipelineBarrier(commands->handle, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                    VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
}

/* Ticks of `count` queries of one pool, from `first` on. */
static status read_ticks(const struct gpu_commands *commands, uint32_t first, uint32_t count,
                         uint64_t *ticks)
{
    struct gpu_device *device = commands->device;
    const struct query_pool *pools = commands->query_pools.items;
    const struct query_pool *pool = &pools[first / POOL_SIZE];
    const uint64_t offset = first % POOL_SIZE * sizeof(*ticks), bytes = count * sizeof(*ticks);
    status result = STATUS_OK;
    if (pool->ticks) {
        result = gpu_buffer_invalidate(pool->ticks, offset, bytes);
        memcpy(ticks, pool->ticks->mapped + offset, bytes);
        return result;
    }
    GPU_TRY(device, result,
            device->vk.vkGetQueryPoolResults(device->handle, pool->handle, first % POOL_SIZE, count,
                                             bytes, ticks, sizeof(*ticks),
                                             VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
error:
    return result;
}

status gpu_queries_ticks(const struct gpu_commands *commands, uint32_t from, uint32_t to,
                         uint64_t ticks[2])
{
    if (to == from + 1 && to % POOL_SIZE != 0) /* neighbours: one wait for both */
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
    const struct query_pool *pools = commands->query_pools.items;
    for (uint32_t i = 0; i < commands->query_pools.count; i++) {
        device->vk.vkDestroyQueryPool(device->handle, pools[i].handle, NULL);
        if (pools[i].ticks)
            gpu_buffer_release(pools[i].ticks);
    }
    free(commands->query_pools.items);
}
