/* gpu_info: what the engine makes of what a driver says, of devices that are made up. */
#include "gpu/matrices.h"
#include "gpu/memory.h"
#include "gpu_cases.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a driver's answers: the real one's, and some of our own ---- */

static struct answers {
    struct gpu_instance real;
    VkPhysicalDeviceType type;
    VkDriverId driver;
    const char *name;
    VkPhysicalDeviceMemoryProperties memory;
    VkBool32 matrices, memory_model;
} said;

static VKAPI_ATTR void VKAPI_CALL say_properties(VkPhysicalDevice physical,
                                                 VkPhysicalDeviceProperties2 *out)
{
    said.real.GetPhysicalDeviceProperties2(physical, out);
    out->properties.deviceType = said.type;
    if (said.name)
        snprintf(out->properties.deviceName, sizeof(out->properties.deviceName), "%s", said.name);
    for (VkBaseOutStructure *link = (void *)out; link; link = link->pNext)
        if (link->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES)
            ((VkPhysicalDeviceDriverProperties *)link)->driverID = said.driver;
}

static VKAPI_ATTR void VKAPI_CALL say_memory(VkPhysicalDevice physical,
                                             VkPhysicalDeviceMemoryProperties2 *out)
{
    (void)physical;
    out->memoryProperties = said.memory;
}

static VKAPI_ATTR void VKAPI_CALL say_features(VkPhysicalDevice physical,
                                               VkPhysicalDeviceFeatures2 *out)
{
    (void)physical;
    for (VkBaseOutStructure *link = out->pNext; link; link = link->pNext)
        if (link->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES)
            ((VkPhysicalDeviceVulkanMemoryModelFeatures *)link)->vulkanMemoryModel =
                said.memory_model;
        else if (link->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV ||
                 link->sType == MATRIX_FEATURES_KHR)
            ((struct gpu_matrix_features *)link)->matrix = said.matrices;
}

/* The real device's extensions, its budget aside: heaps are ours. */
static struct gpu_info ask(void)
{
    struct gpu_instance instance = said.real;
    struct gpu_extensions extensions;
    struct gpu_info info;
    instance.GetPhysicalDeviceProperties2 = say_properties;
    instance.GetPhysicalDeviceMemoryProperties2 = say_memory;
    ck_assert_ok(
        gpu_physical_extensions(test_logger(), &instance, test_device->physical, &extensions));
    for (uint32_t i = 0; i < extensions.count; i++)
        if (!strcmp(extensions.list[i].extensionName, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME))
            extensions.list[i].extensionName[0] = 0;
    gpu_info_query(&instance, test_device->physical, &extensions, &info);
    free(extensions.list);
    return info;
}

static void setup(void)
{
    gpu_case_setup();
    said = (struct answers){.real = test_device->instance,
                            .type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
                            .driver = VK_DRIVER_ID_MESA_LLVMPIPE,
                            .memory = test_device->memory->properties};
}

/* ---- memory ---- */

#define MIB (UINT64_C(1) << 20)

/* MiB of two heaps of the device; whether the second one, which alone is mapped, is its memory. */
static const struct {
    uint64_t hidden, mapped;
    VkPhysicalDeviceType type;
    bool unified;
} heaps[] = {
    {0, 8192, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, true},
    {3840, 256, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, false},
    {3840, 3840, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, true},
    {0, 8192, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, false},
    {0, 2048, VK_PHYSICAL_DEVICE_TYPE_CPU, true},
};

START_TEST(a_window_is_not_the_memory)
{
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    said.type = heaps[_i].type;
    said.memory = (VkPhysicalDeviceMemoryProperties){
        .memoryTypeCount = 2,
        .memoryTypes = {{local, 0},
                        {local | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                             VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                         1}},
        .memoryHeapCount = 2,
        .memoryHeaps = {{heaps[_i].hidden * MIB, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT},
                        {heaps[_i].mapped * MIB, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}}};
    const struct gpu_info info = ask();
    ck_assert_int_eq(info.features.unified, heaps[_i].unified);
    ck_assert_uint_eq(info.memory_bytes, size_max(heaps[_i].hidden, heaps[_i].mapped) * MIB);
}
END_TEST

