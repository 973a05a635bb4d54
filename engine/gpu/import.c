/* Memory that was made elsewhere, as buffers without a copy: the host's
 * (VK_EXT_external_memory_host) and, on Android, hardware buffers. */
#include "gpu/instance.h"
#include "gpu/memory.h"
#include <assert.h>
#include <stdlib.h>

/* Why an import cannot be is of no interest to callers that copy instead: it is not logged as an
 * error. Others have to know whether it could be where there is more memory. */
static status refuse(struct gpu_device *device, const char *call, VkResult result)
{
    log_line(device->log, LOG_DEBUG, "%s cannot import memory: %s: result %d", device->info.name,
             call, (int)result);
    if (result == VK_ERROR_OUT_OF_HOST_MEMORY)
        return STATUS_OUT_OF_HOST_MEMORY;
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_TOO_MANY_OBJECTS)
        return STATUS_OUT_OF_DEVICE_MEMORY;
    return STATUS_UNSUPPORTED;
}

static VkExternalMemoryFeatureFlags import_features(const struct gpu_instance *instance,
                                                    VkPhysicalDevice physical,
                                                    VkBufferUsageFlags usage,
                                                    VkExternalMemoryHandleTypeFlagBits handle_type)
{
    VkPhysicalDeviceExternalBufferInfo info = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
        .usage = usage,
        .handleType = handle_type};
    VkExternalBufferProperties properties = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES};
    instance->GetPhysicalDeviceExternalBufferProperties(physical, &info, &properties);
    return properties.externalMemoryProperties.externalMemoryFeatures;
}

bool gpu_import_possible(const struct gpu_instance *instance, VkPhysicalDevice physical,
                         VkBufferUsageFlags usage, VkExternalMemoryHandleTypeFlagBits handle_type)
{
    return import_features(instance, physical, usage, handle_type) &
           VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT;
}

/* Without memory yet. On failure *out may be left to be released. */
static status create_buffer(struct gpu_device *device, uint64_t size, VkBufferUsageFlags usage,
                            VkExternalMemoryHandleTypeFlagBits handle_type, struct gpu_buffer **out)
{
    VkExternalMemoryBufferCreateInfo external = {
        .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, .handleTypes = handle_type};
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .pNext = &external,
                               .size = size,
                               .usage = usage};
    *out = NULL;
    struct gpu_buffer *buffer = *out = calloc(1, sizeof(*buffer));
    if (!buffer)
        return refuse(device, "calloc", VK_ERROR_OUT_OF_HOST_MEMORY);
    *buffer = (struct gpu_buffer){.device = device,
                                  .size = size,
                                  .bytes = size,
                                  .texel = usage & VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
                                  .copies = true};
    VkResult vk = device->vk.vkCreateBuffer(device->handle, &info, NULL, &buffer->handle);
    return vk < 0 ? refuse(device, "vkCreateBuffer", vk) : STATUS_OK;
}

/* Allocates by importing and binds. `chain` names what is imported. */
static status bind_memory(struct gpu_buffer *buffer, const void *chain, uint64_t size,
                          uint32_t type)
{
    struct gpu_device *device = buffer->device;
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .pNext = chain,
                                 .allocationSize = size,
                                 .memoryTypeIndex = type};
    VkResult vk = device->vk.vkAllocateMemory(device->handle, &info, NULL, &buffer->memory);
    if (vk < 0)
        return refuse(device, "vkAllocateMemory", vk);
    vk = device->vk.vkBindBufferMemory(device->handle, buffer->handle, buffer->memory, 0);
    return vk < 0 ? refuse(device, "vkBindBufferMemory", vk) : STATUS_OK;
}

/* The first type with these bits that is of use; UINT32_MAX: there is none. */
static uint32_t first_type(const struct gpu_device *device, uint32_t allowed,
                           VkMemoryPropertyFlags with)
{
    const VkPhysicalDeviceMemoryProperties *properties = &device->memory->properties;
    for (uint32_t i = 0; i < properties->memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = properties->memoryTypes[i].propertyFlags;
        if (allowed >> i & 1 && (flags & with) == with && !(flags & GPU_MEMORY_NEVER))
            return i;
    }
    return UINT32_MAX;
}

/* ---- host memory ---- */

#define HOST_HANDLE VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT

