/* What the files behind device creation share: loader, instance, physical devices, selection. */
#ifndef GPU_INSTANCE_H
#define GPU_INSTANCE_H

#include "gpu/gpu.h"

/* ---- loader.c ---- */

/* Opens the Vulkan loader and finds its vkGetInstanceProcAddr. STATUS_NO_DEVICE without one.
 * get_proc: to be used in place of the loader's; NULL: the system's. */
status gpu_loader_open(struct logger *log, PFN_vkGetInstanceProcAddr get_proc,
                       struct gpu_instance *instance);
/* Loads the functions of instance->handle; STATUS_NO_DEVICE when one is missing. */
status gpu_loader_instance(struct logger *log, struct gpu_instance *instance);
/* Loads the device functions that the engine calls. */
status gpu_loader_device(struct gpu_device *device);
void gpu_loader_close(struct gpu_instance *instance);

/* ---- instance.c ---- */

/* Opens the loader and makes an instance. With `validated` not NULL the validation layer is
 * enabled when it is installed, and reports to that device. Closes all again on failure. */
status gpu_instance_init(struct logger *log, PFN_vkGetInstanceProcAddr get_proc,
                         struct gpu_device *validated, struct gpu_instance *instance);
/* Takes over an instance of the caller's, which gpu_instance_finish leaves alone. */
status gpu_instance_adopt(struct logger *log, PFN_vkGetInstanceProcAddr get_proc, VkInstance handle,
                          struct gpu_instance *instance);
void gpu_instance_finish(struct gpu_instance *instance);

/* ---- physical.c ---- */

struct gpu_physical {
    VkPhysicalDevice handle;
    struct gpu_info info;
};

/* The usable devices, duplicates removed; *list is malloc'ed, NULL when there are none. */
status gpu_physical_list(struct logger *log, const struct gpu_instance *instance,
                         struct gpu_physical **list, uint32_t *count);

/* The family to use: it computes, and counts time where one of them does. */
struct gpu_family {
    uint32_t index; /* UINT32_MAX: none computes */
    uint32_t timestamp_bits;
};
struct gpu_family gpu_physical_family(const struct gpu_instance *instance,
                                      VkPhysicalDevice physical);

/* The family of that index; .index is UINT32_MAX when there is none or it does not compute. */
struct gpu_family gpu_physical_family_at(const struct gpu_instance *instance,
                                         VkPhysicalDevice physical, uint32_t index);

/* Extension names of a device or an instance. */
struct gpu_extensions {
    VkExtensionProperties *list;
    uint32_t count;
};
/* The extensions of a device; free(list) them. */
status gpu_physical_extensions(struct logger *log, const struct gpu_instance *instance,
                               VkPhysicalDevice physical, struct gpu_extensions *out);
bool gpu_extension_present(const struct gpu_extensions *extensions, const char *name);

/* ---- info.c ---- */

/* Fills all of *info but index. */
void gpu_info_query(const struct gpu_instance *instance, VkPhysicalDevice physical,
                    const struct gpu_extensions *extensions, struct gpu_info *info);

/* ---- enable.c ---- */

#define HARDWARE_BUFFERS "VK_ANDROID_external_memory_android_hardware_buffer"

/* VkPhysicalDeviceCooperativeMatrixFeatures: NV's and KHR's differ in sType only. */
struct gpu_matrix_features {
    VkStructureType sType;
    void *pNext;
    VkBool32 matrix, robust_access;
};

/* What to make a device with, so that the engine can use all it knows. Points into itself. */
struct gpu_enable {
    const char *extensions[11]; /* static text */
    uint32_t extension_count;
    void *chain; /* the structs below that the device knows, for VkDeviceCreateInfo.pNext */
    VkPhysicalDeviceFeatures core; /* for pEnabledFeatures */
    VkPhysicalDevice16BitStorageFeatures storage16;
    VkPhysicalDeviceShaderFloat16Int8Features float16;
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT subgroup;
    struct gpu_matrix_features matrix_nv, matrix_khr;
    VkPhysicalDeviceVulkanMemoryModelFeaturesKHR memory_model; /* of shaders with matrices */
};
void gpu_enable_query(const struct gpu_instance *instance, VkPhysicalDevice physical,
                      const struct gpu_extensions *present, struct gpu_enable *out);
/* Switches off what a device was not made with; NULL: with nothing. */
void gpu_enable_keep(const VkDeviceCreateInfo *info, struct gpu_features *features);

/* ---- import.c ---- */

/* Whether buffers of that usage can have memory that was made elsewhere as that kind. */
bool gpu_import_possible(const struct gpu_instance *instance, VkPhysicalDevice physical,
                         VkBufferUsageFlags usage, VkExternalMemoryHandleTypeFlagBits handle_type);

/* ---- select.c ---- */

/* The device that `select` asks for (struct gpu_device_params), or NULL. */
const struct gpu_physical *gpu_select(const struct gpu_physical *list, uint32_t count,
                                      const char *select);
/* Reports STATUS_NO_DEVICE with what was asked (NULL: nothing) and what there is. */
status gpu_select_fail(struct logger *log, const struct gpu_physical *list, uint32_t count,
                       const char *select);

#endif
