/* embed_import: host memory that the device uses where it is. */
#include "attention_cases.h"
#include "base/system.h"
#include "context.h"
#include "host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- adamra_buffer_import ---- */

/* Host memory in whole pages. */
static float *pages(uint64_t bytes)
{
    float *memory = aligned_alloc(65536, size_round_up(bytes, 65536));
    ck_assert_ptr_nonnull(memory);
    return memory;
}

static VKAPI_ATTR VkResult VKAPI_CALL refuse(VkDevice device, const VkMemoryAllocateInfo *info,
                                             const VkAllocationCallbacks *allocator,
                                             VkDeviceMemory *out)
{
    (void)device, (void)info, (void)allocator, (void)out;
    return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

static bool can_import(adamra_context *context)
{
    return context->device->features.host_import;
}

/* As adamra.h says it; 0: none. */
static uint64_t alignment(const adamra_context *context)
{
    adamra_device_info info;
    ck_assert_int_eq(adamra_context_device(context, &info), ADAMRA_OK);
    return info.import_alignment;
}

START_TEST(imported_buffers_are_read_and_written_in_place)
{
    enum { TENSOR = 256 * 16 };
    struct host host;
    host_init(&host, HOST_FEATURES);
    adamra_context *context = host_context(&host);
    uint64_t bytes = size_round_up(4 * TENSOR * sizeof(float), 65536);
    float *memory = pages(bytes), *expected = calloc(TENSOR, sizeof(*expected));
    adamra_buffer *buffer;
    for (uint32_t i = 0; i < 3 * TENSOR; i++)
        memory[i] = host_number(i);
    adamra_status result = adamra_buffer_import(context, memory, bytes, &buffer);
    ck_assert_int_eq(result, can_import(context) ? ADAMRA_OK : ADAMRA_UNSUPPORTED);
    ck_assert_int_eq(alignment(context) != 0, can_import(context));
    if (!result) {
        adamra_attention *attention;
        adamra_attention_params params = {
            .kind = "softmax", .queries = 256, .keys = 256, .key_width = 16, .value_width = 16};
        adamra_attention_io io = {.q.data = memory,
                                  .k.data = memory + TENSOR,
                                  .v.data = memory + 2 * TENSOR,
                                  .y.data = expected};
        ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
        ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_OK);
        io.q = (adamra_tensor){.buffer = buffer};
        io.k = (adamra_tensor){.buffer = buffer, .offset = TENSOR * sizeof(float)};
        io.v = (adamra_tensor){.buffer = buffer, .offset = 2 * TENSOR * sizeof(float)};
        io.y = (adamra_output){.buffer = buffer, .offset = 3 * TENSOR * sizeof(float)};
        ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_OK);
        ck_assert_mem_eq(memory + 3 * TENSOR, expected, TENSOR * sizeof(float));
        /* What the host writes between runs is seen. */
        memcpy(memory, memory + 2 * TENSOR, TENSOR * sizeof(float));
        io.y = (adamra_output){.data = expected};
        ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_OK);
        ck_assert(memcmp(memory + 3 * TENSOR, expected, TENSOR * sizeof(float)) != 0);
        adamra_attention_destroy(attention);
        ck_assert_int_eq(adamra_buffer_read(buffer, 0, expected, TENSOR * sizeof(float)),
                         ADAMRA_OK);
        ck_assert_mem_eq(memory, expected, TENSOR * sizeof(float));
        adamra_buffer_destroy(buffer);
    }
    adamra_context_destroy(context);
    free(memory);
    free(expected);
    host_finish(&host);
}
END_TEST

START_TEST(import_refuses)
{
    struct host host;
    float *memory = pages(65536);
    adamra_buffer *buffer = (adamra_buffer *)memory; /* to be made NULL */
    host_init(&host, HOST_PLAIN);
    adamra_context *plain = host_context(&host);
    ck_assert_int_eq(adamra_buffer_import(plain, memory, 65536, &buffer), ADAMRA_UNSUPPORTED);
    ck_assert_ptr_null(buffer);
    ck_assert_ptr_nonnull(strstr(adamra_error(plain), "VK_EXT_external_memory_host"));
    ck_assert_uint_eq(alignment(plain), 0);
    adamra_context_destroy(plain);
    host_finish(&host);

    adamra_context *context = attention_context();
    if (can_import(context)) {
        const struct {
            void *data;
            uint64_t bytes;
        } wrong[] = {{NULL, 65536},
                     {memory, 0},
                     {memory, 100},
                     {memory + 4, 65536 - 4096},
                     {memory, alignment(context) / 2}};
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
            ck_assert_int_eq(adamra_buffer_import(context, wrong[i].data, wrong[i].bytes, &buffer),
                             ADAMRA_INVALID_ARGUMENT);
            ck_assert_ptr_null(buffer);
            ck_assert_ptr_nonnull(strstr(adamra_error(context), "data"));
        }
    }
    if (can_import(context)) { /* it could be with more memory: another status */
        struct VolkDeviceTable *vk = &context->device->vk;
        const PFN_vkAllocateMemory allocate = vk->vkAllocateMemory;
        vk->vkAllocateMemory = refuse;
        ck_assert_int_eq(adamra_buffer_import(context, memory, 65536, &buffer),
                         ADAMRA_OUT_OF_DEVICE_MEMORY);
        ck_assert_ptr_null(buffer);
        ck_assert_ptr_nonnull(strstr(adamra_error(context), "to import this host memory"));
        vk->vkAllocateMemory = allocate;
    }
    ck_assert_int_eq(adamra_buffer_import(context, memory, 65536, NULL), ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_buffer_import(NULL, memory, 65536, &buffer), ADAMRA_INVALID_ARGUMENT);
    free(memory);
}
END_TEST