static status bind_host(struct gpu_buffer *buffer, void *data)
{
    struct gpu_device *device = buffer->device;
    VkMemoryRequirements needs;
    VkMemoryHostPointerPropertiesEXT pointer = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    VkImportMemoryHostPointerInfoEXT import = {
        .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
        .handleType = HOST_HANDLE,
        .pHostPointer = data};
    device->vk.vkGetBufferMemoryRequirements(device->handle, buffer->handle, &needs);
    VkResult vk =
        device->vk.vkGetMemoryHostPointerPropertiesEXT(device->handle, HOST_HANDLE, data, &pointer);
    if (vk < 0)
        return refuse(device, "vkGetMemoryHostPointerPropertiesEXT", vk);
    /* It needs no flush, which asks for mapped memory. */
    uint32_t type = first_type(device, needs.memoryTypeBits & pointer.memoryTypeBits,
                               VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
    if (type == UINT32_MAX || needs.size > buffer->size)
        return refuse(device, "no memory type", VK_ERROR_FEATURE_NOT_PRESENT);
    status result = bind_memory(buffer, &import, buffer->size, type);
    buffer->mapped = data;
    buffer->coherent = true;
    return result;
}

status gpu_buffer_import(struct gpu_device *device, void *data, uint64_t size,
                         struct gpu_buffer **out)
{
    *out = NULL;
    status result = gpu_device_check(device);
    if (result)
        return result;
    if (!device->features.host_import || !device->vk.vkGetMemoryHostPointerPropertiesEXT ||
        size > device->limits.allocation_bytes)
        return STATUS_UNSUPPORTED;
    assert((uintptr_t)data % device->limits.host_import == 0 &&
           size % device->limits.host_import == 0 && size > 0);
    struct gpu_buffer *buffer;
    result = create_buffer(device, size, GPU_BUFFER_USAGE, HOST_HANDLE, &buffer);
    if (!result)
        result = bind_host(buffer, data);
    if (!result)
        *out = buffer;
    else if (buffer)
        gpu_buffer_release(buffer);
    return result;
}

/* ---- Android's hardware buffers ---- */

#ifdef __ANDROID__

#define ANDROID_HANDLE VK_EXTERNAL_MEMORY_HANDLE_TYPE_ANDROID_HARDWARE_BUFFER_BIT_ANDROID

/* What drivers there import at least. */
#define ANDROID_USAGE                                                                              \
    (VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |                       \
     VK_BUFFER_USAGE_TRANSFER_DST_BIT)

/* The driver says how much memory is to be allocated and of which types. alone: memory must name
 * the one buffer that it is for. */
static status bind_hardware(struct gpu_buffer *buffer, struct AHardwareBuffer *hardware, bool alone)
{
    struct gpu_device *device = buffer->device;
    VkMemoryRequirements needs;
    const VkMemoryDedicatedAllocateInfo dedicated = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO, .buffer = buffer->handle};
    VkAndroidHardwareBufferPropertiesANDROID properties = {
        .sType = VK_STRUCTURE_TYPE_ANDROID_HARDWARE_BUFFER_PROPERTIES_ANDROID};
    VkImportAndroidHardwareBufferInfoANDROID import = {
        .sType = VK_STRUCTURE_TYPE_IMPORT_ANDROID_HARDWARE_BUFFER_INFO_ANDROID,
        .pNext = alone ? &dedicated : NULL,
        .buffer = hardware};
    VkResult vk = device->vk.vkGetAndroidHardwareBufferPropertiesANDROID(device->handle, hardware,
                                                                         &properties);
    if (vk < 0)
        return refuse(device, "vkGetAndroidHardwareBufferPropertiesANDROID", vk);
    device->vk.vkGetBufferMemoryRequirements(device->handle, buffer->handle, &needs);
    uint32_t type = first_type(device, needs.memoryTypeBits & properties.memoryTypeBits, 0);
    if (type == UINT32_MAX || needs.size > properties.allocationSize)
        return refuse(device, "no memory type", VK_ERROR_FEATURE_NOT_PRESENT);
    return bind_memory(buffer, &import, properties.allocationSize, type);
}

status gpu_buffer_import_android(struct gpu_device *device, struct AHardwareBuffer *hardware,
                                 uint64_t size, struct gpu_buffer **out)
{
    struct gpu_buffer *buffer;
    *out = NULL;
    status result = gpu_device_check(device);
    if (result)
        return result;
    if (!device->features.hardware_buffers ||
        !device->vk.vkGetAndroidHardwareBufferPropertiesANDROID)
        return STATUS_UNSUPPORTED;
    VkExternalMemoryFeatureFlags features =
        import_features(&device->instance, device->physical, ANDROID_USAGE, ANDROID_HANDLE);
    if (!(features & VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT))
        return STATUS_UNSUPPORTED;
    result = create_buffer(device, size, ANDROID_USAGE, ANDROID_HANDLE, &buffer);
    if (!result)
        result = bind_hardware(buffer, hardware,
                               features & VK_EXTERNAL_MEMORY_FEATURE_DEDICATED_ONLY_BIT);
    if (!result)
        (*out = buffer)->foreign = true;
    else if (buffer)
        gpu_buffer_release(buffer);
    return result;
}

#endif
