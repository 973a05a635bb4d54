/* Blocks of device memory: few allocations, many buffers. Free ranges of a block stand in a list
 * sorted by offset; the first that fits is taken, neighbours are merged when one comes back. */
#include "gpu/memory.h"
#include <stdlib.h>

/* A block for several buffers has at most so many bytes, and at most these shares of its heap and
 * of what may be taken, so that what is left free in it is not missing elsewhere. */
#define BLOCK_BYTES (UINT64_C(64) << 20)
#define HEAP_SHARE  8
#define TAKEN_SHARE 32
/* A buffer larger than this share of such a block gets a block of its own. */
#define BUFFER_SHARE 4

struct free_range {
    uint64_t offset, size;
    struct free_range *next;
};

struct gpu_block {
    VkDeviceMemory handle;
    uint64_t size;
    uint32_t type; /* index of its memory type */
    bool coherent;
    uint8_t *mapped;
    struct free_range *free;
    struct gpu_block *next;
};

VkDeviceMemory gpu_block_handle(const struct gpu_block *block)
{
    return block->handle;
}

uint8_t *gpu_block_mapped(const struct gpu_block *block)
{
    return block->mapped;
}

uint64_t gpu_block_size(const struct gpu_block *block)
{
    return block->size;
}

bool gpu_block_coherent(const struct gpu_block *block)
{
    return block->coherent;
}

/* ---- ranges of a block ---- */

/* Takes `size` bytes at a multiple of `alignment`. False when there is no room (or no host memory
 * for the rest of a range that is cut in the middle). */
static bool take_range(struct gpu_block *block, uint64_t size, uint64_t alignment, uint64_t *offset)
{
    for (struct free_range **link = &block->free; *link; link = &(*link)->next) {
        struct free_range *range = *link;
        uint64_t begin = size_round_up(range->offset, alignment);
        uint64_t lead = begin - range->offset;
        if (lead > range->size || size > range->size - lead)
            continue;
        uint64_t rest = range->size - lead - size;
        if (lead && rest) {
            struct free_range *tail = malloc(sizeof(*tail));
            if (!tail)
                return false;
            *tail = (struct free_range){begin + size, rest, range->next};
            range->next = tail;
            range->size = lead;
        } else if (lead) {
            range->size = lead;
        } else if (rest) {
            range->offset = begin + size;
            range->size = rest;
        } else {
            *link = range->next;
            free(range);
        }
        *offset = begin;
        return true;
    }
    return false;
}

/* Puts a range back in order, merged with its neighbours. Without host memory for a list entry the
 * range is lost until its block is freed with the device. */
static void return_range(struct gpu_block *block, uint64_t offset, uint64_t size)
{
    struct free_range *before = NULL;
    struct free_range *after = block->free;
    while (after && after->offset < offset) {
        before = after;
        after = after->next;
    }
    if (before && before->offset + before->size == offset) {
        before->size += size;
    } else {
        struct free_range *range = malloc(sizeof(*range));
        if (!range)
            return;
        *range = (struct free_range){offset, size, after};
        *(before ? &before->next : &block->free) = range;
        before = range;
    }
    if (after && before->offset + before->size == after->offset) {
        before->size += after->size;
        before->next = after->next;
        free(after);
    }
}

static bool is_empty(const struct gpu_block *block)
{
    return block->free && block->free->size == block->size;
}

/* ---- blocks ---- */

static void destroy_block(struct gpu_device *device, struct gpu_block *block)
{
    struct gpu_memory *memory = device->memory;
    if (block->handle) {
        memory->heap_used[memory->properties.memoryTypes[block->type].heapIndex] -= block->size;
        device->vk.vkFreeMemory(device->handle, block->handle, NULL);
    }
    while (block->free) {
        struct free_range *next = block->free->next;
        free(block->free);
        block->free = next;
    }
    free(block);
}

/* Unlinks and frees the empty blocks but for the first `keep`. False: there was none to free. */
static bool trim_blocks(struct gpu_device *device, uint32_t keep)
{
    struct gpu_block **link = &device->memory->blocks;
    bool freed = false;
    while (*link) {
        struct gpu_block *block = *link;
        if (!is_empty(block) || (block->size <= BLOCK_BYTES && keep && keep--)) {
            link = &block->next;
            continue;
        }
        *link = block->next;
        destroy_block(device, block);
        freed = true;
    }
    return freed;
}

static VkResult allocate(struct gpu_device *device, uint32_t type, uint64_t size,
                         VkDeviceMemory *out)
{
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .allocationSize = size,
                                 .memoryTypeIndex = type};
    return device->vk.vkAllocateMemory(device->handle, &info, NULL, out);
}

/* A block of the memory that was allocated, which is freed on failure. *out NULL: addresses of the
 * host do not suffice to map it, as those of 32 bit processes; other memory may do. */
