/* Compiled pipelines between processes: Vulkan's pipeline cache, as far as a driver uses it. */
#include "gpu/cache.h"
#include <stdlib.h>
#include <string.h>

#define NAME "pipelines"

/* Vulkan asks drivers to check their header, and not all of them do. */
static bool is_of_device(const struct gpu_device *device, const void *data, size_t size)
{
    VkPipelineCacheHeaderVersionOne header;
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    const VkPhysicalDeviceProperties *core = &properties.properties;
    device->instance.GetPhysicalDeviceProperties2(device->physical, &properties);
    if (size < sizeof(header))
        return false;
    memcpy(&header, data, sizeof(header));
    return header.headerSize >= sizeof(header) && header.headerSize <= size &&
           header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == core->vendorID && header.deviceID == core->deviceID &&
           memcmp(header.pipelineCacheUUID, core->pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

/* What is kept, malloc'ed; NULL: nothing. */
static void *load(const struct gpu_device *device, size_t *size)
{
    void *data = gpu_cache_load(device, &device->store, NAME, size);
    if (data && is_of_device(device, data, *size))
        return data;
    free(data);
    return NULL;
}

static VkResult create(struct gpu_device *device, const void *data, size_t size,
                       VkPipelineCache *out)
{
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize = data ? size : 0,
                                      .pInitialData = data};
    return device->vk.vkCreatePipelineCache(device->handle, &info, NULL, out);
}

status gpu_pipeline_cache_create(struct gpu_device *device, struct gpu_pipeline_cache *cache)
{
    size_t size = 0;
    void *data = load(device, &size);
    VkResult vk = create(device, data, size, &cache->handle);
    if (vk >= 0)
        cache->kept = data ? gpu_cache_hash(0, data, size) : 0;
    else if (data && vk != VK_ERROR_OUT_OF_HOST_MEMORY && vk != VK_ERROR_OUT_OF_DEVICE_MEMORY)
        vk = create(device, NULL, 0, &cache->handle); /* a driver that dislikes the data */
    free(data);
    return vk >= 0 ? STATUS_OK
                   : gpu_vk_fail(device, vk, "vkCreatePipelineCache", __FILE__, __LINE__);
}

/* Takes over what other processes have kept since. */
static void merge(struct gpu_device *device, struct gpu_pipeline_cache *cache)
{
    size_t size = 0;
    VkPipelineCache other = VK_NULL_HANDLE;
    void *data = load(device, &size);
    uint64_t hash = data ? gpu_cache_hash(0, data, size) : 0;
    if (data && hash != cache->kept && create(device, data, size, &other) >= 0 &&
        device->vk.vkMergePipelineCaches(device->handle, cache->handle, 1, &other) >= 0)
        cache->kept = hash;
    if (other)
        device->vk.vkDestroyPipelineCache(device->handle, other, NULL);
    free(data);
}

void gpu_pipeline_cache_keep(struct gpu_device *device, struct gpu_pipeline_cache *cache)
{
    size_t size = 0;
    if (!device->store.save || !cache->handle || device->lost)
        return;
    merge(device, cache);
    if (device->vk.vkGetPipelineCacheData(device->handle, cache->handle, &size, NULL) < 0 ||
        size == 0 || size > GPU_CACHE_MOST)
        return;
    void *data = malloc(size);
    if (data && device->vk.vkGetPipelineCacheData(device->handle, cache->handle, &size, data) ==
                    VK_SUCCESS) {
        uint64_t hash = gpu_cache_hash(0, data, size);
        if (hash != cache->kept)
            gpu_cache_save(device, &device->store, NAME, data, size);
        cache->kept = hash;
    }
    free(data);
}
