/* A logical device with its queue, and the reports of failed Vulkan calls. */
#include "gpu/instance.h"
#include <stdlib.h>
#include <string.h>

struct result_row {
    VkResult result;
    status code;
    const char *text;
};

static const struct result_row result_rows[] = {
    {VK_ERROR_OUT_OF_HOST_MEMORY, STATUS_OUT_OF_HOST_MEMORY, "out of host memory"},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, STATUS_OUT_OF_DEVICE_MEMORY, "out of device memory"},
    {VK_ERROR_OUT_OF_POOL_MEMORY, STATUS_OUT_OF_DEVICE_MEMORY, "out of pool memory"},
    {VK_ERROR_FRAGMENTED_POOL, STATUS_OUT_OF_DEVICE_MEMORY, "fragmented pool"},
    {VK_ERROR_FRAGMENTATION, STATUS_OUT_OF_DEVICE_MEMORY, "fragmentation"},
    {VK_ERROR_TOO_MANY_OBJECTS, STATUS_OUT_OF_DEVICE_MEMORY, "too many objects"},
    {VK_ERROR_DEVICE_LOST, STATUS_DEVICE_LOST, "device lost"},
    {VK_ERROR_INITIALIZATION_FAILED, STATUS_DRIVER, "initialisation failed"},
    {VK_ERROR_MEMORY_MAP_FAILED, STATUS_DRIVER, "memory map failed"},
    {VK_ERROR_LAYER_NOT_PRESENT, STATUS_DRIVER, "layer not present"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, STATUS_DRIVER, "extension not present"},
    {VK_ERROR_FEATURE_NOT_PRESENT, STATUS_DRIVER, "feature not present"},
    {VK_ERROR_INCOMPATIBLE_DRIVER, STATUS_DRIVER, "incompatible driver"},
    {VK_ERROR_FORMAT_NOT_SUPPORTED, STATUS_DRIVER, "format not supported"},
    {VK_ERROR_INVALID_SHADER_NV, STATUS_DRIVER, "invalid shader"},
    {VK_SUCCESS, STATUS_OK, "success"},
    {VK_NOT_READY, STATUS_OK, "not ready"},
    {VK_TIMEOUT, STATUS_OK, "timeout"},
    {VK_INCOMPLETE, STATUS_OK, "incomplete"},
};

static const struct result_row *find_result(VkResult result)
{
    static const struct result_row unknown = {VK_ERROR_UNKNOWN, STATUS_DRIVER, "unknown error"};
    for (size_t i = 0; i < ARRAY_SIZE(result_rows); i++)
        if (result_rows[i].result == result)
            return &result_rows[i];
    return &unknown;
}

const char *gpu_result_text(VkResult result)
{
    return find_result(result)->text;
}

const char *gpu_type_text(enum gpu_device_type type)
{
    static const char *const texts[] = {[GPU_DISCRETE] = "discrete",
                                        [GPU_INTEGRATED] = "integrated",
                                        [GPU_VIRTUAL] = "virtual",
                                        [GPU_CPU] = "cpu",
                                        [GPU_OTHER] = "other"};
    return (size_t)type < ARRAY_SIZE(texts) ? texts[type] : "other";
}

/* Only the name of the function and of the file: a reader needs no arguments and no folders. */
status gpu_vk_fail(struct gpu_device *device, VkResult result, const char *call, const char *file,
                   int line)
{
    const struct result_row *row = find_result(result);
    const char *name = strstr(call, "vk.vk");
    const char *slash = strrchr(file, '/');
    name = name ? name + strlen("vk.") : call;
    if (result == VK_ERROR_DEVICE_LOST)
        device->lost = true;
    return fail(device->log, row->code ? row->code : STATUS_DRIVER, "%.*s on %s: %s (%d), %s:%d",
                (int)strcspn(name, "("), name, device->info.name, row->text, (int)result,
                slash ? slash + 1 : file, line);
}

VkResult gpu_queue_submit(struct gpu_device *device, uint32_t count, const VkSubmitInfo *submits,
                          VkFence fence)
{
    if (device->lock)
        device->lock(device->lock_user);
    VkResult result = device->vk.vkQueueSubmit(device->queue, count, submits, fence);
    if (device->unlock)
        device->unlock(device->lock_user);
    return result;
}