static status create_block(struct gpu_device *device, uint32_t type, uint64_t size,
                           VkDeviceMemory handle, struct gpu_block **out)
{
    struct gpu_memory *memory = device->memory;
    const VkMemoryType *properties = &memory->properties.memoryTypes[type];
    VkResult vk = VK_SUCCESS;
    struct gpu_block *block = calloc(1, sizeof(*block));
    struct free_range *whole = malloc(sizeof(*whole));
    if (!block || !whole) {
        free(block);
        free(whole);
        device->vk.vkFreeMemory(device->handle, handle, NULL);
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a memory block");
    }
    *whole = (struct free_range){.offset = 0, .size = size};
    *block = (struct gpu_block){.handle = handle, .size = size, .type = type, .free = whole};
    block->coherent = properties->propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    memory->heap_used[properties->heapIndex] += size;
    if (properties->propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT)
        vk = device->vk.vkMapMemory(device->handle, block->handle, 0, VK_WHOLE_SIZE, 0,
                                    (void **)&block->mapped);
    if (vk < 0) {
        *out = NULL;
        destroy_block(device, block);
        return vk == VK_ERROR_MEMORY_MAP_FAILED
                   ? STATUS_OK
                   : gpu_vk_fail(device, vk, "vkMapMemory", __FILE__, __LINE__);
    }
    block->next = memory->blocks;
    memory->blocks = block;
    *out = block;
    return STATUS_OK;
}

/* ---- how much may be taken ---- */

/* Bytes of all blocks. */
static uint64_t bytes_taken(const struct gpu_memory *memory)
{
    uint64_t taken = 0;
    for (uint32_t i = 0; i < memory->properties.memoryHeapCount; i++)
        taken += memory->heap_used[i];
    return taken;
}

/* What device->max_memory leaves. */
static uint64_t bytes_allowed(const struct gpu_device *device)
{
    const uint64_t taken = bytes_taken(device->memory);
    if (!device->max_memory)
        return UINT64_MAX;
    return device->max_memory > taken ? device->max_memory - taken : 0;
}

/* What the driver says that is left of a heap; its size counts where the driver says nothing. */
static uint64_t heap_left(const struct gpu_device *device, uint32_t heap)
{
    const struct gpu_memory *memory = device->memory;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
    uint64_t total = memory->properties.memoryHeaps[heap].size, used = memory->heap_used[heap];
    if (device->features.budget) {
        device->instance.GetPhysicalDeviceMemoryProperties2(device->physical, &properties);
        total = budget.heapBudget[heap];
        used = budget.heapUsage[heap];
    }
    return total > used ? total - used : 0;
}

uint64_t gpu_memory_free(struct gpu_device *device)
{
    const struct gpu_memory *memory = device->memory;
    const uint32_t type = gpu_memory_type(device, UINT32_MAX, GPU_MEMORY_DEVICE);
    const uint32_t heap = memory->properties.memoryTypes[type].heapIndex;
    uint64_t here = heap_left(device, heap), all = bytes_allowed(device);
    /* Empty blocks are given back when others need the room. */
    for (const struct gpu_block *block = memory->blocks; block; block = block->next) {
        if (!is_empty(block))
            continue;
        if (memory->properties.memoryTypes[block->type].heapIndex == heap)
            here += block->size;
        if (all != UINT64_MAX)
            all += block->size;
    }
    if (device->max_memory) /* which may have been lowered since blocks were made */
        all = size_min(all, device->max_memory);
    return size_min(here, all);
}

status gpu_memory_fail(struct gpu_device *device, uint64_t asked, uint32_t heap)
{
    const struct gpu_memory *memory = device->memory;
    const unsigned long long bytes = asked, most = device->limits.allocation_bytes;
    const uint64_t total = memory->properties.memoryHeaps[heap].size;
    if (asked > most && asked <= total)
        return fail(device->log, STATUS_OUT_OF_DEVICE_MEMORY,
                    "out of device memory on %s: asked for %llu bytes, one allocation has at most "
                    "%llu",
                    device->info.name, bytes, most);
    if (asked > bytes_allowed(device) && asked <= total)
        return fail(device->log, STATUS_OUT_OF_DEVICE_MEMORY,
                    "out of device memory on %s: asked for %llu bytes, %llu may be taken, in use "
                    "%llu",
                    device->info.name, bytes, (unsigned long long)device->max_memory,
                    (unsigned long long)bytes_taken(memory));
    return fail(device->log, STATUS_OUT_OF_DEVICE_MEMORY,
                "out of device memory on %s: asked for %llu bytes, heap has %llu, in use %llu",
                device->info.name, bytes, (unsigned long long)total,
                (unsigned long long)memory->heap_used[heap]);
}

/* The size that a block for a request of `size` should have. */
static uint64_t wanted_bytes(const struct gpu_device *device, uint32_t heap, uint64_t size)
{
    const uint64_t total = device->memory->properties.memoryHeaps[heap].size;
    uint64_t shared = size_min(BLOCK_BYTES, total / HEAP_SHARE);
    if (device->max_memory)
        shared = size_min(shared, device->max_memory / TAKEN_SHARE);
    return size <= shared / BUFFER_SHARE ? shared : size;
}

/* The size of a new block for a request of `size`; 0 when the heap, an allocation or what may be
 * taken cannot hold it. Drivers for software devices give out more than their heap has, and fail
 * later. */
