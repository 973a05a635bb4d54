/* limits: what lowers them and what shaders need of them. */
#include "gpu/needs.h"
#include "gpu_cases.h"
#include "ops/ops.h"
#include "ops/random.h"
#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

/* A device with more than Vulkan's minimum of everything. */
static void made_up_device(struct gpu_device *device)
{
    memset(device, 0, sizeof(*device));
    device->info.type = GPU_DISCRETE;
    device->limits = (struct gpu_limits){
        .storage_range = UINT64_C(1) << 32,
        .texel_elements = 1 << 27,
        .allocation_bytes = UINT64_C(1) << 31,
        .buffer_offset = 16,
        .noncoherent_atom = 64,
        .groups = {INT32_MAX, 70000, 65535},
        .group_size = {1024, 1024, 64},
        .group_invocations = 1024,
        .shared_bytes = 49152,
        .push_bytes = 256,
        .storage_buffers = 16,
        .loop_iterations = UINT32_MAX,
    };
    device->features = (struct gpu_features){
        .subgroup_size = 8,
        .subgroup_shuffle = true,
        .texel_f32 = true,
        .texel_f16 = true,
        .timestamps = true,
    };
}

static const struct {
    const char *text, *error; /* error: part of the message; NULL: accepted */
} texts[] = {
    {"", NULL},
    {"storage_range=4294967296", NULL},
    {"storage_range=16,groups=1,texel_elements=1,allocation_bytes=1", NULL},
    {"buffer_offset=65536,noncoherent_atom=256", NULL},
    {"group_size=128,group_invocations=128,shared_bytes=16384,push_bytes=128", NULL},
    {"subgroup_size=4,timestamps=0,unified=0", NULL},
    {"vulkan-minimum,groups=7", NULL},
    {"storage_range=4294967297", "storage_range=4294967297; expected 16 to 4294967296"},
    {"storage_range=15", "storage_range=15; expected 16"},
    {"groups=0", "groups=0; expected 1 to 2147483647"},
    {"groups=5,groups=6", "groups=6; expected 1 to 5"},
    {"buffer_offset=8", "buffer_offset=8; expected 16 to 65536"},
    {"buffer_offset=48", "buffer_offset=48; expected a power of two"},
    {"group_invocations=127", "expected 128 to 1024"},
    {"shared_bytes=16383", "expected 16384 to 49152"},
    {"push_bytes=64", "expected 128 to 256"},
    {"storage_buffers=3", "expected 4 to 16"},
    {"float16=1", "float16=1; expected 0 to 0"},
    {"texel_f16=2", "texel_f16=2; expected 0 to 1"},
    {"speed=9", "limits: 'speed=9'; expected vulkan-minimum, android-baseline-2021"},
    {"groups", "limits: 'groups'"},
    {"groups=", "limits: 'groups='"},
    {"groups=-1", "limits: 'groups=-1'"},
    {"groups= 1", "limits: 'groups= 1'"},
    {"groups=1x", "limits: 'groups=1x'"},
    {"groups=99999999999999999999", "limits: 'groups=9999"},
    {"groups=4,,", "limits: ''"},
    {"Vulkan-Minimum", "limits: 'Vulkan-Minimum'"},
};

START_TEST(text_is_read)
{
    struct gpu_device device;
    made_up_device(&device);
    status result =
        gpu_limits_lower(test_logger(), texts[_i].text, &device.limits, &device.features);
    if (texts[_i].error)
        ck_assert_fails(result, STATUS_INVALID_ARGUMENT, texts[_i].error);
    else
        ck_assert_ok(result);
}
END_TEST

START_TEST(text_is_applied)
{
    struct gpu_device device;
    made_up_device(&device);
    ck_assert_ok(gpu_limits_lower(test_logger(),
                                  "storage_range=1000,groups=300,group_size=200,buffer_offset=32,"
                                  "subgroup_size=4,texel_f16=0",
                                  &device.limits, &device.features));
    ck_assert_uint_eq(device.limits.storage_range, 1000);
    ck_assert(device.limits.groups[0] == 300 && device.limits.groups[2] == 300);
    ck_assert(device.limits.group_size[0] == 200 && device.limits.group_size[2] == 64);
    ck_assert_uint_eq(device.limits.buffer_offset, 32);
    ck_assert_uint_eq(device.limits.push_bytes, 256);
    ck_assert_uint_eq(device.features.subgroup_size, 4);
    ck_assert(!device.features.subgroup_shuffle && !device.features.texel_f16);
    ck_assert(device.features.texel_f32 && device.features.timestamps);
}
END_TEST

