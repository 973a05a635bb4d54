/* The caller's Vulkan objects. */
#include "context.h"
#include "gpu/instance.h"
#include "adamra_vulkan.h" /* after volk.h, which brings Vulkan without prototypes */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vulkan_adopt(const adamra_vulkan *vulkan, struct gpu_external *external,
                  struct gpu_device_params *params)
{
    *external = (struct gpu_external){.instance = vulkan->instance,
                                      .api_version = vulkan->api_version,
                                      .physical = vulkan->physical_device,
                                      .device = vulkan->device,
                                      .device_info = vulkan->device_info,
                                      .queue = vulkan->queue,
                                      .family = vulkan->queue_family,
                                      .lock = vulkan->lock,
                                      .unlock = vulkan->unlock,
                                      .user = vulkan->user};
    params->external = external;
    params->get_proc = vulkan->get_instance_proc_addr;
}

/* ---- what to enable ---- */

/* Enables features in a struct of the caller's that has them. Vulkan forbids a second struct for
 * the same feature in a chain, so ours is left out then: its type becomes 0. */
static void merge_link(VkBaseOutStructure *link, struct gpu_enable *ours)
{
    union {
        VkBaseOutStructure *base;
        VkPhysicalDeviceFeatures2 *core;
        VkPhysicalDeviceVulkan11Features *vulkan11;
        VkPhysicalDeviceVulkan12Features *vulkan12;
        VkPhysicalDeviceVulkan13Features *vulkan13;
    } theirs = {.base = link};
    switch ((uint32_t)link->sType) {
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2:
        theirs.core->features.shaderInt64 |= ours->core.shaderInt64;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES:
        theirs.vulkan11->storageBuffer16BitAccess |= ours->storage16.storageBuffer16BitAccess;
        ours->storage16.sType = 0;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES:
        theirs.vulkan12->shaderFloat16 |= ours->float16.shaderFloat16;
        theirs.vulkan12->vulkanMemoryModel |= ours->memory_model.vulkanMemoryModel;
        ours->float16.sType = ours->memory_model.sType = 0;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES:
        theirs.vulkan13->subgroupSizeControl |= ours->subgroup.subgroupSizeControl;
        theirs.vulkan13->computeFullSubgroups |= ours->subgroup.computeFullSubgroups;
        ours->subgroup.sType = 0;
        break;
    }
}

/* Whether a chain holds a struct of ours, of which Vulkan allows one. */
static bool holds_ours(const VkBaseOutStructure *link, const struct gpu_enable *enable)
{
    for (; link; link = link->pNext)
        for (const VkBaseOutStructure *own = enable->chain; own; own = own->pNext)
            if (own->sType == link->sType)
                return true;
    return false;
}

/* Puts a struct of ours before what the chain has so far, where it has a type. */
static void chain_struct(adamra_vulkan_features *out, void *to, const void *from, size_t size)
{
    VkBaseOutStructure link;
    memcpy(&link, from, sizeof(link));
    if (!link.sType)
        return;
    link.pNext = out->chain;
    memcpy(to, from, size);
    memcpy(to, &link, sizeof(link));
    out->chain = to;
}

/* The engine's findings in the caller's struct, which then points into itself. */
static void export_features(struct gpu_enable *enable, void *next, adamra_vulkan_features *out)
{
    static_assert(sizeof(enable->matrix_nv) <= sizeof(out->matrix_nv), "room");
    static_assert(sizeof(enable->matrix_khr) <= sizeof(out->matrix_khr), "room");
    static_assert(sizeof(enable->extensions) <= sizeof(out->extensions), "room");
    *out = (adamra_vulkan_features){.extension_count = enable->extension_count, .chain = next};
    memcpy(out->extensions, enable->extensions, sizeof(enable->extensions));
    for (VkBaseOutStructure *link = next; link; link = link->pNext)
        merge_link(link, enable);
    chain_struct(out, &out->memory_model, &enable->memory_model, sizeof(out->memory_model));
    chain_struct(out, &out->matrix_nv, &enable->matrix_nv, sizeof(enable->matrix_nv));
    chain_struct(out, &out->matrix_khr, &enable->matrix_khr, sizeof(enable->matrix_khr));
    chain_struct(out, &out->subgroup, &enable->subgroup, sizeof(out->subgroup));
    chain_struct(out, &out->float16, &enable->float16, sizeof(out->float16));
    chain_struct(out, &out->storage16, &enable->storage16, sizeof(out->storage16));
}

static status ask(struct logger *log, PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                  VkInstance instance, VkPhysicalDevice physical_device, void *next,
                  adamra_vulkan_features *out)
{
    struct gpu_instance functions;
    struct gpu_extensions present;
    struct gpu_enable enable;
    EXPECT(instance && physical_device, "instance, physical_device: expected handles, got NULL");
    status result = gpu_instance_adopt(log, get_instance_proc_addr, instance, &functions);
    if (result)
        return result;
    result = gpu_physical_extensions(log, &functions, physical_device, &present);
    if (!result) {
        gpu_enable_query(&functions, physical_device, &present, &enable);
        if (holds_ours(next, &enable))
            result = fail(log, STATUS_INVALID_ARGUMENT,
                          "next: expected no struct that adamra_vulkan_features has");
        else
            export_features(&enable, next, out);
        free(present.list);
    }
    gpu_instance_finish(&functions);
    return result;
}

adamra_status adamra_vulkan_get_features(PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                                         VkInstance instance, VkPhysicalDevice physical_device,
                                         void *next, adamra_vulkan_features *out)
{
    struct logger log = {0};
    if (!out)
        return ADAMRA_INVALID_ARGUMENT;
    *out = (adamra_vulkan_features){.chain = next};
    status result = ask(&log, get_instance_proc_addr, instance, physical_device, next, out);
    if (result)
        snprintf(out->error, sizeof(out->error), "%.*s", (int)sizeof(out->error) - 1, log.error);
    return context_status(result);
}
