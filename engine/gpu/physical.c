/* The list of usable devices. */
#include "gpu/instance.h"
#include <stdlib.h>
#include <string.h>

bool gpu_extension_present(const struct gpu_extensions *extensions, const char *name)
{
    for (uint32_t i = 0; i < extensions->count; i++)
        if (!strcmp(extensions->list[i].extensionName, name))
            return true;
    return false;
}

status gpu_physical_extensions(struct logger *log, const struct gpu_instance *instance,
                               VkPhysicalDevice physical, struct gpu_extensions *out)
{
    *out = (struct gpu_extensions){0};
    VkResult result =
        instance->EnumerateDeviceExtensionProperties(physical, NULL, &out->count, NULL);
    if (result < 0)
        goto error;
    if (out->count == 0)
        return STATUS_OK;
    out->list = calloc(out->count, sizeof(*out->list));
    if (!out->list) {
        out->count = 0;
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for the list of extensions");
    }
    result = instance->EnumerateDeviceExtensionProperties(physical, NULL, &out->count, out->list);
    if (result >= 0)
        return STATUS_OK;
error:
    free(out->list);
    *out = (struct gpu_extensions){0};
    return gpu_result_fail(log, result, "vkEnumerateDeviceExtensionProperties");
}

#define MAX_FAMILIES 32

/* Returns their number. */
static uint32_t query_families(const struct gpu_instance *instance, VkPhysicalDevice physical,
                               VkQueueFamilyProperties2 families[MAX_FAMILIES])
{
    uint32_t count = MAX_FAMILIES;
    for (uint32_t i = 0; i < count; i++)
        families[i] =
            (VkQueueFamilyProperties2){.sType = VK_STRUCTURE_TYPE_QUEUE_FAMILY_PROPERTIES_2};
    instance->GetPhysicalDeviceQueueFamilyProperties2(physical, &count, families);
    return count;
}

static bool computes(const VkQueueFamilyProperties2 *family)
{
    return family->queueFamilyProperties.queueFlags & VK_QUEUE_COMPUTE_BIT &&
           family->queueFamilyProperties.queueCount > 0;
}

struct gpu_family gpu_physical_family_at(const struct gpu_instance *instance,
                                         VkPhysicalDevice physical, uint32_t index)
{
    VkQueueFamilyProperties2 families[MAX_FAMILIES];
    uint32_t count = query_families(instance, physical, families);
    if (index >= count || !computes(&families[index]))
        return (struct gpu_family){.index = UINT32_MAX};
    return (struct gpu_family){index, families[index].queueFamilyProperties.timestampValidBits};
}

struct gpu_family gpu_physical_family(const struct gpu_instance *instance,
                                      VkPhysicalDevice physical)
{
    VkQueueFamilyProperties2 families[MAX_FAMILIES];
    uint32_t count = query_families(instance, physical, families);
    struct gpu_family best = {.index = UINT32_MAX};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits = families[i].queueFamilyProperties.timestampValidBits;
        if (computes(&families[i]) &&
            (best.index == UINT32_MAX || (!best.timestamp_bits && bits > 0)))
            best = (struct gpu_family){i, bits};
    }
    return best;
}

static bool is_usable(const struct gpu_instance *instance, VkPhysicalDevice physical)
{
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    instance->GetPhysicalDeviceProperties2(physical, &properties);
    return properties.properties.apiVersion >= VK_API_VERSION_1_1 &&
           gpu_physical_family(instance, physical).index != UINT32_MAX;
}

static bool same_driver(const struct gpu_info *info, const struct gpu_info *other)
{
    return !strcmp(info->driver, other->driver) &&
           !strcmp(info->driver_version, other->driver_version);
}

/* One GPU under two drivers has one UUID. Of one driver two devices are two, whatever their UUIDs:
 * some make them of the model alone, and some leave them at zero. */
