/* Optional features and extensions: what to enable on a device, and what of it is enabled. */
#include "gpu/matrices.h"
#include <assert.h>
#include <string.h>

#define PORTABILITY_SUBSET "VK_KHR_portability_subset"

/* Chains the structs that have a type. */
static void set_chain(struct gpu_enable *enable)
{
    VkBaseOutStructure *const links[] = {
        (VkBaseOutStructure *)&enable->memory_model, (VkBaseOutStructure *)&enable->matrix_nv,
        (VkBaseOutStructure *)&enable->matrix_khr,   (VkBaseOutStructure *)&enable->subgroup,
        (VkBaseOutStructure *)&enable->float16,      (VkBaseOutStructure *)&enable->storage16,
    };
    enable->chain = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        if (!links[i]->sType)
            continue;
        links[i]->pNext = enable->chain;
        enable->chain = links[i];
    }
}

/* The device says in the chain what it has; what is of no use here is left disabled. */
static void query_chain(const struct gpu_instance *instance, VkPhysicalDevice physical,
                        struct gpu_enable *enable)
{
    set_chain(enable);
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = enable->chain};
    instance->GetPhysicalDeviceFeatures2(physical, &features);
    enable->core.shaderInt64 = features.features.shaderInt64;
    enable->storage16 = (VkPhysicalDevice16BitStorageFeatures){
        .sType = enable->storage16.sType,
        .storageBuffer16BitAccess = enable->storage16.storageBuffer16BitAccess};
    enable->float16.shaderInt8 = VK_FALSE;
    enable->memory_model.vulkanMemoryModelDeviceScope = VK_FALSE;
    enable->memory_model.vulkanMemoryModelAvailabilityVisibilityChains = VK_FALSE;
    enable->matrix_nv.robust_access = enable->matrix_khr.robust_access = VK_FALSE;
    set_chain(enable);
}

void gpu_enable_query(const struct gpu_instance *instance, VkPhysicalDevice physical,
                      const struct gpu_extensions *present, struct gpu_enable *out)
{
    static const char *const known[] = {
        /* Its presence makes it required: the device leaves out parts of Vulkan. */
        PORTABILITY_SUBSET,
        VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME,
        VK_EXT_MEMORY_BUDGET_EXTENSION_NAME,
        VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME,
        VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,
        VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME,
        MATRIX_EXTENSION_KHR,
        MATRIX_EXTENSION_NV,
#ifdef __ANDROID__
        HARDWARE_BUFFERS,
        VK_EXT_QUEUE_FAMILY_FOREIGN_EXTENSION_NAME, /* the one before needs it */
#endif
    };
    static_assert(ARRAY_SIZE(known) <= ARRAY_SIZE(out->extensions), "extensions");
    *out = (struct gpu_enable){.storage16.sType =
                                   VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (gpu_extension_present(present, known[i]))
            out->extensions[out->extension_count++] = known[i];
    if (gpu_extension_present(present, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME))
        out->float16.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
    if (gpu_extension_present(present, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME))
        out->subgroup.sType =
            VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT;
    if (gpu_extension_present(present, MATRIX_EXTENSION_KHR))
        out->matrix_khr.sType = MATRIX_FEATURES_KHR;
    if (gpu_extension_present(present, MATRIX_EXTENSION_NV))
        out->matrix_nv.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV;
    if ((out->matrix_khr.sType || out->matrix_nv.sType) &&
        gpu_extension_present(present, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME))
        out->memory_model.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES;
    query_chain(instance, physical, out);
}

/* ---- what is enabled ---- */

static bool has_extension(const VkDeviceCreateInfo *info, const char *name)
{
    for (uint32_t i = 0; i < info->enabledExtensionCount; i++)
        if (!strcmp(info->ppEnabledExtensionNames[i], name))
            return true;
    return false;
}

struct enabled {
    bool int64, storage16, float16, subgroup_sizes, memory_model, matrix_nv, matrix_khr;
};

/* A feature stands in a struct of its own or in that of the version that took it up. */
static void read_feature(const VkBaseInStructure *link, struct enabled *enabled)
{
    union {
        const VkBaseInStructure *base;
        const VkPhysicalDeviceFeatures2 *core;
        const VkPhysicalDeviceVulkan11Features *vulkan11;
        const VkPhysicalDeviceVulkan12Features *vulkan12;
        const VkPhysicalDeviceVulkan13Features *vulkan13;
        const VkPhysicalDeviceSubgroupSizeControlFeaturesEXT *subgroup;
        const VkPhysicalDeviceVulkanMemoryModelFeatures *memory_model;
        const VkPhysicalDevice16BitStorageFeatures *storage16;
        const VkPhysicalDeviceShaderFloat16Int8Features *float16;
        const struct gpu_matrix_features *matrix;
    } features = {.base = link};
    switch ((uint32_t)link->sType) {
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2:
        enabled->int64 |= features.core->features.shaderInt64;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES:
        enabled->storage16 |= features.vulkan11->storageBuffer16BitAccess;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES:
        enabled->float16 |= features.vulkan12->shaderFloat16;
        enabled->memory_model |= features.vulkan12->vulkanMemoryModel;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES:
        enabled->subgroup_sizes |=
            features.vulkan13->subgroupSizeControl && features.vulkan13->computeFullSubgroups;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT:
        enabled->subgroup_sizes |=
            features.subgroup->subgroupSizeControl && features.subgroup->computeFullSubgroups;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
        enabled->storage16 |= features.storage16->storageBuffer16BitAccess;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES:
        enabled->float16 |= features.float16->shaderFloat16;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES:
        enabled->memory_model |= features.memory_model->vulkanMemoryModel;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV:
        enabled->matrix_nv |= features.matrix->matrix;
        break;
    case (uint32_t)MATRIX_FEATURES_KHR:
        enabled->matrix_khr |= features.matrix->matrix;
        break;
    }
}

void gpu_enable_keep(const VkDeviceCreateInfo *info, struct gpu_features *features)
{
    static const VkDeviceCreateInfo nothing;
    struct enabled enabled = {0};
    if (!info)
        info = &nothing;
    for (const VkBaseInStructure *link = info->pNext; link; link = link->pNext)
        read_feature(link, &enabled);
    enabled.int64 |= info->pEnabledFeatures && info->pEnabledFeatures->shaderInt64;
    features->int64 &= enabled.int64;
    features->storage16 &= enabled.storage16;
    features->float16 &= enabled.float16;
    if (!enabled.subgroup_sizes)
        features->subgroup_least = features->subgroup_most = 0;
    if (!enabled.matrix_nv || !enabled.memory_model || !has_extension(info, MATRIX_EXTENSION_NV))
        features->matrices_nv.count = 0;
    if (!enabled.matrix_khr || !enabled.memory_model || !has_extension(info, MATRIX_EXTENSION_KHR))
        features->matrices_khr.count = 0;
    features->cooperative_matrix &= features->matrices_nv.count || features->matrices_khr.count;
    features->host_import &= has_extension(info, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
    features->hardware_buffers &= has_extension(info, HARDWARE_BUFFERS);
    features->budget &= has_extension(info, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
}
