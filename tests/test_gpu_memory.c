/* gpu_memory: buffers of every kind, mapped and staged, many at a time, too large ones. */
#include "discrete.h"
#include "gpu/memory.h"
#include "gpu_cases.h"
#include "ops/random.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)

static void fill(uint8_t *data, uint64_t size, uint32_t seed)
{
    for (uint64_t i = 0; i < size; i++)
        data[i] = (uint8_t)((i * 2654435761u + seed) >> 7);
}

/* Writes and reads back at odd offsets; what lies around must stay. */
static void round_trip(struct gpu_buffer *buffer, uint64_t size)
{
    static const uint64_t margins[] = {0, 1, 3, 17, 250};
    uint8_t *expected = malloc(size), *got = malloc(size), *part = malloc(size);
    ck_assert(expected && got && part);
    fill(expected, size, 1);
    ck_assert_ok(gpu_buffer_write(buffer, 0, expected, size));
    for (uint32_t i = 0; i < ARRAY_SIZE(margins); i++) {
        uint64_t offset = margins[i], length = size - offset - margins[ARRAY_SIZE(margins) - 1 - i];
        fill(part, length, i + 2);
        memcpy(expected + offset, part, length);
        ck_assert_ok(gpu_buffer_write(buffer, offset, part, length));
        memset(got, 0xee, size);
        ck_assert_ok(gpu_buffer_read(buffer, 0, got, size));
        ck_assert(!memcmp(got, expected, size));
        ck_assert_ok(gpu_buffer_read(buffer, offset, part, length));
        ck_assert(!memcmp(part, expected + offset, length));
    }
    ck_assert_ok(gpu_buffer_write(buffer, size, expected, 0));
    ck_assert_ok(gpu_buffer_read(buffer, size, got, 0));
    free(expected);
    free(got);
    free(part);
}

START_TEST(every_kind_keeps_its_bytes)
{
    static const enum gpu_memory_kind kinds[] = {GPU_MEMORY_DEVICE, GPU_MEMORY_UPLOAD,
                                                 GPU_MEMORY_READBACK};
    struct gpu_buffer *buffer;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        ck_assert_ok(gpu_buffer_create(test_device, 1001, kinds[i], &buffer));
        ck_assert(buffer->mapped ||
                  (kinds[i] == GPU_MEMORY_DEVICE && !test_device->features.unified));
        round_trip(buffer, 1001);
        gpu_buffer_destroy(buffer);
    }
}
END_TEST

START_TEST(staging_copies_in_pieces)
{
    test_device->features.unified = false;
    struct gpu_buffer *buffer = device_buffer(17 * MIB + 5);
    ck_assert_ptr_null(buffer->mapped);
    round_trip(buffer, 17 * MIB + 5);
    ck_assert_uint_eq(gpu_memory_used(test_device), 17 * MIB + 5);
    gpu_buffer_destroy(buffer);
}
END_TEST

/* Every memory type is handled as if it were not coherent: flushes must keep to whole atoms and to
 * the block, which validation checks. */
START_TEST(flushes_keep_to_atoms)
{
    struct gpu_buffer *buffers[5];
    test_device->limits.noncoherent_atom = 256;
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++) {
        ck_assert_ok(gpu_buffer_create(test_device, 300 + i * 777, GPU_MEMORY_UPLOAD, &buffers[i]));
        buffers[i]->coherent = false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        round_trip(buffers[i], 300 + i * 777);
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        gpu_buffer_destroy(buffers[i]);
}
END_TEST

START_TEST(empty_buffer_is_allowed)
{
    struct gpu_buffer *buffer = device_buffer(0);
    ck_assert(buffer->handle);
    ck_assert_uint_eq(gpu_memory_used(test_device), 0);
    gpu_buffer_destroy(buffer);
    gpu_buffer_destroy(NULL);
}
END_TEST

static uint64_t blocks_bytes(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < VK_MAX_MEMORY_HEAPS; i++)
        bytes += test_device->memory->heap_used[i];
    return bytes;
}

#define MANY 300

/* Many buffers, freed and made again in a random order, each with bytes of its own: no two may
 * share a byte, and the room of freed ones must be found again. _i: with memory of the device's
 * own, where copies go through blocks of other types. */
