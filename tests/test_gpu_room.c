/* gpu_room: memory that is full, or that a driver does not give: what else there is is taken. */
#include "discrete.h"
#include "gpu/memory.h"
#include "gpu_cases.h"
#include <string.h>

#define MIB (UINT64_C(1) << 20)

/* Larger than what shares a block. */
#define ALONE (20 * MIB)

/* ---- a driver that refuses ---- */

static PFN_vkAllocateMemory give;
static uint32_t refused;    /* types, a bit each */
static uint64_t most_bytes; /* of one allocation */
static uint64_t room;       /* of all that is allocated at a time */
static uint32_t last_type;  /* of what was given last */
static uint32_t refusals;

static uint64_t blocks_bytes(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < VK_MAX_MEMORY_HEAPS; i++)
        bytes += test_device->memory->heap_used[i];
    return bytes;
}

static VKAPI_ATTR VkResult VKAPI_CALL give_some(VkDevice device, const VkMemoryAllocateInfo *info,
                                                const VkAllocationCallbacks *allocator,
                                                VkDeviceMemory *out)
{
    if (refused >> info->memoryTypeIndex & 1 || info->allocationSize > most_bytes ||
        info->allocationSize + blocks_bytes() > room) {
        refusals++;
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
    last_type = info->memoryTypeIndex;
    return give(device, info, allocator, out);
}

/* A device with several types, of which the engine does not know what others use. */
static void setup(void)
{
    gpu_case_setup();
    discrete_memory(test_device);
    test_device->features.budget = false;
    refused = refusals = 0;
    most_bytes = room = UINT64_MAX;
    give = test_device->vk.vkAllocateMemory;
    test_device->vk.vkAllocateMemory = give_some;
}

/* ---- what is done then ---- */

/* Writes and reads back. */
static void check_bytes(struct gpu_buffer *buffer)
{
    uint8_t expected[1000], got[1000] = {0};
    for (uint32_t i = 0; i < sizeof(expected); i++)
        expected[i] = (uint8_t)(i * 7 + last_type);
    ck_assert_ok(gpu_buffer_write(buffer, buffer->size - 1001, expected, sizeof(expected)));
    ck_assert_ok(gpu_buffer_read(buffer, buffer->size - 1001, got, sizeof(got)));
    ck_assert_mem_eq(got, expected, sizeof(got));
}

/* Every type once, the best first; when none is left it fails, and works when there is one. */
START_TEST(next_best_type_is_taken)
{
    struct gpu_buffer *buffers[VK_MAX_MEMORY_TYPES], *last = NULL;
    uint32_t count = 0, first = 0, taken = 0;
    status result = STATUS_OK;
    while (!result) {
        ck_assert_uint_lt(count, VK_MAX_MEMORY_TYPES);
        refused = taken;
        result = gpu_buffer_create(test_device, ALONE, GPU_MEMORY_DEVICE, &last);
        if (result)
            break;
        first = count ? first : last_type;
        ck_assert_msg(!(taken >> last_type & 1), "type %u again", last_type);
        taken |= UINT32_C(1) << last_type;
        buffers[count++] = last;
    }
    ck_assert_fails(result, STATUS_OUT_OF_DEVICE_MEMORY, "asked for 20971520 bytes");
    ck_assert_uint_eq(gpu_memory_used(test_device), count * ALONE);
    refused = 0; /* copies may need blocks of their own */
    for (uint32_t i = 0; i < count; i++)
        check_bytes(buffers[i]);
    buffers[count++] = device_buffer(ALONE);
    ck_assert_uint_eq(last_type, first);
    check_bytes(buffers[count - 1]);
    while (count)
        gpu_buffer_destroy(buffers[--count]);
}
END_TEST

START_TEST(mapped_kinds_stay_mapped)
{
    static const enum gpu_memory_kind kinds[] = {GPU_MEMORY_UPLOAD, GPU_MEMORY_READBACK};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct gpu_buffer *buffers[2];
        refused = 0;
        ck_assert_ok(gpu_buffer_create(test_device, ALONE, kinds[i], &buffers[0]));
        refused = UINT32_C(1) << last_type;
        status result = gpu_buffer_create(test_device, ALONE, kinds[i], &buffers[1]);
        if (!result) {
            ck_assert_ptr_nonnull(buffers[1]->mapped);
            gpu_buffer_destroy(buffers[1]);
        }
        gpu_buffer_destroy(buffers[0]);
    }
}
END_TEST

/* The engine's own count says that a heap is full, as where it is small. */
START_TEST(full_heap_is_left)
{
    struct gpu_buffer *buffers[12];
    VkPhysicalDeviceMemoryProperties *properties = &test_device->memory->properties;
    if (properties->memoryHeapCount < 2)
        return;
    uint32_t heap =
        properties->memoryTypes[gpu_memory_type(test_device, UINT32_MAX, GPU_MEMORY_DEVICE)]
            .heapIndex;
    properties->memoryHeaps[heap].size = 8 * MIB;
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        buffers[i] = device_buffer(MIB);
    ck_assert_uint_eq(test_device->memory->heap_used[heap], 8 * MIB);
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        check_bytes(buffers[i]);
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        gpu_buffer_destroy(buffers[i]);
}
END_TEST