static bool is_listed(const struct gpu_physical *list, uint32_t count, const struct gpu_info *info)
{
    static const uint8_t zero[VK_UUID_SIZE];
    if (!memcmp(info->uuid, zero, VK_UUID_SIZE))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!memcmp(list[i].info.uuid, info->uuid, VK_UUID_SIZE) &&
            !same_driver(&list[i].info, info))
            return true;
    return false;
}

static status add_device(struct logger *log, const struct gpu_instance *instance,
                         VkPhysicalDevice handle, struct gpu_physical *list, uint32_t *count)
{
    if (!is_usable(instance, handle))
        return STATUS_OK;
    struct gpu_extensions extensions;
    status result = gpu_physical_extensions(log, instance, handle, &extensions);
    if (result)
        return result;
    struct gpu_physical *physical = &list[*count];
    physical->handle = handle;
    gpu_info_query(instance, handle, &extensions, &physical->info);
    physical->info.index = *count;
    if (!is_listed(list, *count, &physical->info))
        (*count)++;
    free(extensions.list);
    return STATUS_OK;
}

/* A device whose driver fails takes none of the others away: it is left out, with a warning. */
static status add_devices(struct logger *log, const struct gpu_instance *instance,
                          const VkPhysicalDevice *handles, uint32_t handle_count,
                          struct gpu_physical *list, uint32_t *count)
{
    status worst = STATUS_OK;
    struct logger failed = {0};
    for (uint32_t i = 0; i < handle_count && worst != STATUS_OUT_OF_HOST_MEMORY; i++) {
        status result = add_device(&failed, instance, handles[i], list, count);
        worst = result ? result : worst;
    }
    if (worst && (*count == 0 || worst == STATUS_OUT_OF_HOST_MEMORY))
        return fail(log, worst, "%s", failed.error);
    if (worst)
        log_line(log, LOG_WARNING, "a device is left out: %s", failed.error);
    return STATUS_OK;
}

status gpu_physical_list(struct logger *log, const struct gpu_instance *instance,
                         struct gpu_physical **list, uint32_t *count)
{
    *list = NULL;
    *count = 0;
    uint32_t handle_count = 0;
    if (!instance->handle)
        return STATUS_OK;
    VkResult vk = instance->EnumeratePhysicalDevices(instance->handle, &handle_count, NULL);
    /* The loader's answer when no driver could be started. */
    if (vk == VK_ERROR_INITIALIZATION_FAILED || (vk >= 0 && handle_count == 0))
        return STATUS_OK;
    status result = STATUS_OK;
    VkPhysicalDevice *handles = calloc((size_t)handle_count + 1, sizeof(*handles));
    *list = calloc((size_t)handle_count + 1, sizeof(**list));
    if (!handles || !*list) {
        result = fail(log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for the list of devices");
        goto error;
    }
    if (vk >= 0)
        vk = instance->EnumeratePhysicalDevices(instance->handle, &handle_count, handles);
    if (vk < 0) {
        result = gpu_result_fail(log, vk, "vkEnumeratePhysicalDevices");
        goto error;
    }
    result = add_devices(log, instance, handles, handle_count, *list, count);
error:
    free(handles);
    if (result || *count == 0) {
        free(*list);
        *list = NULL;
        *count = 0;
    }
    return result;
}

status gpu_list(struct logger *log, struct gpu_info **infos, uint32_t *count)
{
    *infos = NULL;
    *count = 0;
    struct gpu_instance instance;
    struct gpu_physical *list = NULL;
    uint32_t listed = 0;
    status result = gpu_instance_init(log, NULL, NULL, &instance);
    if (result)
        return result;
    result = gpu_physical_list(log, &instance, &list, &listed);
    gpu_instance_finish(&instance);
    if (result || listed == 0)
        return result;
    *infos = calloc(listed, sizeof(**infos));
    if (!*infos) {
        free(list);
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for the list of devices");
    }
    for (uint32_t i = 0; i < listed; i++)
        (*infos)[i] = list[i].info;
    *count = listed;
    free(list);
    return STATUS_OK;
}