static const char *const presets[] = {"vulkan-minimum", "android-baseline-2021",
                                      "android-baseline-2022"};

/* The numbers of table "Required Limits"; a device that has less keeps what it has. */
START_TEST(preset_is_applied)
{
    struct gpu_device device;
    made_up_device(&device);
    device.limits.texel_elements = 4096;
    device.limits.noncoherent_atom = 1024;
    ck_assert_ok(gpu_limits_lower(test_logger(), presets[_i], &device.limits, &device.features));
    const struct gpu_limits *limits = &device.limits;
    ck_assert_uint_eq(limits->storage_range, 1 << 27);
    ck_assert_uint_eq(limits->texel_elements, 4096);
    ck_assert_uint_eq(limits->allocation_bytes, 1 << 30);
    ck_assert_uint_eq(limits->buffer_offset, 256);
    ck_assert_uint_eq(limits->noncoherent_atom, 1024);
    ck_assert(limits->groups[0] == 65535 && limits->groups[1] == 65535);
    ck_assert(limits->group_size[0] == 128 && limits->group_size[2] == 64);
    ck_assert_uint_eq(limits->group_invocations, 128);
    ck_assert_uint_eq(limits->shared_bytes, 16384);
    ck_assert_uint_eq(limits->push_bytes, 128);
    ck_assert_uint_eq(limits->storage_buffers, 4);
    ck_assert(!device.features.subgroup_shuffle && !device.features.timestamps);
    ck_assert(device.features.texel_f32);
}
END_TEST

/* ---- what shaders need ---- */

START_TEST(shared_memory_is_told)
{
    static const struct {
        enum gpu_shader shader;
        uint32_t group, tile, bytes;
    } rows[] = {
        {SHADER_linear_lane, 8, 0, 0},
        {SHADER_linear_tile, 128, 0, (16 * 17 + 16 * 16) * 16},
        {SHADER_norm, 64, 0, 64 * 4},
        {SHADER_norm, 128, 0, 128 * 4},
        {SHADER_state_tile, 128, 0, 2 * 16 * 16 * 16},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t values[GPU_MAX_CONSTANTS] = {rows[i].group}, bytes;
        size_t count;
        const uint32_t *words = gpu_shader_words(rows[i].shader, &count);
        ck_assert_ok(gpu_reflect_shared(test_logger(), words, count, values, 1, &bytes));
        ck_assert_msg(bytes == rows[i].bytes, "%s: %u bytes, not %u",
                      gpu_shader_name(rows[i].shader), bytes, rows[i].bytes);
    }
}
END_TEST

/* Sizes that are worked out from constants: none that a compiler leaves may be unknown. */
START_TEST(every_module_tells_its_shared_memory)
{
    uint32_t bytes = UINT32_MAX;
    size_t count;
    const uint32_t *words = gpu_shader_words((enum gpu_shader)_i, &count);
    ck_assert_ok(gpu_reflect_shared(test_logger(), words, count, NULL, 0, &bytes));
    ck_assert_uint_le(bytes, 16384);
}
END_TEST

/* A module with any word changed is understood or refused. */
START_TEST(changed_module_does_no_harm)
{
    struct random random = random_seed(test_seed() + 7);
    size_t count;
    const uint32_t *words = gpu_shader_words(SHADER_norm, &count);
    uint32_t *changed = malloc(count * sizeof(*changed)), bytes;
    ck_assert_ptr_nonnull(changed);
    for (uint32_t i = 0; i < 3000; i++) {
        memcpy(changed, words, count * sizeof(*changed));
        size_t at = random_between(&random, 0, (uint32_t)count - 1);
        changed[at] = i % 3 ? random_between(&random, 0, 600) : i << 16 | i;
        status result = gpu_reflect_shared(test_logger(), changed, count, NULL, 0, &bytes);
        ck_assert(result == STATUS_OK || result == STATUS_UNSUPPORTED);
    }
    free(changed);
}
END_TEST