START_TEST(many_buffers_do_not_overlap)
{
    struct random random = random_seed(test_seed());
    struct gpu_buffer *buffers[MANY] = {0};
    uint8_t *expected = malloc(40000), *got = malloc(40000);
    const void *block = NULL;
    ck_assert(expected && got);
    if (_i)
        discrete_memory(test_device);
    for (uint32_t step = 0; step < 6 * MANY; step++) {
        uint32_t at = random_between(&random, 0, MANY - 1);
        if (!buffers[at]) {
            /* Alignments differ, as they do between memory types and kinds of buffers. */
            test_device->limits.noncoherent_atom = 1u << random_between(&random, 4, 10);
            buffers[at] = device_buffer(random_between(&random, 1, 40000));
            ck_assert_uint_eq(buffers[at]->block_offset % test_device->limits.noncoherent_atom, 0);
            if (!block)
                block = buffers[at]->block;
            ck_assert_ptr_eq(buffers[at]->block, block); /* it holds them all */
            fill(expected, buffers[at]->size, at);
            ck_assert_ok(gpu_buffer_write(buffers[at], 0, expected, buffers[at]->size));
            continue;
        }
        fill(expected, buffers[at]->size, at);
        ck_assert_ok(gpu_buffer_read(buffers[at], 0, got, buffers[at]->size));
        ck_assert(!memcmp(got, expected, buffers[at]->size));
        gpu_buffer_destroy(buffers[at]);
        buffers[at] = NULL;
    }
    uint64_t all = blocks_bytes(), shared = gpu_block_size(block);
    for (uint32_t i = 0; i < MANY; i++)
        gpu_buffer_destroy(buffers[i]);
    free(expected);
    free(got);
    /* It is whole again: a buffer of its size takes its place. Beside it there are at most those
     * that copies go through. */
    ck_assert_uint_le(shared, 64 * MIB);
    ck_assert_uint_le(all, test_device->features.unified ? shared : 3 * shared);
    ck_assert_uint_eq(blocks_bytes(), all);
    ck_assert_uint_eq(gpu_memory_used(test_device), 0);
    struct gpu_buffer *whole = device_buffer(shared);
    ck_assert_ptr_eq(whole->block, block);
    gpu_buffer_destroy(whole);
    ck_assert_uint_eq(blocks_bytes(), all);
}
END_TEST

START_TEST(used_and_peak_are_counted)
{
    struct gpu_buffer *a = device_buffer(1000);
    struct gpu_buffer *b = device_buffer(3 * MIB);
    ck_assert_uint_eq(gpu_memory_used(test_device), 1000 + 3 * MIB);
    gpu_buffer_destroy(b);
    ck_assert_uint_eq(gpu_memory_used(test_device), 1000);
    ck_assert_uint_eq(gpu_memory_peak(test_device), 1000 + 3 * MIB);
    gpu_memory_reset_peak(test_device);
    ck_assert_uint_eq(gpu_memory_peak(test_device), 1000);
    b = device_buffer(500);
    ck_assert_uint_eq(gpu_memory_peak(test_device), 1500);
    gpu_buffer_destroy(a);
    gpu_buffer_destroy(b);
}
END_TEST

START_TEST(large_buffers_give_their_memory_back)
{
    struct gpu_buffer *large = device_buffer(100 * MIB);
    ck_assert_uint_ge(blocks_bytes(), 100 * MIB);
    gpu_buffer_destroy(large);
    ck_assert_uint_lt(blocks_bytes(), 100 * MIB);
}
END_TEST

static uint64_t largest_heap(void)
{
    const VkPhysicalDeviceMemoryProperties *properties = &test_device->memory->properties;
    uint64_t size = 0;
    for (uint32_t i = 0; i < properties->memoryHeapCount; i++)
        size = size_max(size, properties->memoryHeaps[i].size);
    return size;
}

START_TEST(too_large_is_refused)
{
    const uint64_t sizes[] = {largest_heap() + 1, UINT64_C(1) << 50, UINT64_MAX};
    char asked[64];
    struct gpu_buffer *buffer;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        snprintf(asked, sizeof(asked), "asked for %llu bytes, heap has",
                 (unsigned long long)sizes[i]);
        ck_assert_fails(gpu_buffer_create(test_device, sizes[i], GPU_MEMORY_DEVICE, &buffer),
                        STATUS_OUT_OF_DEVICE_MEMORY, asked);
        ck_assert_ptr_null(buffer);
    }
    test_device->limits.allocation_bytes = MIB;
    ck_assert_fails(gpu_buffer_create(test_device, MIB + 1, GPU_MEMORY_DEVICE, &buffer),
                    STATUS_OUT_OF_DEVICE_MEMORY, "asked for");
    gpu_buffer_destroy(device_buffer(MIB));
    ck_assert_uint_eq(gpu_memory_used(test_device), 0);
}
END_TEST

/* What other buffers hold counts: the heap is made small, so that no test fills a real one. */
START_TEST(full_heap_is_refused)
{
    VkPhysicalDeviceMemoryProperties *properties = &test_device->memory->properties;
    struct gpu_buffer *buffers[64], *last = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < properties->memoryHeapCount; i++)
        properties->memoryHeaps[i].size = 8 * MIB;
    status result = STATUS_OK;
    while (count < ARRAY_SIZE(buffers)) {
        result = gpu_buffer_create(test_device, MIB, GPU_MEMORY_DEVICE, &last);
        if (result)
            break;
        buffers[count++] = last;
    }
    ck_assert_fails(result, STATUS_OUT_OF_DEVICE_MEMORY, "in use 8388608");
    ck_assert_uint_eq(count, 8);
    gpu_buffer_destroy(buffers[--count]);
    ck_assert_ok(gpu_buffer_create(test_device, MIB / 2, GPU_MEMORY_DEVICE, &buffers[count++]));
    while (count)
        gpu_buffer_destroy(buffers[--count]);
}
END_TEST

