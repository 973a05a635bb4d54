/* Cooperative matrices without a device that has them: made up functions say what there is. */
#include "gpu/matrices.h"
#include "gpu_cases.h"
#include "ops/ops.h"
#include <string.h>

static VKAPI_ATTR VkResult VKAPI_CALL list_khr(VkPhysicalDevice physical, uint32_t *count,
                                               VkCooperativeMatrixPropertiesKHR *out)
{
    static const uint32_t rows[][8] = {/* M, N, K, types of A, B, C, result; scope */
                                       {16, 16, 16, 0, 0, 0, 0, 3}, {16, 16, 16, 0, 0, 1, 1, 3},
                                       {8, 16, 16, 0, 0, 1, 1, 3},  {16, 8, 8, 0, 0, 1, 1, 2},
                                       {16, 16, 32, 3, 3, 5, 5, 3}, {512, 16, 16, 0, 0, 1, 1, 3}};
    (void)physical;
    ck_assert_uint_ge(*count, ARRAY_SIZE(rows));
    *count = ARRAY_SIZE(rows);
    for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ck_assert_int_eq(out[i].sType, VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR);
        memcpy(&out[i].MSize, rows[i], 7 * sizeof(uint32_t));
        out[i].scope = rows[i][7];
    }
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL list_nv(VkPhysicalDevice physical, uint32_t *count,
                                              VkCooperativeMatrixPropertiesNV *out)
{
    static const uint32_t rows[][8] = {{16, 8, 16, 0, 0, 1, 1, 3}, {16, 16, 16, 0, 0, 1, 1, 3}};
    (void)physical;
    *count = ARRAY_SIZE(rows);
    for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++)
        memcpy(&out[i].MSize, rows[i], 8 * sizeof(uint32_t));
    return VK_SUCCESS;
}

static VkShaderStageFlags stages; /* in which shaders may use matrices */