static const struct op_candidate *find_candidate(const struct op *op, const char *name)
{
    for (uint32_t i = 0; i < op->candidate_count; i++)
        if (strcmp(op->candidates[i].name, name) == 0)
            return &op->candidates[i];
    ck_abort_msg("%s has no candidate %s", op->name, name);
}

static struct op_call draw_call(const struct op *op, uint64_t seed)
{
    struct random random = random_seed(seed);
    struct op_call call = {.op = op};
    op->example(&random, ELEMENT_F32, &call);
    return call;
}

START_TEST(candidates_keep_to_the_limits)
{
    struct gpu_device device;
    const struct op_call call = draw_call(&op_linear, test_seed());
    const struct op_candidate *tile = find_candidate(&op_linear, "tile");
    const struct op_candidate *few = find_candidate(&op_linear, "tile_few");
    made_up_device(&device);
    ck_assert(op_satisfies(&device, &call, tile) && op_satisfies(&device, &call, few));
    ck_assert_ptr_ne(op_choose(&device, &call), few);
    device.limits.storage_buffers = 4;
    ck_assert(!op_satisfies(&device, &call, tile));
    ck_assert_ptr_eq(op_choose(&device, &call), few);

    made_up_device(&device);
    device.limits.shared_bytes = (16 * 17 + 16 * 16) * 16 - 1;
    ck_assert(!op_satisfies(&device, &call, tile));
    device.limits.shared_bytes++;
    ck_assert(op_satisfies(&device, &call, tile));

    device.limits.push_bytes = 64;
    ck_assert(!op_satisfies(&device, &call, tile));
    device.limits.push_bytes = 128;
    device.limits.group_invocations = 127;
    ck_assert(!op_satisfies(&device, &call, tile));
    device.limits.group_invocations = 128;
    device.limits.storage_range = 32;
    ck_assert(!op_satisfies(&device, &call, tile));
}
END_TEST

START_TEST(candidates_keep_to_the_iterations)
{
    const struct op *op = op_list[_i];
    struct gpu_device device;
    made_up_device(&device);
    for (uint64_t seed = 0; seed < 20 && op->iterations; seed++) {
        const struct op_call call = draw_call(op, seed);
        for (uint32_t i = 0; i < op->candidate_count; i++) {
            const struct op_candidate *candidate = &op->candidates[i];
            device.limits.loop_iterations = UINT32_MAX;
            uint64_t iterations = op->iterations(&call, candidate);
            ck_assert_uint_gt(iterations, 0);
            if (!op_satisfies(&device, &call, candidate))
                continue;
            device.limits.loop_iterations = (uint32_t)iterations;
            ck_assert(op_satisfies(&device, &call, candidate));
            device.limits.loop_iterations--;
            ck_assert(!op_satisfies(&device, &call, candidate));
        }
        device.limits.loop_iterations = 0;
        ck_assert_ptr_null(op_choose(&device, &call));
    }
}
END_TEST

/* Every op runs on a device that has no more than Vulkan promises. */
START_TEST(every_op_runs_on_the_least_device)
{
    struct gpu_device device;
    made_up_device(&device);
    ck_assert_ok(gpu_limits_lower(test_logger(), presets[0], &device.limits, &device.features));
    for (uint32_t i = 0; i < op_count; i++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            const struct op_call call = draw_call(op_list[i], seed);
            ck_assert_msg(op_satisfies(&device, &call, op_choose(&device, &call)), "%s, seed %u",
                          op_list[i]->name, (unsigned)seed);
        }
    }
}
END_TEST

Suite *limits_suite(void)
{
    Suite *suite = suite_create("limits");
    TCase *rules = tcase_create("rules");
    tcase_add_loop_test(rules, text_is_read, 0, ARRAY_SIZE(texts));
    tcase_add_test(rules, text_is_applied);
    tcase_add_loop_test(rules, candidates_keep_to_the_iterations, 0, (int)op_count);
    tcase_add_loop_test(rules, preset_is_applied, 0, ARRAY_SIZE(presets));
    tcase_add_test(rules, shared_memory_is_told);
    tcase_add_loop_test(rules, every_module_tells_its_shared_memory, 0, SHADER_COUNT);
    tcase_add_test(rules, changed_module_does_no_harm);
    tcase_add_test(rules, candidates_keep_to_the_limits);
    tcase_add_test(rules, every_op_runs_on_the_least_device);
    suite_add_tcase(suite, rules);
    return suite;
}