static uint64_t block_bytes(const struct gpu_device *device, uint32_t heap, uint64_t size)
{
    const struct gpu_memory *memory = device->memory;
    uint64_t total = memory->properties.memoryHeaps[heap].size;
    uint64_t room = total > memory->heap_used[heap] ? total - memory->heap_used[heap] : 0;
    room = size_min(size_min(room, bytes_allowed(device)), device->limits.allocation_bytes);
    return size > room ? 0 : size_min(wanted_bytes(device, heap, size), room);
}

/* An empty block counts as free (gpu_memory_free). Under a bound it is not used for a buffer that
 * would leave much of it to its memory type alone. */
static bool is_too_large(const struct gpu_device *device, uint32_t heap,
                         const struct gpu_block *block, uint64_t size)
{
    return device->max_memory && is_empty(block) && block->size > wanted_bytes(device, heap, size);
}

/* ---- ranges of blocks ---- */

/* Room in a block with memory of that type. */
static bool find_range(struct gpu_device *device, uint32_t type, uint64_t size, uint64_t alignment,
                       struct gpu_range *out)
{
    const uint32_t heap = device->memory->properties.memoryTypes[type].heapIndex;
    if (size > device->limits.allocation_bytes)
        return false;
    for (struct gpu_block *block = device->memory->blocks; block; block = block->next)
        if (block->type == type && !is_too_large(device, heap, block, size) &&
            take_range(block, size, alignment, &out->offset)) {
            *out = (struct gpu_range){block, out->offset, size};
            return true;
        }
    return false;
}

/* A range of a new block. out->block NULL: there is too little of that memory, which is not
 * reported. */
static status make_range(struct gpu_device *device, uint32_t type, uint64_t size,
                         uint64_t alignment, struct gpu_range *out)
{
    const uint32_t heap = device->memory->properties.memoryTypes[type].heapIndex;
    VkDeviceMemory handle = VK_NULL_HANDLE;
    uint64_t bytes = block_bytes(device, heap, size);
    *out = (struct gpu_range){.size = size};
    if (!bytes || bytes > heap_left(device, heap)) {
        trim_blocks(device, 0);
        bytes = block_bytes(device, heap, size);
    }
    if (!bytes)
        return STATUS_OK;
    if (bytes > heap_left(device, heap)) /* others use the heap, and this may fit all the same */
        bytes = size;
    VkResult vk = allocate(device, type, bytes, &handle);
    /* Drivers without a budget do not say beforehand what others use. */
    bool full = vk == VK_ERROR_OUT_OF_DEVICE_MEMORY || vk == VK_ERROR_OUT_OF_HOST_MEMORY;
    if (full && (trim_blocks(device, 0) || bytes > size)) {
        bytes = size;
        vk = allocate(device, type, bytes, &handle);
    }
    if (vk == VK_ERROR_OUT_OF_DEVICE_MEMORY)
        return STATUS_OK;
    if (vk == VK_ERROR_OUT_OF_HOST_MEMORY)
        return gpu_memory_fail(device, size, heap);
    if (vk < 0)
        return gpu_vk_fail(device, vk, "vkAllocateMemory", __FILE__, __LINE__);
    status result = create_block(device, type, bytes, handle, &out->block);
    if (out->block)
        take_range(out->block, size, alignment, &out->offset);
    return result;
}

/* Where the memory that suits best is full, the next best is taken: slower is better than not at
 * all. A bound on all memory is none of one type's: what passes it fails. */
status gpu_range_alloc(struct gpu_device *device, const VkMemoryRequirements *needs,
                       enum gpu_memory_kind kind, struct gpu_range *out)
{
    /* Whole atoms, so that a flush of one buffer touches no other. */
    const uint64_t alignment = size_max(needs->alignment, device->limits.noncoherent_atom);
    const uint64_t size = size_round_up(needs->size, alignment);
    const uint32_t best = gpu_memory_type(device, needs->memoryTypeBits, kind);
    uint32_t allowed = needs->memoryTypeBits;
    if (best == UINT32_MAX)
        return fail(device->log, STATUS_UNSUPPORTED, "%s has no memory type for this buffer",
                    device->info.name);
    for (uint32_t type = best; type != UINT32_MAX; type = gpu_memory_type(device, allowed, kind)) {
        if (find_range(device, type, size, alignment, out))
            return STATUS_OK;
        status result = make_range(device, type, size, alignment, out);
        if (result || out->block)
            return result;
        if (size > bytes_allowed(device))
            break;
        allowed &= ~(UINT32_C(1) << type);
    }
    return gpu_memory_fail(device, size, device->memory->properties.memoryTypes[best].heapIndex);
}

void gpu_range_free(struct gpu_device *device, const struct gpu_range *range)
{
    return_range(range->block, range->offset, range->size);
    if (is_empty(range->block))
        trim_blocks(device, 1);
}

void gpu_blocks_finish(struct gpu_device *device)
{
    while (device->memory->blocks) {
        struct gpu_block *next = device->memory->blocks->next;
        destroy_block(device, device->memory->blocks);
        device->memory->blocks = next;
    }
}