/* ---- host tensors of a run ---- */

/* Queries enough for tensors of 1 MiB and more; logits stay below it. */
enum { QUERIES = 6000, WIDTH = 48, NUMBERS = QUERIES * WIDTH };

static const uint32_t rates[] = {1, 4};

/* Whether runs use host memory where it is, if it can be written. */
static bool uses_host_memory(const struct gpu_device *device, bool had, float *memory)
{
    uintptr_t page = (uintptr_t)memory / system_page_size() * system_page_size();
    return had && device->features.unified && /* some systems cannot tell */
           system_is_writable((void *)page, system_page_size());
}

/* Runs over host memory with and without imports; the results must be the same to the bit.
 * expect: imports lower what device memory is needed. */
static void compare(const float *q, const float *k, const float *v, float *y, bool expect)
{
    adamra_context *context = attention_context();
    struct gpu_device *device = context->device;
    bool had = device->features.host_import;
    float *first = calloc(NUMBERS, sizeof(*first));
    float *before = calloc(NUMBERS, sizeof(*before));
    uint64_t peaks[2];
    adamra_attention_params params = {.queries = QUERIES,
                                      .keys = QUERIES,
                                      .key_width = WIDTH,
                                      .value_width = WIDTH,
                                      .heads = 2,
                                      .rates = rates,
                                      .shared_keys = 1,
                                      .shared_values = 1,
                                      .router = ADAMRA_ROUTER_WEIGHT};
    ck_assert(first && before);
    memcpy(before, y, NUMBERS * sizeof(float));
    for (int import = 0; import < 2; import++) {
        adamra_attention *attention;
        adamra_attention_io io = {
            .q.data = q, .k.data = k, .v.data = v, .router_weight.data = q, .y.data = y};
        memcpy(y, before, NUMBERS * sizeof(float)); /* where y is an input too */
        device->features.host_import = had && import;
        gpu_memory_reset_peak(device);
        uint64_t used = gpu_memory_used(device);
        ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
        ck_assert_msg(!adamra_attention_run(attention, &io, NULL), "%s", adamra_error(context));
        peaks[import] = gpu_memory_peak(device) - used;
        adamra_attention_destroy(attention);
        ck_assert_uint_eq(gpu_memory_used(device), used);
        if (!import)
            memcpy(first, y, NUMBERS * sizeof(float));
    }
    device->features.host_import = had;
    ck_assert_mem_eq(first, y, NUMBERS * sizeof(float));
    if (expect && uses_host_memory(device, had, y))
        ck_assert_uint_lt(peaks[1] + NUMBERS * sizeof(float), peaks[0]);
    free(first);
    free(before);
}

/* Space for four tensors that start `skip` numbers after a page, with a guard after the last. */
struct space {
    float *memory, *tensors[4];
};

static struct space make_space(uint32_t skip)
{
    struct space space = {.memory = pages((4 * (uint64_t)NUMBERS + 64) * sizeof(float))};
    for (uint32_t i = 0; i < 4; i++)
        space.tensors[i] = space.memory + skip + i * (uint64_t)NUMBERS;
    for (uint64_t i = 0; i < 4 * (uint64_t)NUMBERS + 64; i++)
        space.memory[i] = host_number((uint32_t)i);
    return space;
}

/* 0: on a page. 4: within one. 1: not where the device could bind it. */
START_TEST(large_tensors_are_used_in_place)
{
    static const uint32_t skips[] = {0, 4, 1};
    for (size_t i = 0; i < ARRAY_SIZE(skips); i++) {
        struct space space = make_space(skips[i]);
        float *const *t = space.tensors;
        compare(t[0], t[1], t[2], t[3], skips[i] != 1);
        uint32_t first = skips[i] + 4 * NUMBERS;
        for (uint32_t guard = first; guard < first + 32; guard++)
            ck_assert_float_eq(space.memory[guard], host_number(guard));
        free(space.memory);
    }
}
END_TEST

static PFN_vkGetMemoryHostPointerPropertiesEXT ask_driver;
static uint32_t asked;