/* ---- a bound on what is taken ---- */

#define BOUND (8 * MIB)

/* Sizes of buffers that fill the bound: at most a tenth of it may be lost to blocks. */
static const uint64_t filling[] = {4096, 100 * 1000, MIB / 2 + 16, 3 * MIB, BOUND};

START_TEST(bound_is_kept_and_used_up)
{
    const uint64_t size = filling[_i];
    struct gpu_buffer **buffers = calloc(BOUND / size + 1, sizeof(struct gpu_buffer *)), *buffer;
    ck_assert_ptr_nonnull(buffers);
    test_device->max_memory = BOUND;
    ck_assert_uint_eq(gpu_memory_free(test_device), BOUND);
    uint64_t count = 0;
    status result = STATUS_OK;
    while (!result) {
        result = gpu_buffer_create(test_device, size, GPU_MEMORY_DEVICE, &buffer);
        if (!result)
            buffers[count++] = buffer;
        ck_assert_uint_le(blocks_bytes(), BOUND);
        ck_assert_uint_le(gpu_memory_free(test_device), BOUND - blocks_bytes());
    }
    ck_assert_fails(result, STATUS_OUT_OF_DEVICE_MEMORY, "8388608 may be taken, in use");
    ck_assert_msg((BOUND / size - count) * size <= BOUND / 10, "%llu buffers of %llu bytes",
                  (unsigned long long)count, (unsigned long long)size);
    while (count)
        gpu_buffer_destroy(buffers[--count]);
    ck_assert_uint_eq(gpu_memory_free(test_device), BOUND);
    /* What was taken in small blocks is there again for a large one. */
    gpu_buffer_destroy(device_buffer(BOUND));
    free(buffers);
}
END_TEST

START_TEST(staging_keeps_to_the_bound)
{
    test_device->max_memory = BOUND;
    test_device->features.unified = false;
    test_device->limits.allocation_bytes = 5 * MIB;
    struct gpu_buffer *buffer = device_buffer(5 * MIB);
    if (buffer->mapped == NULL)
        round_trip(buffer, 5 * MIB);
    ck_assert_uint_le(blocks_bytes(), BOUND);
    gpu_buffer_destroy(buffer);
}
END_TEST

START_TEST(too_large_an_allocation_is_said)
{
    struct gpu_buffer *buffer;
    test_device->limits.allocation_bytes = MIB;
    ck_assert_fails(gpu_buffer_create(test_device, MIB + 1, GPU_MEMORY_DEVICE, &buffer),
                    STATUS_OUT_OF_DEVICE_MEMORY, "one allocation has at most 1048576");
    test_device->max_memory = MIB / 2;
    ck_assert_fails(gpu_buffer_create(test_device, MIB, GPU_MEMORY_DEVICE, &buffer),
                    STATUS_OUT_OF_DEVICE_MEMORY, "524288 may be taken");
}
END_TEST

/* Without a bound: what the heap has, less what is in use. */
START_TEST(free_memory_follows_use)
{
    test_device->features.budget = false; /* other programs count there */
    uint64_t before = gpu_memory_free(test_device);
    ck_assert(before > 0 && before <= largest_heap());
    struct gpu_buffer *buffer = device_buffer(20 * MIB);
    ck_assert_uint_eq(gpu_memory_free(test_device), before - 20 * MIB);
    gpu_buffer_destroy(buffer);
    ck_assert_uint_eq(gpu_memory_free(test_device), before);
}
END_TEST

Suite *gpu_memory_suite(void)
{
    Suite *suite = suite_create("gpu_memory");
    TCase *tests = tcase_create("memory");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, gpu_case_setup, gpu_case_teardown);
    tcase_add_test(tests, every_kind_keeps_its_bytes);
    tcase_add_test(tests, staging_copies_in_pieces);
    tcase_add_test(tests, flushes_keep_to_atoms);
    tcase_add_test(tests, empty_buffer_is_allowed);
    tcase_add_loop_test(tests, many_buffers_do_not_overlap, 0, 2);
    tcase_add_test(tests, used_and_peak_are_counted);
    tcase_add_test(tests, large_buffers_give_their_memory_back);
    tcase_add_test(tests, too_large_is_refused);
    tcase_add_test(tests, full_heap_is_refused);
    tcase_add_loop_test(tests, bound_is_kept_and_used_up, 0, ARRAY_SIZE(filling));
    tcase_add_test(tests, staging_keeps_to_the_bound);
    tcase_add_test(tests, too_large_an_allocation_is_said);
    tcase_add_test(tests, free_memory_follows_use);
    suite_add_tcase(suite, tests);
    return suite;
}
