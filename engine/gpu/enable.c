/* Optional features and extensions: what to enable on a device, and what of it is enabled. */
#include "gpu/instance.h"
#include <assert.h>
#include <string.h>

/* Newer than the oldest headers that this is built with. */
#define MATRIX_FEATURES_KHR      ((VkStructureType)1000506000)
#define PORTABILITY_SUBSET       "VK_KHR_portability_subset"
#define COOPERATIVE_MATRIX       "VK_KHR_cooperative_matrix"
#define COOPERATIVE_MATRIX_BY_NV "VK_NV_cooperative_matrix"

/* Chains the structs that have a type. */
static void set_chain(struct gpu_enable *enable)
{
    enable->chain = NULL;
    if (enable->matrix.sType) {
        enable->matrix.pNext = enable->chain;
        enable->chain = &enable->matrix;
    }
    if (enable->float16.sType) {
        enable->float16.pNext = enable->chain;
        enable->chain = &enable->float16;
    }
    if (enable->storage16.sType) {
        enable->storage16.pNext = enable->chain;
        enable->chain = &enable->storage16;
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
    enable->storage16 = (VkPhysicalDevice16BitStorageFeatures){
        .sType = enable->storage16.sType,
        .storageBuffer16BitAccess = enable->storage16.storageBuffer16BitAccess};
    enable->float16.shaderInt8 = VK_FALSE;
    enable->matrix.robust_access = VK_FALSE;
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
        COOPERATIVE_MATRIX,
        COOPERATIVE_MATRIX_BY_NV,
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
    if (gpu_extension_present(present, COOPERATIVE_MATRIX))
        out->matrix.sType = MATRIX_FEATURES_KHR;
    else if (gpu_extension_present(present, COOPERATIVE_MATRIX_BY_NV))
        out->matrix.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV;
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

/* A feature stands in a struct of its own or in that of the version that took it up. */
static void read_feature(const VkBaseInStructure *link, struct gpu_features *enabled)
{
    union {
        const VkBaseInStructure *base;
        const VkPhysicalDeviceVulkan11Features *vulkan11;
        const VkPhysicalDeviceVulkan12Features *vulkan12;
        const VkPhysicalDevice16BitStorageFeatures *storage16;
        const VkPhysicalDeviceShaderFloat16Int8Features *float16;
        const struct gpu_matrix_features *matrix;
    } features = {.base = link};
    switch ((uint32_t)link->sType) {
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES:
        enabled->storage16 |= features.vulkan11->storageBuffer16BitAccess;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES:
        enabled->float16 |= features.vulkan12->shaderFloat16;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
        enabled->storage16 |= features.storage16->storageBuffer16BitAccess;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES:
        enabled->float16 |= features.float16->shaderFloat16;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV:
    case (uint32_t)MATRIX_FEATURES_KHR:
        enabled->cooperative_matrix |= features.matrix->matrix;
        break;
    }
}

void gpu_enable_keep(const VkDeviceCreateInfo *info, struct gpu_features *features)
{
    static const VkDeviceCreateInfo nothing;
    struct gpu_features enabled = {0};
    if (!info)
        info = &nothing;
    for (const VkBaseInStructure *link = info->pNext; link; link = link->pNext)
        read_feature(link, &enabled);
    features->storage16 &= enabled.storage16;
    features->float16 &= enabled.float16;
    features->cooperative_matrix &=
        enabled.cooperative_matrix &&
        (has_extension(info, COOPERATIVE_MATRIX) || has_extension(info, COOPERATIVE_MATRIX_BY_NV));
    features->host_import &= has_extension(info, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
    features->hardware_buffers &= has_extension(info, HARDWARE_BUFFERS);
    features->budget &= has_extension(info, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
}
