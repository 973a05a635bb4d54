/* What a physical device is, may do and can do. */
#include "gpu/matrices.h"
#include "gpu/memory.h"
#include <stdio.h>
#include <string.h>

/* All that Vulkan says of a device in one chain. */
struct device_properties {
    VkPhysicalDeviceProperties2 core;
    VkPhysicalDeviceIDProperties id;
    VkPhysicalDeviceMaintenance3Properties maintenance3;
    VkPhysicalDeviceMaintenance4PropertiesKHR maintenance4; /* zeros where it is not there */
    VkPhysicalDeviceSubgroupProperties subgroup;
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT sizes;
    VkPhysicalDeviceDriverProperties driver;
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host;
};

struct device_memory {
    VkPhysicalDeviceMemoryProperties2 core;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget;
    bool has_budget;
};

static void query_properties(const struct gpu_instance *instance, VkPhysicalDevice physical,
                             const struct gpu_extensions *extensions, struct device_properties *out)
{
    memset(out, 0, sizeof(*out));
    out->core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    out->id.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES;
    out->maintenance3.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
    out->maintenance4.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES_KHR;
    out->subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
    out->sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT;
    out->driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
    out->host.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT;
    out->core.pNext = &out->id;
    out->id.pNext = &out->maintenance3;
    out->maintenance3.pNext = &out->subgroup;
    if (gpu_extension_present(extensions, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME)) {
        out->driver.pNext = out->subgroup.pNext;
        out->subgroup.pNext = &out->driver;
    }
    if (gpu_extension_present(extensions, VK_KHR_MAINTENANCE_4_EXTENSION_NAME)) {
        out->maintenance4.pNext = out->subgroup.pNext;
        out->subgroup.pNext = &out->maintenance4;
    }
    if (gpu_extension_present(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
        out->sizes.pNext = out->subgroup.pNext;
        out->subgroup.pNext = &out->sizes;
    }
    if (gpu_extension_present(extensions, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME)) {
        out->host.pNext = out->subgroup.pNext;
        out->subgroup.pNext = &out->host;
    }
    instance->GetPhysicalDeviceProperties2(physical, &out->core);
}

static void query_memory(const struct gpu_instance *instance, VkPhysicalDevice physical,
                         const struct gpu_extensions *extensions, struct device_memory *out)
{
    memset(out, 0, sizeof(*out));
    out->core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    out->budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    out->has_budget = gpu_extension_present(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (out->has_budget)
        out->core.pNext = &out->budget;
    instance->GetPhysicalDeviceMemoryProperties2(physical, &out->core);
}

static enum gpu_device_type device_type(VkPhysicalDeviceType type)
{
    static const enum gpu_device_type types[] = {
        [VK_PHYSICAL_DEVICE_TYPE_OTHER] = GPU_OTHER,
        [VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU] = GPU_INTEGRATED,
        [VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU] = GPU_DISCRETE,
        [VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU] = GPU_VIRTUAL,
        [VK_PHYSICAL_DEVICE_TYPE_CPU] = GPU_CPU,
    };
    return (size_t)type < ARRAY_SIZE(types) ? types[type] : GPU_OTHER;
}

static void set_identity(struct gpu_info *info, const struct device_properties *properties)
{
    const VkPhysicalDeviceProperties *core = &properties->core.properties;
    info->type = device_type(core->deviceType);
    info->api_version = core->apiVersion;
    snprintf(info->name, sizeof(info->name), "%s", core->deviceName);
    memcpy(info->uuid, properties->id.deviceUUID, VK_UUID_SIZE);
    char *text = info->uuid_text;
    for (uint32_t i = 0; i < VK_UUID_SIZE; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        text += sprintf(text, dash ? "-%02x" : "%02x", info->uuid[i]);
    }
    const VkPhysicalDeviceDriverProperties *driver = &properties->driver;
    if (driver->driverName[0])
        snprintf(info->driver, sizeof(info->driver), "%s", driver->driverName);
    else
        snprintf(info->driver, sizeof(info->driver), "vendor 0x%04x", core->vendorID);
    if (driver->driverInfo[0])
        snprintf(info->driver_version, sizeof(info->driver_version), "%s", driver->driverInfo);
    else
        snprintf(info->driver_version, sizeof(info->driver_version), "%u.%u.%u",
                 VK_API_VERSION_MAJOR(core->driverVersion),
                 VK_API_VERSION_MINOR(core->driverVersion),
                 VK_API_VERSION_PATCH(core->driverVersion));
}

/* Mesa's gallivm ends all loops of an invocation after 65,535 iterations, those of nested loops
 * added up, and goes on behind them as if nothing were wrong (LP_MAX_TGSI_LOOP_ITERATIONS in
 * lp_bld_limits.h, of every release so far). */
#define LLVMPIPE_ITERATIONS 65535

/* Also where a virtual machine's driver passes it on and tells its own id (Venus, whose device
 * names hold that of the one behind). */
static bool is_llvmpipe(const struct device_properties *properties)
{
    return properties->driver.driverID == VK_DRIVER_ID_MESA_LLVMPIPE ||
           strstr(properties->core.properties.deviceName, "llvmpipe");
}

/* Of one allocation, which no buffer of ours is larger than. */
static uint64_t allocation_bytes(const struct device_properties *properties)
{
    const uint64_t allocation = properties->maintenance3.maxMemoryAllocationSize;
    const uint64_t buffer = properties->maintenance4.maxBufferSize;
    return buffer ? size_min(allocation, buffer) : allocation;
}

static void set_limits(struct gpu_limits *limits, const struct device_properties *properties)
{
    const VkPhysicalDeviceLimits *core = &properties->core.properties.limits;
    uint64_t offset =
        size_max(core->minStorageBufferOffsetAlignment, core->minTexelBufferOffsetAlignment);
    *limits = (struct gpu_limits){
        .storage_range = core->maxStorageBufferRange,
        .texel_elements = core->maxTexelBufferElements,
        .allocation_bytes = allocation_bytes(properties),
        .buffer_offset = size_max(offset, 16),
        .noncoherent_atom = size_max(core->nonCoherentAtomSize, 1),
        .host_import = properties->host.minImportedHostPointerAlignment,
        .group_invocations = core->maxComputeWorkGroupInvocations,
        .shared_bytes = core->maxComputeSharedMemorySize,
        .push_bytes = core->maxPushConstantsSize,
        .storage_buffers = core->maxPerStageDescriptorStorageBuffers,
        .loop_iterations = is_llvmpipe(properties) ? LLVMPIPE_ITERATIONS : UINT32_MAX,
    };
    memcpy(limits->groups, core->maxComputeWorkGroupCount, sizeof(limits->groups));
    memcpy(limits->group_size, core->maxComputeWorkGroupSize, sizeof(limits->group_size));
}

static bool has_texels(const struct gpu_instance *instance, VkPhysicalDevice physical,
                       VkFormat format)
{
    VkFormatProperties2 properties = {.sType = VK_STRUCTURE_TYPE_FORMAT_PROPERTIES_2};
    instance->GetPhysicalDeviceFormatProperties2(physical, format, &properties);
    return properties.formatProperties.bufferFeatures & VK_FORMAT_FEATURE_UNIFORM_TEXEL_BUFFER_BIT;
}

/* True where the memory that is fast for the device can be mapped, as on integrated and CPU
 * devices: most of it, not a window (256 MiB of AMD's integrated ones, beside gigabytes). A
 * discrete device's mappable memory is behind a bus: staging copies are better. */
static bool is_unified(const struct gpu_info *info, const VkPhysicalDeviceMemoryProperties *memory)
{
    const VkMemoryPropertyFlags wanted = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT |
                                         VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                         VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if (info->type != GPU_INTEGRATED && info->type != GPU_CPU)
        return false;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++)
        if ((memory->memoryTypes[i].propertyFlags & wanted) == wanted &&
            memory->memoryHeaps[memory->memoryTypes[i].heapIndex].size >= info->memory_bytes / 2)
            return true;
    return false;
}

static void set_subgroup(struct gpu_features *features, const struct device_properties *properties)
{
    const VkPhysicalDeviceSubgroupProperties *subgroup = &properties->subgroup;
    VkSubgroupFeatureFlags operations = subgroup->supportedOperations;
    if (!(subgroup->supportedStages & VK_SHADER_STAGE_COMPUTE_BIT))
        operations = 0;
    features->subgroup_size = subgroup->subgroupSize;
    if (properties->sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) {
        features->subgroup_least = properties->sizes.minSubgroupSize;
        features->subgroup_most = properties->sizes.maxSubgroupSize;
        features->group_subgroups = properties->sizes.maxComputeWorkgroupSubgroups;
    }
    features->subgroup_shuffle = operations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    features->subgroup_quad = operations & VK_SUBGROUP_FEATURE_QUAD_BIT;
}

static void set_features(const struct gpu_instance *instance, VkPhysicalDevice physical,
                         const struct gpu_extensions *extensions, struct gpu_features *features)
{
    struct gpu_enable enable;
    gpu_enable_query(instance, physical, extensions, &enable);
    features->storage16 = enable.storage16.storageBuffer16BitAccess;
    features->float16 = enable.float16.shaderFloat16;
    features->int64 = enable.core.shaderInt64;
    if (!enable.subgroup.subgroupSizeControl || !enable.subgroup.computeFullSubgroups)
        features->subgroup_least = features->subgroup_most = 0;
    gpu_matrices_query(instance, physical, extensions, features);
    const bool memory_model = enable.memory_model.vulkanMemoryModel;
    if (!enable.matrix_nv.matrix || !memory_model)
        features->matrices_nv.count = 0;
    if (!enable.matrix_khr.matrix || !memory_model)
        features->matrices_khr.count = 0;
    features->cooperative_matrix = features->matrices_nv.count || features->matrices_khr.count;
    features->host_import =
        gpu_extension_present(extensions, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME) &&
        gpu_import_possible(instance, physical, GPU_BUFFER_USAGE,
                            VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT);
    features->hardware_buffers = gpu_extension_present(extensions, HARDWARE_BUFFERS);
    features->budget = gpu_extension_present(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    features->texel_f32 = has_texels(instance, physical, VK_FORMAT_R32G32B32A32_SFLOAT);
    features->texel_f16 = has_texels(instance, physical, VK_FORMAT_R16G16B16A16_SFLOAT);
    features->timestamps = gpu_physical_family(instance, physical).timestamp_bits > 0;
}

/* Mesa's lavapipe has code for unpackHalf2x16 only where the processor converts halves itself (x86
 * with F16C); elsewhere, at least on ARM by 22.3, LLVM ends the process. shaderFloat16 tells. */
static bool unpacks_halves(const struct device_properties *properties,
                           const struct gpu_features *features)
{
    return !is_llvmpipe(properties) || features->float16;
}

/* Vulkan lets packHalf2x16 round either way. Where it rounds towards zero, what is stored again and
 * again gets smaller, and larger numbers become 65504: AMD's instruction (v_cvt_pkrtz_f16_f32,
 * which RADV takes) does, and Turnip's conversions on Adreno. So only drivers known to round to the
 * nearest are trusted; a shader's integers are never wrong. lavapipe makes some 50 instructions of
 * a number, three times as many as integers take, and SwiftShader NaN of infinity. */
static bool packs_halves(const struct device_properties *properties)
{
    switch (properties->driver.driverID) {
    case VK_DRIVER_ID_NVIDIA_PROPRIETARY:
    case VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA: /* the threads' default, RTNE */
        return true;
    default:
        return false;
    }
}

static void set_memory(struct gpu_info *info, const struct device_memory *memory)
{
    const VkPhysicalDeviceMemoryProperties *core = &memory->core.memoryProperties;
    for (uint32_t i = 0; i < core->memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &core->memoryHeaps[i];
        if (!(heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || heap->size <= info->memory_bytes)
            continue;
        uint64_t budget = memory->budget.heapBudget[i], usage = memory->budget.heapUsage[i];
        info->memory_bytes = heap->size;
        info->heap_free = heap->size;
        if (memory->has_budget)
            info->heap_free = budget > usage ? budget - usage : 0;
    }
}

void gpu_info_query(const struct gpu_instance *instance, VkPhysicalDevice physical,
                    const struct gpu_extensions *extensions, struct gpu_info *info)
{
    struct device_properties properties;
    struct device_memory memory;
    memset(info, 0, sizeof(*info));
    query_properties(instance, physical, extensions, &properties);
    query_memory(instance, physical, extensions, &memory);
    set_identity(info, &properties);
    set_limits(&info->limits, &properties);
    set_subgroup(&info->features, &properties);
    set_features(instance, physical, extensions, &info->features);
    info->features.unpack_half = unpacks_halves(&properties, &info->features);
    info->features.pack_half = packs_halves(&properties);
    set_memory(info, &memory);
    info->features.unified = is_unified(info, &memory.core.memoryProperties);
}
