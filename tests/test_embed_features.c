/* embed_features: what adamra asks a program's device for, and uses of it. */
#include "context.h"
#include "gpu/instance.h"
#include "host.h"
#include <string.h>

static adamra_device_info device_info(struct host *host)
{
    adamra_device_info info;
    adamra_context *context = host_context(host);
    ck_assert_int_eq(adamra_context_device(context, &info), ADAMRA_OK);
    adamra_context_destroy(context);
    return info;
}

START_TEST(only_what_is_enabled_is_used)
{
    static const enum host_features choices[] = {HOST_FEATURES, HOST_PLAIN, HOST_VULKAN_1_2,
                                                 HOST_MERGED};
    bool storage16 = false, float16 = false;
    for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
        struct host host;
        host_init(&host, choices[i]);
        adamra_device_info info = device_info(&host);
        bool on = choices[i] != HOST_PLAIN;
        if (i == 0) {
            storage16 = host.features.storage16.storageBuffer16BitAccess;
            float16 = host.features.float16.shaderFloat16;
        }
        ck_assert_int_eq(info.storage_16bit, on && storage16);
        ck_assert_int_eq(info.float16, on && float16);
        ck_assert_uint_eq(info.index, UINT32_MAX);
        ck_assert_uint_gt(strlen(info.name), 0);
        host_finish(&host);
    }
}
END_TEST

START_TEST(features_are_appended_to_the_callers_chain)
{
    struct host host;
    VkPhysicalDeviceVariablePointersFeatures mine = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VARIABLE_POINTERS_FEATURES};
    adamra_vulkan_features features;
    host_init(&host, HOST_PLAIN);
    ck_assert_int_eq(adamra_vulkan_get_features(host.vulkan.get_instance_proc_addr,
                                                host.vulkan.instance, host.vulkan.physical_device,
                                                &mine, &features),
                     ADAMRA_OK);
    ck_assert_ptr_eq(features.chain, &features.storage16);
    const VkBaseOutStructure *last = features.chain;
    while (last->pNext)
        last = last->pNext;
    ck_assert_ptr_eq(last, &mine);
    VkPhysicalDevice16BitStorageFeatures ours = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES, .pNext = &mine};
    ck_assert_int_eq(adamra_vulkan_get_features(host.vulkan.get_instance_proc_addr,
                                                host.vulkan.instance, host.vulkan.physical_device,
                                                &ours, &features),
                     ADAMRA_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(features.error, "next: expected no struct"));
    ck_assert_int_eq(adamra_vulkan_get_features(NULL, VK_NULL_HANDLE, host.vulkan.physical_device,
                                                NULL, &features),
                     ADAMRA_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(features.error, "instance, physical_device: expected handles"));
    host_finish(&host);
}
END_TEST

static void ask(const struct host *host, void *next, adamra_vulkan_features *features)
{
    ck_assert_int_eq(adamra_vulkan_get_features(host->vulkan.get_instance_proc_addr,
                                                host->vulkan.instance, host->vulkan.physical_device,
                                                next, features),
                     ADAMRA_OK);
}

/* Beside the structs of Vulkan's versions none may stand that they have taken up. */
START_TEST(features_are_merged_into_the_structs_of_versions)
{
    struct host host;
    VkPhysicalDeviceVulkan13Features vulkan13 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, .maintenance4 = VK_TRUE};
    VkPhysicalDeviceVulkan12Features vulkan12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .pNext = &vulkan13,
        .timelineSemaphore = VK_TRUE};
    VkPhysicalDeviceVulkan11Features vulkan11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
        .pNext = &vulkan12,
        .multiview = VK_TRUE};
    adamra_vulkan_features apart, merged;
    host_init(&host, HOST_PLAIN);
    ask(&host, NULL, &apart);
    ask(&host, &vulkan11, &merged);
    ck_assert_uint_eq(vulkan11.storageBuffer16BitAccess, apart.storage16.storageBuffer16BitAccess);
    ck_assert_uint_eq(vulkan12.shaderFloat16, apart.float16.shaderFloat16);
    ck_assert_uint_eq(vulkan12.vulkanMemoryModel, apart.memory_model.vulkanMemoryModel);
    ck_assert_uint_eq(vulkan13.subgroupSizeControl, apart.subgroup.subgroupSizeControl);
    ck_assert_uint_eq(vulkan13.computeFullSubgroups, apart.subgroup.computeFullSubgroups);
    ck_assert(vulkan11.multiview && vulkan12.timelineSemaphore && vulkan13.maintenance4);
    uint32_t own = 0;
    for (const VkBaseOutStructure *link = merged.chain; link; link = link->pNext)
        own += (const void *)link == &vulkan11 || (const void *)link == &vulkan12 ||
               (const void *)link == &vulkan13;
    ck_assert_uint_eq(own, 3);
    for (const VkBaseOutStructure *link = merged.chain; (const void *)link != &vulkan11;
         link = link->pNext)
        ck_assert((const void *)link == &merged.matrix_nv ||
                  (const void *)link == &merged.matrix_khr);
    host_finish(&host);
}
END_TEST

static bool keeps_int64(const VkDeviceCreateInfo *info)
{
    struct gpu_features features = {.int64 = true};
    gpu_enable_keep(info, &features);
    return features.int64;
}

/* A feature of Vulkan 1.0: where a caller says it is enabled, of two places. */
START_TEST(int64_is_enabled_in_either_place)
{
    struct host host;
    adamra_vulkan_features features;
    VkPhysicalDeviceFeatures2 mine = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    VkPhysicalDeviceFeatures core = {0};
    const VkDeviceCreateInfo chained = {.pNext = &mine}, plain = {.pEnabledFeatures = &core};
    ck_assert(!keeps_int64(NULL) && !keeps_int64(&chained) && !keeps_int64(&plain));
    core.shaderInt64 = VK_TRUE;
    ck_assert(keeps_int64(&plain));
    host_init(&host, HOST_PLAIN);
    ask(&host, &mine, &features);
    VkPhysicalDeviceFeatures2 present = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    host.own.instance.GetPhysicalDeviceFeatures2(host.own.physical, &present);
    ck_assert_uint_eq(mine.features.shaderInt64, present.features.shaderInt64);
    ck_assert_int_eq(keeps_int64(&chained), present.features.shaderInt64);
    host_finish(&host);
}
END_TEST

Suite *embed_features_suite(void)
{
    Suite *suite = suite_create("embed_features");
    TCase *features = tcase_create("features");
    tcase_set_timeout(features, 300);
    tcase_add_test(features, only_what_is_enabled_is_used);
    tcase_add_test(features, features_are_appended_to_the_callers_chain);
    tcase_add_test(features, features_are_merged_into_the_structs_of_versions);
    tcase_add_test(features, int64_is_enabled_in_either_place);
    suite_add_tcase(suite, features);
    return suite;
}