/* Adds the extensions that the used features need; returns their number. */
static uint32_t choose_extensions(const struct gpu_device *device,
                                  const struct gpu_extensions *present, const char *names[2])
{
    uint32_t count = 0;
    /* Its presence makes it required: the device leaves out parts of Vulkan. */
    if (gpu_extension_present(present, "VK_KHR_portability_subset"))
        names[count++] = "VK_KHR_portability_subset";
    if (device->features.float16)
        names[count++] = VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME;
    return count;
}

static status create_handle(struct gpu_device *device)
{
    struct gpu_extensions present;
    status result =
        gpu_physical_extensions(device->log, &device->instance, device->physical, &present);
    if (result)
        return result;
    const char *names[2];
    const float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = device->family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkPhysicalDeviceShaderFloat16Int8Features float16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
        .shaderFloat16 = VK_TRUE};
    VkPhysicalDevice16BitStorageFeatures storage16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
        .pNext = device->features.float16 ? &float16 : NULL,
        .storageBuffer16BitAccess = device->features.storage16};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = &storage16,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = choose_extensions(device, &present, names),
                               .ppEnabledExtensionNames = names};
    VkResult vk = device->instance.CreateDevice(device->physical, &info, NULL, &device->handle);
    free(present.list);
    if (vk < 0)
        return gpu_vk_fail(device, vk, "vkCreateDevice", __FILE__, __LINE__);
    return STATUS_OK;
}

/* Chooses the physical device and takes over what is known of it. */
static status choose_physical(struct gpu_device *device, const char *select)
{
    struct gpu_physical *list;
    uint32_t count;
    status result = gpu_physical_list(device->log, &device->instance, &list, &count);
    if (result)
        return result;
    const struct gpu_physical *chosen = gpu_select(list, count, select);
    if (!chosen) {
        result = gpu_select_fail(device->log, list, count, select);
        goto error;
    }
    device->physical = chosen->handle;
    device->info = chosen->info;
    device->limits = chosen->info.limits;
    device->features = chosen->info.features;
    if (!select && chosen->info.type == GPU_CPU)
        log_line(device->log, LOG_WARNING, "no GPU: running on the CPU device %s",
                 chosen->info.name);
    struct gpu_family family = gpu_physical_family(&device->instance, chosen->handle);
    device->family = family.index;
    device->timestamp_bits = family.timestamp_bits;
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    device->instance.GetPhysicalDeviceProperties2(chosen->handle, &properties);
    device->timestamp_ns = properties.properties.limits.timestampPeriod;
error:
    free(list);
    return result;
}

/* What lives as long as the device: queue, command pool, memory, pipelines. */
static status open_device(struct gpu_device *device)
{
    status result = create_handle(device);
    if (result)
        return result;
    result = gpu_loader_device(device);
    if (result)
        return result;
    device->vk.vkGetDeviceQueue(device->handle, device->family, 0, &device->queue);
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = device->family};
    GPU_TRY(device, result,
            device->vk.vkCreateCommandPool(device->handle, &pool, NULL, &device->commands));
    result = gpu_memory_create(device);
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
    status result = gpu_instance_init(log, params->validate ? device : NULL, &device->instance);
    if (!result)
        result = choose_physical(device, params->select);
    if (!result)
        result = open_device(device);
    if (result) {
        gpu_device_destroy(device);
        return result;
    }
    *out = device;
    return STATUS_OK;
}

void gpu_device_destroy(struct gpu_device *device)
{
    if (!device)
        return;
    if (device->handle && device->vk.vkDestroyDevice) {
        device->vk.vkDeviceWaitIdle(device->handle);
        gpu_pipelines_destroy(device);
        gpu_memory_destroy(device);
        if (device->commands)
            device->vk.vkDestroyCommandPool(device->handle, device->commands, NULL);
        device->vk.vkDestroyDevice(device->handle, NULL);
    }
    gpu_instance_finish(&device->instance);
    free(device);
}