static VKAPI_ATTR void VKAPI_CALL tell_stages(VkPhysicalDevice physical,
                                              VkPhysicalDeviceProperties2 *out)
{
    struct gpu_matrix_properties *matrix = out->pNext;
    (void)physical;
    ck_assert(matrix->sType == MATRIX_PROPERTIES_KHR || matrix->sType == MATRIX_PROPERTIES_NV);
    matrix->stages = stages;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL find(VkInstance instance, const char *name)
{
    (void)instance;
    if (!strcmp(name, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"))
        return (PFN_vkVoidFunction)list_khr;
    if (!strcmp(name, "vkGetPhysicalDeviceCooperativeMatrixPropertiesNV"))
        return (PFN_vkVoidFunction)list_nv;
    return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL find_nothing(VkInstance instance, const char *name)
{
    (void)instance;
    (void)name;
    return NULL;
}

START_TEST(matrices_of_halves_are_found)
{
    VkExtensionProperties both[] = {{MATRIX_EXTENSION_KHR, 1}, {MATRIX_EXTENSION_NV, 1}};
    const struct gpu_extensions all = {both, 2}, khr = {both, 1}, none = {both, 0};
    struct gpu_instance instance = {.get_proc = find,
                                    .GetPhysicalDeviceProperties2 = tell_stages};
    struct gpu_features features = {0};
    stages = VK_SHADER_STAGE_ALL_GRAPHICS | VK_SHADER_STAGE_COMPUTE_BIT;
    gpu_matrices_query(&instance, VK_NULL_HANDLE, &all, &features);
    ck_assert_uint_eq(features.matrices_khr.count, 2);
    ck_assert(gpu_matrices_hold(&features.matrices_khr, 16, 16, 16));
    ck_assert(gpu_matrices_hold(&features.matrices_khr, 8, 16, 16));
    ck_assert(!gpu_matrices_hold(&features.matrices_khr, 16, 8, 8));
    ck_assert_uint_eq(features.matrices_nv.count, 2);
    ck_assert(gpu_matrices_hold(&features.matrices_nv, 16, 8, 16));
    gpu_matrices_query(&instance, VK_NULL_HANDLE, &khr, &features);
    ck_assert_uint_eq(features.matrices_nv.count, 0);
    gpu_matrices_query(&instance, VK_NULL_HANDLE, &none, &features);
    ck_assert_uint_eq(features.matrices_khr.count, 0);
    stages = VK_SHADER_STAGE_ALL_GRAPHICS;
    gpu_matrices_query(&instance, VK_NULL_HANDLE, &all, &features);
    ck_assert_uint_eq(features.matrices_khr.count + features.matrices_nv.count, 0);
    stages = VK_SHADER_STAGE_COMPUTE_BIT;
    instance.get_proc = find_nothing;
    gpu_matrices_query(&instance, VK_NULL_HANDLE, &all, &features);
    ck_assert_uint_eq(features.matrices_khr.count + features.matrices_nv.count, 0);
}
END_TEST

/* Whether a GPU can run matrices of 16 x 16 on subgroups of 32, by what it offers. */
static const struct {
    bool fits;
    enum element_type type;
    uint32_t size, least, most, count; /* of subgroups; how many a group may have */
    bool matrix, float16;
} choices[] = {
    {true, ELEMENT_F16, 32, 0, 0, 0, true, true},
    {true, ELEMENT_F16, 64, 32, 64, 4, true, true},
    {true, ELEMENT_F16, 16, 8, 32, 64, true, true},
    {false, ELEMENT_F16, 64, 0, 0, 0, true, true},
    {false, ELEMENT_F16, 16, 8, 16, 64, true, true},
    {false, ELEMENT_F16, 32, 32, 32, 3, true, true},
    {false, ELEMENT_F16, 32, 0, 0, 0, false, true},
    {false, ELEMENT_F16, 32, 0, 0, 0, true, false},
    {false, ELEMENT_F32, 32, 0, 0, 0, true, true},
};

/* They are fit to be tuned there, and nowhere chosen without that. */
START_TEST(matrices_run_where_they_work)
{
    struct gpu_device device = {
        .info.type = GPU_DISCRETE,
        .limits = {.storage_range = 1 << 27,
                   .group_size = {1024, 1024, 64},
                   .group_invocations = 1024,
                   .shared_bytes = 49152,
                   .push_bytes = 128,
                   .storage_buffers = 8,
                   .loop_iterations = UINT32_MAX},
        .features = {.subgroup_size = choices[_i].size,
                     .subgroup_least = choices[_i].least,
                     .subgroup_most = choices[_i].most,
                     .group_subgroups = choices[_i].count,
                     .cooperative_matrix = choices[_i].matrix,
                     .float16 = choices[_i].float16,
                     .matrices_nv = {1, {{16, 16, 16}}}},
    };
    struct op_call call = {
        .op = &op_linear,
        .params.linear = {.rows = 100, .k4 = 8, .n4 = 8, .a_row = 8, .w_row = 8, .c_row = 8}};
    for (uint32_t i = 0; i < op_linear.tensor_count; i++)
        call.tensors[i] = (struct tensor){.type = choices[_i].type, .elements = 3200};
    const struct op_candidate *matrix = op_linear.candidates;
    while (strcmp(matrix->name, "matrix_nv") != 0)
        matrix++;
    ck_assert_int_eq(op_satisfies(&device, &call, matrix), choices[_i].fits);
    ck_assert_str_eq(op_choose(&device, &call)->name, "tile");
}
END_TEST

Suite *matrices_suite(void)
{
    Suite *suite = suite_create("matrices");
    TCase *tests = tcase_create("tests");
    tcase_add_test(tests, matrices_of_halves_are_found);
    tcase_add_loop_test(tests, matrices_run_where_they_work, 0, ARRAY_SIZE(choices));
    suite_add_tcase(suite, tests);
    return suite;
}
