/* Cooperative matrices: what Vulkan's headers may lack of VK_KHR_cooperative_matrix, and which
 * matrices a device multiplies. */
#ifndef GPU_MATRICES_H
#define GPU_MATRICES_H

#include "gpu/instance.h"

#define MATRIX_EXTENSION_KHR "VK_KHR_cooperative_matrix"
#define MATRIX_EXTENSION_NV  "VK_NV_cooperative_matrix"
#define MATRIX_FEATURES_KHR  ((VkStructureType)1000506000)

#define MATRIX_PROPERTIES_KHR ((VkStructureType)1000506002)
#define MATRIX_PROPERTIES_NV  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_NV

/* Of either extension: both are laid out so. */
struct gpu_matrix_properties {
    VkStructureType sType;
    void *pNext;
    VkShaderStageFlags stages;
};

#ifndef VK_KHR_cooperative_matrix
#define VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR ((VkStructureType)1000506001)

typedef uint32_t VkComponentTypeKHR;
typedef uint32_t VkScopeKHR;
#define VK_COMPONENT_TYPE_FLOAT16_KHR 0
#define VK_COMPONENT_TYPE_FLOAT32_KHR 1
#define VK_SCOPE_SUBGROUP_KHR         3

typedef struct VkCooperativeMatrixPropertiesKHR {
    VkStructureType sType;
    void *pNext;
    uint32_t MSize, NSize, KSize;
    VkComponentTypeKHR AType, BType, CType, ResultType;
    VkBool32 saturatingAccumulation;
    VkScopeKHR scope;
} VkCooperativeMatrixPropertiesKHR;

typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(
    VkPhysicalDevice physical, uint32_t *count, VkCooperativeMatrixPropertiesKHR *properties);
#endif

/* Fills features->matrices_nv and matrices_khr, as far as the device has the extensions. */
void gpu_matrices_query(const struct gpu_instance *instance, VkPhysicalDevice physical,
                        const struct gpu_extensions *present, struct gpu_features *features);

#endif