/* ---- drivers ---- */

static const struct {
    VkDriverId driver;
    const char *name;
    bool ends_loops, packs_half;
} drivers[] = {
    {VK_DRIVER_ID_NVIDIA_PROPRIETARY, "NVIDIA H200", false, true},
    {VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA, "Intel(R) Arc(tm) A770 Graphics (DG2)", false, true},
    {VK_DRIVER_ID_MESA_RADV, "AMD Radeon RX 6800 (RADV NAVI21)", false, false},
    {VK_DRIVER_ID_MESA_TURNIP, "Turnip Adreno (TM) 690", false, false},
    {VK_DRIVER_ID_MESA_LLVMPIPE, "llvmpipe (LLVM 15.0.6, 256 bits)", true, false},
    /* a driver that we do not know, of a virtual machine whose host has lavapipe */
    {(VkDriverId)0x7fff, "Virtio-GPU Venus (llvmpipe (LLVM 15.0.6, 256 bits))", true, false},
};

START_TEST(drivers_are_told_apart)
{
    said.driver = drivers[_i].driver;
    said.name = drivers[_i].name;
    const struct gpu_info info = ask();
    ck_assert_int_eq(info.limits.loop_iterations < UINT32_MAX, drivers[_i].ends_loops);
    ck_assert_int_eq(info.features.pack_half, drivers[_i].packs_half);
}
END_TEST

/* ---- matrices ---- */

static bool in_chain(const struct gpu_enable *enable, const void *wanted)
{
    for (const VkBaseOutStructure *link = enable->chain; link; link = link->pNext)
        if (link == wanted)
            return true;
    return false;
}

/* Their shaders declare it in either dialect. */
START_TEST(matrices_need_the_memory_model)
{
    static const char *const dialects[] = {MATRIX_EXTENSION_NV, MATRIX_EXTENSION_KHR};
    VkExtensionProperties list[2] = {{VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME, 1}};
    const struct gpu_extensions present = {list, 2};
    struct gpu_instance instance = {.GetPhysicalDeviceFeatures2 = say_features};
    const bool nv = _i == 0;
    snprintf(list[1].extensionName, sizeof(list[1].extensionName), "%s", dialects[_i]);
    said.matrices = VK_TRUE;
    for (uint32_t model = 0; model <= 1; model++) {
        struct gpu_enable enable;
        struct gpu_features features = {
            .cooperative_matrix = true, .matrices_nv.count = nv, .matrices_khr.count = !nv};
        said.memory_model = model;
        gpu_enable_query(&instance, VK_NULL_HANDLE, &present, &enable);
        ck_assert(in_chain(&enable, &enable.memory_model));
        ck_assert_uint_eq(enable.memory_model.vulkanMemoryModel, model);
        gpu_enable_keep(&(VkDeviceCreateInfo){.pNext = enable.chain,
                                              .enabledExtensionCount = enable.extension_count,
                                              .ppEnabledExtensionNames = enable.extensions},
                        &features);
        ck_assert_int_eq(features.cooperative_matrix, model);
        ck_assert_uint_eq(features.matrices_nv.count, nv && model);
        ck_assert_uint_eq(features.matrices_khr.count, !nv && model);
    }
}
END_TEST

Suite *gpu_info_suite(void)
{
    Suite *suite = suite_create("gpu_info");
    TCase *tests = tcase_create("answers");
    tcase_add_checked_fixture(tests, setup, gpu_case_teardown);
    tcase_add_loop_test(tests, a_window_is_not_the_memory, 0, ARRAY_SIZE(heaps));
    tcase_add_loop_test(tests, drivers_are_told_apart, 0, ARRAY_SIZE(drivers));
    tcase_add_loop_test(tests, matrices_need_the_memory_model, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
