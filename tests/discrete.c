#include "discrete.h"
#include "gpu/memory.h"
#include <check.h>
#undef fail

/* As on cards: what buffers start at, which is more than what software drivers ask for. */
#define ALIGNMENT 256

static uint32_t real_type; /* index of the type that all memory is of */
static PFN_vkAllocateMemory real_AllocateMemory;
static PFN_vkGetBufferMemoryRequirements real_GetBufferMemoryRequirements;

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo *info,
                                               const VkAllocationCallbacks *allocator,
                                               VkDeviceMemory *out)
{
    VkMemoryAllocateInfo real = *info;
    real.memoryTypeIndex = real_type;
    return real_AllocateMemory(device, &real, allocator, out);
}

static VKAPI_ATTR void VKAPI_CALL get_requirements(VkDevice device, VkBuffer buffer,
                                                   VkMemoryRequirements *out)
{
    real_GetBufferMemoryRequirements(device, buffer, out);
    ck_assert(out->memoryTypeBits >> real_type & 1);
    out->memoryTypeBits = 7;
    out->alignment = size_max(out->alignment, ALIGNMENT);
    out->size = size_round_up(out->size, ALIGNMENT);
}

void discrete_memory(struct gpu_device *device)
{
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
                                coherent = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                                cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    VkPhysicalDeviceMemoryProperties *properties = &device->memory->properties;
    if (!device->features.unified)
        return;
    ck_assert_ptr_null(device->memory->blocks);
    device->features.unified = false;
    for (real_type = 0; real_type < properties->memoryTypeCount; real_type++) {
        VkMemoryPropertyFlags flags = properties->memoryTypes[real_type].propertyFlags;
        if ((flags & (local | visible | coherent)) == (local | visible | coherent))
            break;
    }
    ck_assert_uint_lt(real_type, properties->memoryTypeCount);
    uint64_t bytes = properties->memoryHeaps[properties->memoryTypes[real_type].heapIndex].size;
    *properties = (VkPhysicalDeviceMemoryProperties){
        .memoryTypeCount = 3,
        .memoryTypes = {{local, 0}, {visible | coherent, 1}, {visible | coherent | cached, 1}},
        .memoryHeapCount = 2,
        .memoryHeaps = {{bytes, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}, {bytes, 0}}};
    device->features.budget = false; /* the driver knows one heap */
    real_AllocateMemory = device->vk.vkAllocateMemory;
    real_GetBufferMemoryRequirements = device->vk.vkGetBufferMemoryRequirements;
    device->vk.vkAllocateMemory = allocate;
    device->vk.vkGetBufferMemoryRequirements = get_requirements;
}