static VKAPI_ATTR VkResult VKAPI_CALL count_imports(VkDevice device,
                                                    VkExternalMemoryHandleTypeFlagBits type,
                                                    const void *data,
                                                    VkMemoryHostPointerPropertiesEXT *out)
{
    asked++;
    return ask_driver(device, type, data, out);
}

/* What lies around a tensor beyond its pages may not be there. */
START_TEST(only_whole_pages_are_imported)
{
    struct gpu_device *device = attention_context()->device;
    const uint64_t alignment = device->limits.host_import;
    struct space space = make_space(0);
    float *const *t = space.tensors;
    ask_driver = device->vk.vkGetMemoryHostPointerPropertiesEXT;
    device->vk.vkGetMemoryHostPointerPropertiesEXT = ask_driver ? count_imports : NULL;
    asked = 0;
    device->limits.host_import = 2 * system_page_size();
    compare(t[0], t[1], t[2], t[3], false);
    ck_assert_uint_eq(asked, 0);
    device->limits.host_import = alignment;
    compare(t[0], t[1], t[2], t[3], alignment <= system_page_size());
    if (uses_host_memory(device, device->features.host_import, t[3]))
        ck_assert_int_eq(asked > 0, alignment <= system_page_size());
    device->vk.vkGetMemoryHostPointerPropertiesEXT = ask_driver;
    free(space.memory);
}
END_TEST

/* Drivers may lose the device over it. y begins where it could not be bound. */
START_TEST(read_only_memory_is_copied)
{
    struct gpu_device *device = attention_context()->device;
    struct space space = make_space(1);
    FILE *file = tmpfile();
    void *mapped;
    const size_t bytes = NUMBERS * sizeof(float);
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(space.tensors[0], 1, bytes, file), bytes);
    ck_assert_int_eq(fflush(file), 0);
    ck_assert_int_eq(system_map(fileno(file), bytes, &mapped), 0);
    ck_assert(!system_is_writable(mapped, bytes));
    ask_driver = device->vk.vkGetMemoryHostPointerPropertiesEXT;
    device->vk.vkGetMemoryHostPointerPropertiesEXT = ask_driver ? count_imports : NULL;
    asked = 0;
    compare(mapped, mapped, mapped, space.tensors[3], false);
    ck_assert_uint_eq(asked, 0);
    device->vk.vkGetMemoryHostPointerPropertiesEXT = ask_driver;
    system_unmap(mapped, bytes);
    fclose(file);
    free(space.memory);
}
END_TEST

START_TEST(one_array_may_be_all_inputs)
{
    struct space space = make_space(0);
    compare(space.tensors[0], space.tensors[0], space.tensors[0], space.tensors[3], true);
    free(space.memory);
}
END_TEST

START_TEST(y_may_take_the_place_of_an_input)
{
    struct space space = make_space(0);
    float *const *t = space.tensors;
    compare(t[0], t[1], t[2], t[1], false);
    compare(t[0], t[1], t[2], t[0] + 100, false);
    free(space.memory);
}
END_TEST

/* An attention outlives the memory of its runs. */
START_TEST(memory_may_go_after_a_run)
{
    adamra_context *context = attention_context();
    adamra_attention *attention;
    adamra_attention_params params = {
        .kind = "linear", .queries = QUERIES, .keys = 8, .key_width = WIDTH, .value_width = WIDTH};
    float first = 0;
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    for (int round = 0; round < 3; round++) {
        struct space space = make_space(0);
        adamra_attention_io io = {.q.data = space.tensors[0],
                                  .k.data = space.tensors[1],
                                  .v.data = space.tensors[2],
                                  .y.data = space.tensors[3]};
        ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_OK);
        if (round == 0)
            first = io.y.data[NUMBERS - 1];
        ck_assert_float_eq(io.y.data[NUMBERS - 1], first);
        memset(space.memory, 0xff, NUMBERS * sizeof(float));
        free(space.memory);
    }
    adamra_attention_destroy(attention);
    ck_assert_uint_eq(adamra_validation_errors(context), 0);
}
END_TEST

Suite *embed_import_suite(void)
{
    Suite *suite = suite_create("embed_import");
    TCase *buffers = tcase_create("buffers"), *runs = tcase_create("runs");
    tcase_add_test(buffers, imported_buffers_are_read_and_written_in_place);
    tcase_add_test(buffers, import_refuses);
    tcase_add_test(runs, large_tensors_are_used_in_place);
    tcase_add_test(runs, only_whole_pages_are_imported);
    tcase_add_test(runs, read_only_memory_is_copied);
    tcase_add_test(runs, one_array_may_be_all_inputs);
    tcase_add_test(runs, y_may_take_the_place_of_an_input);
    tcase_add_test(runs, memory_may_go_after_a_run);
    suite_add_tcase(suite, buffers);
    suite_add_tcase(suite, runs);
    return suite;
}
