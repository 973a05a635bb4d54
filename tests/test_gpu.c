/* gpu: listing and choosing devices, failed calls, pipelines. */
#include "gpu/instance.h"
#include "gpu_cases.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- listing ---- */

START_TEST(devices_are_listed)
{
    struct gpu_info *infos;
    uint32_t count;
    ck_assert_ok(gpu_list(test_logger(), &infos, &count));
    ck_assert_uint_gt(count, 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct gpu_info *info = &infos[i];
        ck_assert_uint_eq(info->index, i);
        ck_assert_uint_gt(strlen(info->name), 0);
        ck_assert_uint_gt(strlen(info->driver), 0);
        ck_assert_uint_gt(strlen(info->driver_version), 0);
        ck_assert_uint_eq(strlen(info->uuid_text), 36);
        ck_assert_uint_ge(info->api_version, VK_API_VERSION_1_1);
        ck_assert_uint_gt(info->memory_bytes, 0);
        ck_assert_uint_le(info->heap_free, info->memory_bytes);
        ck_assert_uint_ge(info->limits.group_invocations, 128);
        ck_assert_uint_ge(info->limits.push_bytes, 128);
        ck_assert_uint_eq(info->limits.buffer_offset % 16, 0);
        for (uint32_t j = 0; j < i; j++) /* else of one model under one driver */
            ck_assert(strcmp(info->uuid_text, infos[j].uuid_text) != 0 ||
                      strcmp(info->driver, infos[j].driver) == 0);
    }
    free(infos);
}
END_TEST

/* The first device as three. */

static struct gpu_instance real;
static uint32_t queried, other_driver, broken; /* the device that it is, from 1; 0: none */

