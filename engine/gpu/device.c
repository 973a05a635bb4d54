/* A logical device with its queue: made here, or the caller's. */
#include "base/parallel.h"
#include "base/system.h"
#include "gpu/instance.h"
#include "gpu/needs.h"
#include <math.h>
#include <stdlib.h>

#define DEFAULT_SUBMIT_MS 100

/* ---- a device of our own ---- */

static status create_handle(struct gpu_device *device)
{
    struct gpu_extensions present;
    status result =
        gpu_physical_extensions(device->log, &device->instance, device->physical, &present);
    if (result)
        return result;
    struct gpu_enable enable;
    gpu_enable_query(&device->instance, device->physical, &present, &enable);
    free(present.list);
    const float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = device->family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = enable.chain,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = enable.extension_count,
                               .ppEnabledExtensionNames = enable.extensions,
                               .pEnabledFeatures = &enable.core};
    VkResult vk = device->instance.CreateDevice(device->physical, &info, NULL, &device->handle);
    if (vk < 0)
        return gpu_vk_fail(device, vk, "vkCreateDevice", __FILE__, __LINE__);
    gpu_enable_keep(&info, &device->features);
    return STATUS_OK;
}

/* Takes over what is known of a physical device. */
static void set_physical(struct gpu_device *device, VkPhysicalDevice physical,
                         const struct gpu_info *info, const struct gpu_family *family)
{
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    device->instance.GetPhysicalDeviceProperties2(physical, &properties);
    device->physical = physical;
    device->info = *info;
    device->limits = info->limits;
    device->features = info->features;
    device->features.timestamps = family->timestamp_bits > 0;
    device->family = family->index;
    device->timestamp_bits = family->timestamp_bits;
    device->timestamp_ns = properties.properties.limits.timestampPeriod;
}

static status choose_physical(struct gpu_device *device, const char *select)
{
    struct gpu_physical *list;
    uint32_t count;
    status result = gpu_physical_list(device->log, &device->instance, &list, &count);
    if (result)
        return result;
    const struct gpu_physical *chosen = gpu_select(list, count, select);
    if (chosen) {
        struct gpu_family family = gpu_physical_family(&device->instance, chosen->handle);
        set_physical(device, chosen->handle, &chosen->info, &family);
        if (!select && chosen->info.type == GPU_CPU)
            log_line(device->log, LOG_WARNING, "no GPU: running on the CPU device %s",
                     chosen->info.name);
    } else {
        result = gpu_select_fail(device->log, list, count, select);
    }
    free(list);
    return result;
}

static status make_device(struct gpu_device *device, const struct gpu_device_params *params)
{
    status result = gpu_instance_init(device->log, params->get_proc,
                                      params->validate ? device : NULL, &device->instance);
    if (!result)
        result = choose_physical(device, params->select);
    if (!result)
        result = create_handle(device);
    if (!result)
        result = gpu_loader_device(device);
    if (!result)
        device->vk.vkGetDeviceQueue(device->handle, device->family, 0, &device->queue);
    return result;
}

/* ---- the caller's device ---- */

static status check_external(struct logger *log, const struct gpu_device_params *params)
{
    const struct gpu_external *external = params->external;
    const char *missing = !external->instance   ? "an instance"
                          : !external->physical ? "a physical device"
                          : !external->device   ? "a device"
                          : !external->queue    ? "a queue"
                                                : NULL;
    if (missing)
        return fail(log, STATUS_INVALID_ARGUMENT,
                    "the caller's Vulkan objects: expected %s, got a null handle", missing);
    if (external->api_version < VK_API_VERSION_1_1)
        return fail(log, STATUS_INVALID_ARGUMENT,
                    "api_version: expected an instance made for Vulkan 1.1 or later, got %u.%u",
                    VK_API_VERSION_MAJOR(external->api_version),
                    VK_API_VERSION_MINOR(external->api_version));
    if (!external->lock != !external->unlock)
        return fail(log, STATUS_INVALID_ARGUMENT, "lock, unlock: expected both or neither");
    if (params->select || params->validate)
        return fail(log, STATUS_INVALID_ARGUMENT,
                    "device, validate: expected none with the caller's Vulkan objects");
    return STATUS_OK;
}

static status adopt_physical(struct gpu_device *device, const struct gpu_external *external)
{
    struct gpu_extensions present;
    struct gpu_info info;
    struct gpu_family family =
        gpu_physical_family_at(&device->instance, external->physical, external->family);
    status result =
        gpu_physical_extensions(device->log, &device->instance, external->physical, &present);
    if (result)
        return result;
    gpu_info_query(&device->instance, external->physical, &present, &info);
    free(present.list);
    if (info.api_version < VK_API_VERSION_1_1)
        return fail(device->log, STATUS_UNSUPPORTED,
                    "%s: expected Vulkan 1.1 or later, it has %u.%u", info.name,
                    VK_API_VERSION_MAJOR(info.api_version), VK_API_VERSION_MINOR(info.api_version));
    if (family.index == UINT32_MAX)
        return fail(device->log, STATUS_INVALID_ARGUMENT,
                    "queue_family: expected one of %s that computes, got %u", info.name,
                    external->family);
    info.index = UINT32_MAX; /* it was not chosen from a list */
    set_physical(device, external->physical, &info, &family);
    gpu_enable_keep(external->device_info, &device->features);
    return STATUS_OK;
}

