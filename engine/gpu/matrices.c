/* Which cooperative matrices a device multiplies: halves with sums in f32, held by a subgroup. */
#include "gpu/matrices.h"

#define MAX_LISTED 128

static void add(struct gpu_matrices *matrices, uint32_t m, uint32_t n, uint32_t k)
{
    if (matrices->count == GPU_MAX_MATRICES || m > 255 || n > 255 || k > 255)
        return;
    uint8_t *size = matrices->sizes[matrices->count++];
    size[0] = (uint8_t)m;
    size[1] = (uint8_t)n;
    size[2] = (uint8_t)k;
}

static void query_khr(const struct gpu_instance *instance, VkPhysicalDevice physical,
                      struct gpu_matrices *matrices)
{
    VkCooperativeMatrixPropertiesKHR list[MAX_LISTED];
    uint32_t count = MAX_LISTED;
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR query =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)instance->get_proc(
            instance->handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    for (uint32_t i = 0; i < MAX_LISTED; i++)
        list[i] = (VkCooperativeMatrixPropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR};
    if (!query || query(physical, &count, list) < 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (list[i].AType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            list[i].BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            list[i].CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
            list[i].ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
            list[i].scope == VK_SCOPE_SUBGROUP_KHR)
            add(matrices, list[i].MSize, list[i].NSize, list[i].KSize);
}

static void query_nv(const struct gpu_instance *instance, VkPhysicalDevice physical,
                     struct gpu_matrices *matrices)
{
    VkCooperativeMatrixPropertiesNV list[MAX_LISTED];
    uint32_t count = MAX_LISTED;
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesNV query =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesNV)instance->get_proc(
            instance->handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesNV");
    for (uint32_t i = 0; i < MAX_LISTED; i++)
        list[i] = (VkCooperativeMatrixPropertiesNV){
            .sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV};
    if (!query || query(physical, &count, list) < 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (list[i].AType == VK_COMPONENT_TYPE_FLOAT16_NV &&
            list[i].BType == VK_COMPONENT_TYPE_FLOAT16_NV &&
            list[i].CType == VK_COMPONENT_TYPE_FLOAT32_NV &&
            list[i].DType == VK_COMPONENT_TYPE_FLOAT32_NV && list[i].scope == VK_SCOPE_SUBGROUP_NV)
            add(matrices, list[i].MSize, list[i].NSize, list[i].KSize);
}

/* Whether compute shaders may use them; `type` is that of the extension's properties. */
static bool in_compute(const struct gpu_instance *instance, VkPhysicalDevice physical,
                       VkStructureType type)
{
    struct gpu_matrix_properties matrix = {.sType = type};
    VkPhysicalDeviceProperties2 core = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                        .pNext = &matrix};
    instance->GetPhysicalDeviceProperties2(physical, &core);
    return matrix.stages & VK_SHADER_STAGE_COMPUTE_BIT;
}

void gpu_matrices_query(const struct gpu_instance *instance, VkPhysicalDevice physical,
                        const struct gpu_extensions *present, struct gpu_features *features)
{
    features->matrices_khr.count = features->matrices_nv.count = 0;
    if (gpu_extension_present(present, MATRIX_EXTENSION_KHR) &&
        in_compute(instance, physical, MATRIX_PROPERTIES_KHR))
        query_khr(instance, physical, &features->matrices_khr);
    if (gpu_extension_present(present, MATRIX_EXTENSION_NV) &&
        in_compute(instance, physical, MATRIX_PROPERTIES_NV))
        query_nv(instance, physical, &features->matrices_nv);
}

bool gpu_matrices_hold(const struct gpu_matrices *matrices, uint32_t m, uint32_t n, uint32_t k)
{
    for (uint32_t i = 0; i < matrices->count; i++)
        if (matrices->sizes[i][0] == m && matrices->sizes[i][1] == n && matrices->sizes[i][2] == k)
            return true;
    return false;
}