static VKAPI_ATTR VkResult VKAPI_CALL list_thrice(VkInstance instance, uint32_t *count,
                                                  VkPhysicalDevice *out)
{
    uint32_t one = 1;
    VkPhysicalDevice first;
    VkResult result = real.EnumeratePhysicalDevices(instance, &one, &first);
    *count = 3;
    for (uint32_t i = 0; out && i < *count; i++)
        out[i] = first;
    return result < 0 ? result : VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL list_extensions(VkPhysicalDevice physical, const char *layer,
                                                      uint32_t *count, VkExtensionProperties *out)
{
    queried += !out;
    return queried == broken
               ? VK_ERROR_UNKNOWN
               : real.EnumerateDeviceExtensionProperties(physical, layer, count, out);
}

static VKAPI_ATTR void VKAPI_CALL rename_driver(VkPhysicalDevice physical,
                                                VkPhysicalDeviceProperties2 *properties)
{
    real.GetPhysicalDeviceProperties2(physical, properties);
    for (VkBaseOutStructure *next = properties->pNext; next; next = next->pNext)
        if (next->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES &&
            queried == other_driver)
            ((VkPhysicalDeviceDriverProperties *)next)->driverName[0] ^= 1;
}

static status list_several(uint32_t other, uint32_t fails, uint32_t *count)
{
    struct gpu_instance several;
    struct gpu_physical *list;
    queried = 0;
    other_driver = other;
    broken = fails;
    ck_assert_ok(gpu_instance_init(test_logger(), NULL, NULL, &real));
    several = real;
    several.EnumeratePhysicalDevices = list_thrice;
    several.EnumerateDeviceExtensionProperties = list_extensions;
    several.GetPhysicalDeviceProperties2 = rename_driver;
    status result = gpu_physical_list(test_logger(), &several, &list, count);
    for (uint32_t i = 0; i < *count; i++)
        ck_assert_uint_eq(list[i].info.index, i);
    free(list);
    gpu_instance_finish(&real);
    return result;
}

START_TEST(equal_devices_are_several)
{
    uint32_t count;
    ck_assert_ok(list_several(0, 0, &count));
    ck_assert_uint_eq(count, 3);
    ck_assert_ok(list_several(2, 0, &count)); /* one GPU under two drivers */
    ck_assert_uint_eq(count, 2);
}
END_TEST

START_TEST(a_broken_device_hides_no_other)
{
    uint32_t count;
    ck_assert_ok(list_several(0, 2, &count));
    ck_assert_uint_eq(count, 2);
}
END_TEST

/* ---- choosing, on devices that are made up ---- */

static const struct gpu_physical several[] = {
    {.info = {.index = 0, .name = "Soft Pipe", .type = GPU_CPU, .uuid = {1}}},
    {.info = {.index = 1, .name = "Alpha 600 Graphics", .type = GPU_INTEGRATED, .uuid = {2, 0xab}}},
    {.info = {.index = 2, .name = "Beta RX 7", .type = GPU_DISCRETE, .uuid = {3}}},
    {.info = {.index = 3, .name = "Beta RX 9", .type = GPU_DISCRETE, .uuid = {4}}},
    {.info = {.index = 4, .name = "Cloud Alpha 4090", .type = GPU_VIRTUAL, .uuid = {5}}},
};

static const struct {
    const char *select;
    int index; /* -1: none matches */
} choices[] = {
    {NULL, 2},
    {"0", 0},
    {"3", 3},
    {"7", -1}, /* an index, though it is part of a name too */
    {"600", -1},
    {"003", 3},
    {"4090", 4}, /* too long for an index */
    {"0003", -1},
    {"RX 7", 2},
    {"4294967297", -1},
    {"beta", 2},
    {"RX 9", 3},
    {"ALPHA", 1}, /* integrated before virtual */
    {"cloud", 4},
    {"pipe", 0},
    {"02ab0000-0000-0000-0000-000000000000", 1},
    {"02AB0000000000000000000000000000", 1},
    {"02ab0000-0000-0000-0000-00000000000", -1},
    {"02ab0000-0000-0000-0000-0000000000001", -1},
    {"06000000-0000-0000-0000-000000000000", -1},
    {"nothing like it", -1},
    {"", 2},
};

START_TEST(choice_follows_the_rules)
{
    const struct gpu_physical *chosen =
        gpu_select(several, ARRAY_SIZE(several), choices[_i].select);
    int index = chosen ? (int)chosen->info.index : -1;
    ck_assert_msg(index == choices[_i].index, "'%s' chose %d, not %d",
                  choices[_i].select ? choices[_i].select : "(default)", index, choices[_i].index);
}
END_TEST

START_TEST(preference_goes_by_type)
{
    static const int order[] = {2, 3, 1, 4, 0}; /* of what is left when the best is taken away */
    struct gpu_physical left[ARRAY_SIZE(several)];
    uint32_t count = ARRAY_SIZE(several);
    memcpy(left, several, sizeof(several));
    for (uint32_t i = 0; i < ARRAY_SIZE(order); i++) {
        const struct gpu_physical *best = gpu_select(left, count, NULL);
        ck_assert_ptr_nonnull(best);
        ck_assert_int_eq(best->info.index, order[i]);
        size_t at = (size_t)(best - left);
        memmove(&left[at], &left[at + 1], (--count - at) * sizeof(left[0]));
    }
    ck_assert_ptr_null(gpu_select(left, 0, NULL));
}
END_TEST

START_TEST(no_match_says_what_there_is)
{
    struct logger *log = test_logger();
    ck_assert_fails(gpu_select_fail(log, several, ARRAY_SIZE(several), "gamma"), STATUS_NO_DEVICE,
                    "'gamma'");
    for (size_t i = 0; i < ARRAY_SIZE(several); i++)
        ck_assert_ptr_nonnull(strstr(log->error, several[i].info.name));
    ck_assert_fails(gpu_select_fail(log, NULL, 0, NULL), STATUS_NO_DEVICE, "no usable");
    ck_assert_fails(gpu_select_fail(log, NULL, 0, "gamma"), STATUS_NO_DEVICE, "gamma");
}
END_TEST

/* ---- choosing, on what the machine has ---- */

static status try_select(const char *select, uint32_t *index)
{
    struct gpu_device *device;
    const struct gpu_device_params params = {.select = select};
    status result = gpu_device_create(test_logger(), &params, &device);
    *index = result ? UINT32_MAX : device->info.index;
    gpu_device_destroy(device);
    return result;
}

START_TEST(every_device_can_be_named)
{
    struct gpu_info *infos;
    uint32_t count, index;
    ck_assert_ok(gpu_list(test_logger(), &infos, &count));
    for (uint32_t i = 0; i < count; i++) {
        char number[16], name[sizeof(infos[i].name)];
        snprintf(number, sizeof(number), "%u", i);
        ck_assert_ok(try_select(number, &index));
        ck_assert_uint_eq(index, i);
        ck_assert_ok(try_select(infos[i].uuid_text, &index));
        ck_assert_uint_eq(index, i);
        for (size_t c = 0; c < sizeof(name); c++)
            name[c] = (char)toupper((unsigned char)infos[i].name[c]);
        ck_assert_ok(try_select(name, &index));
        ck_assert_str_eq(infos[index].name, infos[i].name);
    }
    free(infos);
    ck_assert_fails(try_select("no such device", &index), STATUS_NO_DEVICE, "no such device");
}
END_TEST

static void count_warnings(void *user, enum log_level level, const char *text)
{
    if (level == LOG_WARNING && strstr(text, "no GPU"))
        (*(int *)user)++;
}

START_TEST(cpu_device_is_said_when_not_asked_for)
{
    int warnings = 0;
    struct logger log = {.write = count_warnings, .user = &warnings};
    struct gpu_device *device;
    ck_assert_ok(gpu_device_create(&log, NULL, &device));
    bool cpu = device->info.type == GPU_CPU;
    char uuid[sizeof(device->info.uuid_text)];
    memcpy(uuid, device->info.uuid_text, sizeof(uuid));
    gpu_device_destroy(device);
    ck_assert_int_eq(warnings, cpu);
    const struct gpu_device_params params = {.select = uuid};
    ck_assert_ok(gpu_device_create(&log, &params, &device));
    gpu_device_destroy(device);
    ck_assert_int_eq(warnings, cpu);
}
END_TEST

/* ---- failed calls ---- */

START_TEST(failed_calls_are_named)
{
    ck_assert_fails(gpu_vk_fail(test_device, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                                "device->vk.vkCreateBuffer(device->handle, NULL)", "a/b.c", 7),
                    STATUS_OUT_OF_DEVICE_MEMORY, "vkCreateBuffer on ");
    ck_assert_ptr_nonnull(strstr(test_logger()->error, "out of device memory (-2), b.c:7"));
    ck_assert_fails(gpu_vk_fail(test_device, -12345, "call", "b.c", 1), STATUS_DRIVER, "unknown");
    ck_assert(!test_device->lost);
}
END_TEST

START_TEST(lost_device_refuses_everything)
{
    struct gpu_commands *commands;
    struct gpu_buffer *buffer;
    ck_assert_fails(gpu_vk_fail(test_device, VK_ERROR_DEVICE_LOST, "call", "b.c", 1),
                    STATUS_DEVICE_LOST, "device lost");
    ck_assert(test_device->lost);
    ck_assert_fails(gpu_commands_create(test_device, NULL, &commands), STATUS_DEVICE_LOST, "lost");
    ck_assert_ptr_null(commands);
    ck_assert_fails(gpu_buffer_create(test_device, 16, GPU_MEMORY_DEVICE, &buffer),
                    STATUS_DEVICE_LOST, "lost");
    ck_assert_ptr_null(buffer);
}
END_TEST

/* ---- pipelines ---- */

START_TEST(pipelines_are_made_once)
{
    const uint32_t plain[] = {128, 0}, half[] = {128, TYPE_F16};
    const struct gpu_pipeline *first, *again, *other, *fewer;
    ck_assert_uint_eq(gpu_pipeline_count(test_device), 0);
    ck_assert_ok(gpu_pipeline_get(test_device, SHADER_linear_tile, plain, 2, &first));
    ck_assert_ok(gpu_pipeline_get(test_device, SHADER_linear_tile, plain, 2, &again));
    ck_assert_ptr_eq(first, again);
    ck_assert_uint_eq(gpu_pipeline_count(test_device), 1);
    ck_assert_ok(gpu_pipeline_get(test_device, SHADER_linear_tile, half, 2, &other));
    ck_assert_ok(gpu_pipeline_get(test_device, SHADER_linear_tile, NULL, 0, &fewer));
    ck_assert_ptr_ne(first, other);
    ck_assert_ptr_ne(first, fewer);
    ck_assert_uint_eq(gpu_pipeline_count(test_device), 3);
    ck_assert_uint_eq(first->reflection.push_bytes, sizeof(struct linear_params));
}
END_TEST

/* Some twice, some that are there: on any number of threads, one of each comes out. */
START_TEST(pipelines_are_made_together)
{
    static const uint32_t threads[] = {1, 2, 100};
    enum { KEYS = 12, KINDS = 5 };
    struct gpu_pipeline_key keys[KEYS];
    const uint32_t own = test_device->compile_threads;
    const struct gpu_pipeline *pipelines[KINDS], *pipeline;
    for (uint32_t i = 0; i < KEYS; i++)
        keys[i] = (struct gpu_pipeline_key){
            .shader = SHADER_repack, .values = {64, 32 * (i % KINDS + 1)}, .count = 2};
    ck_assert_ok(gpu_pipelines_make(test_device, keys, 0));
    ck_assert_uint_eq(gpu_pipeline_count(test_device), 0);
    for (size_t t = 0; t < ARRAY_SIZE(threads); t++) {
        test_device->compile_threads = threads[t];
        ck_assert_ok(gpu_pipelines_make(test_device, &keys[t], KEYS - 2));
        ck_assert_uint_eq(gpu_pipeline_count(test_device), KINDS);
        for (uint32_t i = 0; i < KINDS; i++) {
            ck_assert_ok(
                gpu_pipeline_get(test_device, SHADER_repack, keys[i].values, 2, &pipeline));
            ck_assert(pipeline->handle != VK_NULL_HANDLE);
            if (t > 0)
                ck_assert_ptr_eq(pipelines[i], pipeline);
            pipelines[i] = pipeline;
        }
        ck_assert_uint_eq(gpu_pipeline_count(test_device), KINDS);
    }
    test_device->compile_threads = own;
}
END_TEST

/* One that cannot be takes the others of its call with it, and no other. */
START_TEST(pipelines_are_made_all_or_none)
{
    const struct gpu_pipeline *pipeline;
    struct gpu_pipeline_key keys[] = {
        {SHADER_repack, {32}, 1}, {SHADER_repack, {64}, 1}, {SHADER_repack, {1u << 30}, 1}};
    ck_assert_ok(gpu_pipeline_get(test_device, SHADER_repack, keys[0].values, 1, &pipeline));
    ck_assert_int_eq(gpu_pipelines_make(test_device, keys, 3), STATUS_UNSUPPORTED);
    ck_assert_uint_eq(gpu_pipeline_count(test_device), 1);
    ck_assert_ok(gpu_pipelines_make(test_device, keys, 2));
    ck_assert_uint_eq(gpu_pipeline_count(test_device), 2);
}
END_TEST

START_TEST(group_past_the_limit_is_refused)
{
    const struct gpu_pipeline *pipeline;
    test_device->limits.group_invocations = 64;
    ck_assert_fails(gpu_pipeline_get(test_device, SHADER_linear_tile, NULL, 0, &pipeline),
                    STATUS_UNSUPPORTED, "linear_tile");
    ck_assert_uint_eq(gpu_pipeline_count(test_device), 0);
}
END_TEST

/* No error of the layer's means something only where it does say one. */
START_TEST(wrong_calls_are_counted)
{
    struct logger quiet = {0};
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO,
                                    .flags = 1u << 30}; /* there is no such flag */
    VkFence fence;
    if (!test_validated())
        return;
    test_device->log = &quiet;
    if (test_device->vk.vkCreateFence(test_device->handle, &info, NULL, &fence) == VK_SUCCESS)
        test_device->vk.vkDestroyFence(test_device->handle, fence, NULL);
    test_device->log = test_logger();
    ck_assert_uint_eq(test_device->validation_errors, 1);
    test_device->validation_errors = 0;
}
END_TEST

