/* What a failed Vulkan call is called, and which status it is. */
#include "gpu/gpu.h"
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

status gpu_result_fail(struct logger *log, VkResult result, const char *call)
{
    const struct result_row *row = find_result(result);
    return fail(log, row->code ? row->code : STATUS_DRIVER, "%s: %s (%d)", call, row->text,
                (int)result);
}

status gpu_device_check(const struct gpu_device *device)
{
    return device->lost ? fail(device->log, STATUS_DEVICE_LOST, "%s is lost", device->info.name)
                        : STATUS_OK;
}