static status adopt_device(struct gpu_device *device, const struct gpu_device_params *params)
{
    const struct gpu_external *external = params->external;
    device->external = true;
    status result = check_external(device->log, params);
    if (!result)
        result = gpu_instance_adopt(device->log, params->get_proc, external->instance,
                                    &device->instance);
    if (!result)
        result = adopt_physical(device, external);
    if (result)
        return result;
    device->handle = external->device;
    device->queue = external->queue;
    device->lock = external->lock;
    device->unlock = external->unlock;
    device->lock_user = external->user;
    return gpu_loader_device(device);
}

/* ---- both ---- */

static void take_params(struct gpu_device *device, const struct gpu_device_params *params)
{
    device->store = params->store;
    device->max_memory = params->max_memory;
    device->max_submit_ms = params->max_submit_ms > 0   ? params->max_submit_ms
                            : params->max_submit_ms < 0 ? (double)INFINITY
                                                        : DEFAULT_SUBMIT_MS;
    /* The layer's messages go to the log, on the thread of the call that they are about. */
    device->compile_threads = params->validate          ? 1
                              : params->compile_threads ? params->compile_threads
                                                        : parallel_processors();
    device->progress = params->progress;
    device->progress_user = params->user;
    device->progress_to = 1;
}

/* What lives as long as the device: command pool, memory, pipelines. */
static status open_parts(struct gpu_device *device)
{
    status result = STATUS_OK;
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = device->family};
    GPU_TRY(device, result,
            device->vk.vkCreateCommandPool(device->handle, &pool, NULL, &device->commands));
    result = gpu_memory_create(device);
    if (!result)
        result = gpu_needs_create(device);
    if (!result)
        result = gpu_pipelines_create(device);
error:
    return result;
}

status gpu_device_create(struct logger *log, const struct gpu_device_params *params,
                         struct gpu_device **out)
{
    static const struct gpu_device_params defaults;
    if (!params)
        params = &defaults;
    *out = NULL;
    struct gpu_device *device = calloc(1, sizeof(*device));
    if (!device)
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a device");
    device->log = log;
    take_params(device, params);
    status result = params->external ? adopt_device(device, params) : make_device(device, params);
    if (!result && params->limits)
        result = gpu_limits_lower(log, params->limits, &device->limits, &device->features);
    if (!result)
        result = open_parts(device);
    if (result) {
        gpu_device_destroy(device);
        return result;
    }
    *out = device;
    return STATUS_OK;
}

/* The caller's queues run on: whoever submitted to them has waited for it. */
void gpu_device_destroy(struct gpu_device *device)
{
    if (!device)
        return;
    if (device->handle && device->vk.vkDestroyDevice) {
        if (!device->external)
            device->vk.vkDeviceWaitIdle(device->handle);
        gpu_pipelines_destroy(device);
        gpu_needs_destroy(device);
        gpu_memory_destroy(device);
        if (device->commands)
            device->vk.vkDestroyCommandPool(device->handle, device->commands, NULL);
        if (!device->external)
            device->vk.vkDestroyDevice(device->handle, NULL);
    }
    gpu_instance_finish(&device->instance);
    free(device->choices);
    free(device);
}

status gpu_queue_submit(struct gpu_device *device, uint32_t count, const VkSubmitInfo *submits,
                        VkFence fence)
{
    if (device->lock)
        device->lock(device->lock_user);
    VkResult vk = device->vk.vkQueueSubmit(device->queue, count, submits, fence);
    if (device->unlock)
        device->unlock(device->lock_user);
    return vk >= 0 ? STATUS_OK : gpu_vk_fail(device, vk, "vkQueueSubmit", __FILE__, __LINE__);
}

/* Waking a thread takes tens of microseconds, which is much of what a small run takes: so the fence
 * is looked at for this long first, leaving the processor to whoever needs it. */
#define POLL_MS 2

static VkResult poll_fence(const struct gpu_device *device, VkFence fence)
{
    const double start_ms = system_clock_ms();
    VkResult result = device->vk.vkGetFenceStatus(device->handle, fence);
    while (result == VK_NOT_READY && system_clock_ms() - start_ms < POLL_MS) {
        system_yield();
        result = device->vk.vkGetFenceStatus(device->handle, fence);
    }
    return result;
}

/* No time is too long, whatever the driver makes of it. */
static VkResult wait_fence(struct gpu_device *device, VkFence fence)
{
    VkResult result;
    do
        result = device->vk.vkWaitForFences(device->handle, 1, &fence, VK_TRUE, UINT64_MAX);
    while (result == VK_TIMEOUT);
    return result;
}

/* A wait may fail for want of memory while the device goes on; it is tried once more, since what
 * the device uses cannot be freed before. For a device that is lost it may succeed. */
status gpu_fence_wait(struct gpu_device *device, VkFence fence)
{
    VkResult result = poll_fence(device, fence);
    if (result == VK_SUCCESS)
        result = VK_NOT_READY;
    for (uint32_t i = 0; i < 2 && result != VK_SUCCESS && result != VK_ERROR_DEVICE_LOST; i++)
        result = wait_fence(device, fence);
    if (result == VK_SUCCESS)
        return STATUS_OK;
    device->lost = true; /* whatever the reason: of no more use */
    gpu_vk_fail(device, result, "vkWaitForFences", __FILE__, __LINE__);
    return STATUS_DEVICE_LOST;
}