Suite *gpu_suite(void)
{
    Suite *suite = suite_create("gpu");
    TCase *tests = tcase_create("choice");
    tcase_add_test(tests, devices_are_listed);
    tcase_add_test(tests, equal_devices_are_several);
    tcase_add_test(tests, a_broken_device_hides_no_other);
    tcase_add_loop_test(tests, choice_follows_the_rules, 0, ARRAY_SIZE(choices));
    tcase_add_test(tests, preference_goes_by_type);
    tcase_add_test(tests, no_match_says_what_there_is);
    tcase_add_test(tests, every_device_can_be_named);
    tcase_add_test(tests, cpu_device_is_said_when_not_asked_for);
    suite_add_tcase(suite, tests);
    tests = tcase_create("device");
    tcase_add_checked_fixture(tests, gpu_case_setup, gpu_case_teardown);
    tcase_add_test(tests, failed_calls_are_named);
    tcase_add_test(tests, lost_device_refuses_everything);
    tcase_add_test(tests, pipelines_are_made_once);
    tcase_add_test(tests, pipelines_are_made_together);
    tcase_add_test(tests, pipelines_are_made_all_or_none);
    tcase_add_test(tests, group_past_the_limit_is_refused);
    tcase_add_test(tests, wrong_calls_are_counted);
    suite_add_tcase(suite, tests);
    return suite;
}
