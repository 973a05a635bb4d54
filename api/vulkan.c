/* The caller's Vulkan objects. */
#include "context.h"
#include "gpu/instance.h"
#include "adamra_vulkan.h" /* after volk.h, which brings Vulkan without prototypes */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

void vulkan_adopt(const adamra_vulkan *vulkan, struct gpu_external *external,
                  struct gpu_device_params *params)
{
    *external = (struct gpu_external){.instance = vulkan->instance,
                                      .api_version = vulkan->api_version,
                                      .physical = vulkan->physical_device,
                                      .device = vulkan->device,
                                      .device_info = vulkan->device_info,
                                      .queue = vulkan->queue,
                                      .family = vulkan->queue_family,
                                      .lock = vulkan->lock,
                                      .unlock = vulkan->unlock,
                                      .user = vulkan->user};
    params->external = external;
    params->get_proc = vulkan->get_instance_proc_addr;
}

/* ---- what to enable ---- */

/* The engine's findings in the caller's struct, which then points into itself. */
static void export_features(struct gpu_enable *enable, void *next, adamra_vulkan_features *out)
{
    static_assert(sizeof(enable->matrix_nv) <= sizeof(out->matrix_nv), "room");
    static_assert(sizeof(enable->matrix_khr) <= sizeof(out->matrix_khr), "room");
    static_assert(sizeof(enable->extensions) <= sizeof(out->extensions), "room");
    *out = (adamra_vulkan_features){.extension_count = enable->extension_count, .chain = next};
    memcpy(out->extensions, enable->extensions, sizeof(enable->extensions));
    if (enable->memory_model.sType) {
        out->memory_model = enable->memory_model;
        out->memory_model.pNext = out->chain;
        out->chain = &out->memory_model;
    }
    if (enable->matrix_nv.sType) {
        enable->matrix_nv.pNext = out->chain;
        memcpy(&out->matrix_nv, &enable->matrix_nv, sizeof(enable->matrix_nv));
        out->chain = &out->matrix_nv;
    }
    if (enable->matrix_khr.sType) {
        enable->matrix_khr.pNext = out->chain;
        memcpy(&out->matrix_khr, &enable->matrix_khr, sizeof(enable->matrix_khr));
        out->chain = &out->matrix_khr;
    }
    if (enable->subgroup.sType) {
        out->subgroup = enable->subgroup;
        out->subgroup.pNext = out->chain;
        out->chain = &out->subgroup;
    }
    if (enable->float16.sType) {
        out->float16 = enable->float16;
        out->float16.pNext = out->chain;
        out->chain = &out->float16;
    }
    out->storage16 = enable->storage16;
    out->storage16.pNext = out->chain;
    out->chain = &out->storage16;
}

adamra_status adamra_vulkan_get_features(PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                                         VkInstance instance, VkPhysicalDevice physical_device,
                                         void *next, adamra_vulkan_features *out)
{
    struct gpu_instance functions;
    struct gpu_extensions present;
    struct gpu_enable enable;
    if (!instance || !physical_device || !out)
        return ADAMRA_INVALID_ARGUMENT;
    *out = (adamra_vulkan_features){.chain = next};
    status result = gpu_instance_adopt(NULL, get_instance_proc_addr, instance, &functions);
    if (result)
        return (adamra_status)result;
    result = gpu_physical_extensions(NULL, &functions, physical_device, &present);
    if (!result) {
        gpu_enable_query(&functions, physical_device, &present, &enable);
        export_features(&enable, next, out);
        free(present.list);
    }
    gpu_instance_finish(&functions);
    return (adamra_status)result;
}
