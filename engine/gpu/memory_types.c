/* Which of a device's memory types a buffer gets. */
#include "gpu/memory.h"

#define LOCAL    VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
#define VISIBLE  VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT
#define COHERENT VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
#define CACHED   VK_MEMORY_PROPERTY_HOST_CACHED_BIT

#define WISHES 6

/* What a kind of memory wants, best first: bits that must be there, bits that must not. */
struct type_wish {
    VkMemoryPropertyFlags with, without;
};

static const struct type_wish kind_wishes[][WISHES] = {
    [GPU_MEMORY_DEVICE] = {{LOCAL, VISIBLE}, {LOCAL, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}},
    [GPU_MEMORY_UPLOAD] = {{VISIBLE | COHERENT, LOCAL},
                           {VISIBLE | COHERENT, 0},
                           {VISIBLE, 0},
                           {VISIBLE, 0},
                           {VISIBLE, 0},
                           {VISIBLE, 0}},
    [GPU_MEMORY_READBACK] = {{VISIBLE | COHERENT | CACHED, 0},
                             {VISIBLE | CACHED, 0},
                             {VISIBLE | COHERENT, 0},
                             {VISIBLE, 0},
                             {VISIBLE, 0},
                             {VISIBLE, 0}},
};

/* Cached first: results are read by the host from the same memory, and without its caches that is
 * many times slower. Types that are not cached often come first in a driver's list, and some
 * (PowerVR's) have none that is both cached and coherent. */
static const struct type_wish unified_wishes[WISHES] = {{LOCAL | VISIBLE | COHERENT | CACHED, 0},
                                                        {LOCAL | VISIBLE | CACHED, 0},
                                                        {LOCAL | VISIBLE | COHERENT, 0},
                                                        {LOCAL | VISIBLE, 0},
                                                        {LOCAL, 0},
                                                        {0, 0}};

uint32_t gpu_memory_type(const struct gpu_device *device, uint32_t allowed,
                         enum gpu_memory_kind kind)
{
    const VkPhysicalDeviceMemoryProperties *properties = &device->memory->properties;
    const struct type_wish *wishes = kind_wishes[kind];
    if (kind == GPU_MEMORY_DEVICE && device->features.unified)
        wishes = unified_wishes;
    for (uint32_t wish = 0; wish < WISHES; wish++)
        for (uint32_t i = 0; i < properties->memoryTypeCount; i++) {
            VkMemoryPropertyFlags flags = properties->memoryTypes[i].propertyFlags;
            if ((allowed >> i & 1) && (flags & wishes[wish].with) == wishes[wish].with &&
                !(flags & (wishes[wish].without | GPU_MEMORY_NEVER)))
                return i;
        }
    return UINT32_MAX;
}