/* What passes a bound on all memory would pass it with any type. */
START_TEST(bound_is_no_types)
{
    struct gpu_buffer *buffers[8], *none;
    const uint32_t best = gpu_memory_type(test_device, UINT32_MAX, GPU_MEMORY_DEVICE);
    test_device->max_memory = 8 * MIB;
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        buffers[i] = device_buffer(MIB);
    ck_assert_fails(gpu_buffer_create(test_device, MIB, GPU_MEMORY_DEVICE, &none),
                    STATUS_OUT_OF_DEVICE_MEMORY, "8388608 may be taken");
    ck_assert_uint_eq(last_type, best);
    ck_assert_uint_eq(blocks_bytes(), 8 * MIB);
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        gpu_buffer_destroy(buffers[i]);
}
END_TEST

/* ---- which type is the best ---- */

#define LOCAL    VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
#define VISIBLE  VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT
#define COHERENT VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
#define CACHED   VK_MEMORY_PROPERTY_HOST_CACHED_BIT
#define DEBUGGED VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD

/* In the order of phones' drivers; nothing is allocated. */
START_TEST(host_reads_unified_memory_through_its_caches)
{
    const VkPhysicalDeviceMemoryProperties had = test_device->memory->properties;
    const bool unified = test_device->features.unified;
    test_device->features.unified = true;
    test_device->memory->properties = (VkPhysicalDeviceMemoryProperties){
        .memoryTypeCount = 5,
        .memoryTypes = {{LOCAL, 0},
                        {LOCAL | VISIBLE | COHERENT, 0},
                        {LOCAL | VISIBLE | COHERENT | CACHED | DEBUGGED, 0},
                        {LOCAL | VISIBLE | CACHED, 0},
                        {LOCAL | VISIBLE | COHERENT | CACHED, 0}},
        .memoryHeapCount = 1,
        .memoryHeaps = {{MIB, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}}};
    static const struct {
        uint32_t allowed, best;
    } rows[] = {{31, 4}, {15, 3}, {7, 1}, {13, 3}, {5, 0}, {4, UINT32_MAX}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_uint_eq(gpu_memory_type(test_device, rows[i].allowed, GPU_MEMORY_DEVICE),
                          rows[i].best);
    test_device->memory->properties = had;
    test_device->features.unified = unified;
}
END_TEST

/* ---- blocks ---- */

/* A block for several buffers is more than one needs. */
START_TEST(no_more_is_asked_for_than_needed)
{
    most_bytes = 3 * MIB / 2;
    struct gpu_buffer *buffer = device_buffer(MIB);
    ck_assert_uint_eq(refusals, 1);
    ck_assert_uint_eq(gpu_block_size(buffer->block), MIB);
    gpu_buffer_destroy(buffer);
}
END_TEST

START_TEST(empty_blocks_are_given_back)
{
    const uint32_t best = gpu_memory_type(test_device, UINT32_MAX, GPU_MEMORY_DEVICE);
    gpu_buffer_destroy(device_buffer(MIB));
    const uint64_t kept = blocks_bytes();
    ck_assert_uint_gt(kept, 0);
    room = kept + 2 * MIB;
    struct gpu_buffer *buffer = device_buffer(kept + MIB);
    ck_assert_uint_eq(refusals, 1);
    ck_assert_uint_eq(last_type, best);
    ck_assert_uint_eq(blocks_bytes(), kept + MIB);
    gpu_buffer_destroy(buffer);
}
END_TEST

static PFN_vkMapMemory map;
static uint32_t unmapped; /* a type */

static VKAPI_ATTR VkResult VKAPI_CALL map_some(VkDevice device, VkDeviceMemory memory,
                                               VkDeviceSize offset, VkDeviceSize size,
                                               VkMemoryMapFlags flags, void **out)
{
    return last_type == unmapped ? VK_ERROR_MEMORY_MAP_FAILED
                                 : map(device, memory, offset, size, flags, out);
}

/* A process of 32 bits runs out of addresses before the device runs out of memory. */
START_TEST(memory_that_cannot_be_mapped_is_left)
{
    const uint64_t before = blocks_bytes();
    struct gpu_buffer *buffer;
    map = test_device->vk.vkMapMemory;
    test_device->vk.vkMapMemory = map_some;
    unmapped = gpu_memory_type(test_device, UINT32_MAX, GPU_MEMORY_UPLOAD);
    ck_assert_ok(gpu_buffer_create(test_device, ALONE, GPU_MEMORY_UPLOAD, &buffer));
    ck_assert_uint_ne(last_type, unmapped);
    ck_assert_ptr_nonnull(buffer->mapped);
    ck_assert_uint_eq(blocks_bytes(), before + ALONE);
    gpu_buffer_destroy(buffer);
}
END_TEST

Suite *gpu_room_suite(void)
{
    Suite *suite = suite_create("gpu_room");
    TCase *tests = tcase_create("room");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, gpu_case_teardown);
    tcase_add_test(tests, next_best_type_is_taken);
    tcase_add_test(tests, mapped_kinds_stay_mapped);
    tcase_add_test(tests, full_heap_is_left);
    tcase_add_test(tests, bound_is_no_types);
    tcase_add_test(tests, host_reads_unified_memory_through_its_caches);
    tcase_add_test(tests, no_more_is_asked_for_than_needed);
    tcase_add_test(tests, empty_blocks_are_given_back);
    tcase_add_test(tests, memory_that_cannot_be_mapped_is_left);
    suite_add_tcase(suite, tests);
    return suite;
}
