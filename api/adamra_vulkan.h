/*
 * adamra inside a program that uses Vulkan itself: on its instance, device and queue, over its
 * buffers, in its command buffers. The rules of adamra.h hold here too.
 */
#ifndef ADAMRA_VULKAN_H
#define ADAMRA_VULKAN_H

#include "adamra.h"
#ifndef VK_VERSION_1_1 /* else volk.h or the caller's own choice */
#include <vulkan/vulkan.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The caller's objects. Needed: Vulkan 1.1 and a queue that computes; no feature, no extension.
 * Used when they are enabled (adamra_vulkan_get_features asks for what there is): shaderFloat16,
 * VK_EXT_external_memory_host, VK_EXT_memory_budget, on Android
 * VK_ANDROID_external_memory_android_hardware_buffer (with VK_EXT_queue_family_foreign),
 * VK_NV_cooperative_matrix, VK_KHR_cooperative_matrix, VK_KHR_vulkan_memory_model,
 * VK_EXT_subgroup_size_control, where the device lists it VK_KHR_portability_subset, and on
 * software devices shaderInt64, without which their fastest kernels do not run, and which is the
 * caller's to enable (VkDeviceCreateInfo.pEnabledFeatures, or a VkPhysicalDeviceFeatures2 in the
 * chain).
 * All of it outlives the context, which destroys none of it. Where pipelines are compiled on
 * several threads (compile_threads), a debug messenger of the instance's may be called on any of
 * them.
 */
struct adamra_vulkan {
    PFN_vkGetInstanceProcAddr get_instance_proc_addr; /* NULL: the system's loader */
    VkInstance instance;
    uint32_t api_version; /* VkApplicationInfo.apiVersion of the instance, at least 1.1 */
    VkPhysicalDevice physical_device;
    VkDevice device;
    const VkDeviceCreateInfo *device_info; /* what the device was made with: enabled features and
                                            * extensions; NULL: none is used */
    VkQueue queue;                         /* of family queue_family */
    uint32_t queue_family;
    /* Called around each use of the queue, for queues that others use too; NULL: nobody does. */
    void (*lock)(void *user);
    void (*unlock)(void *user);
    void *user;
};

/* What to enable on a device so that adamra can use all it knows. Lives as long as the caller
 * wants; the struct must not be moved once filled, since it points into itself. */
typedef struct adamra_vulkan_features {
    const char *extensions[16]; /* static strings */
    uint32_t extension_count;
    void *chain; /* for VkDeviceCreateInfo.pNext: those structs below that the device knows and that
                  * `next` leaves to them, ended by `next` */
    VkPhysicalDevice16BitStorageFeatures storage16;
    VkPhysicalDeviceShaderFloat16Int8Features float16;
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT subgroup;
    VkPhysicalDeviceVulkanMemoryModelFeaturesKHR memory_model;
    union {
        VkBaseOutStructure base;
        uint64_t room[8];
    } matrix_nv, matrix_khr; /* features of cooperative matrices, in either dialect */
    char error[256];         /* why asking failed; "" when it did not */
} adamra_vulkan_features;

/*
 * Asks the device what there is of the above.
 * get_instance_proc_addr: NULL: the system's loader
 * next: the caller's own chain, appended; may be NULL. In a VkPhysicalDeviceFeatures2,
 * VkPhysicalDeviceVulkan11Features, VkPhysicalDeviceVulkan12Features or
 * VkPhysicalDeviceVulkan13Features there, the features that adamra uses are switched on, what else
 * it asks for stays, and the struct for the same feature is not among ours, since Vulkan forbids
 * that. The structs above themselves must not be in it (ADAMRA_INVALID_ARGUMENT; it is then as it
 * was).
 * out: filled; on failure of no use but for `error`
 */
ADAMRA_API adamra_status adamra_vulkan_get_features(
    PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
    VkPhysicalDevice physical_device, void *next, adamra_vulkan_features *out);

/*
 * A buffer of the caller's, of this context's device. It needs usage
 * VK_BUFFER_USAGE_STORAGE_BUFFER_BIT; with UNIFORM_TEXEL_BUFFER and TRANSFER_SRC and _DST too, the
 * fastest kernels run everywhere and adamra_buffer_read and _write work. It outlives what is
 * returned here. Made with VK_SHARING_MODE_EXCLUSIVE, it belongs to the context's queue family
 * whenever it is used: no ownership is transferred here. size: its bytes, at least 16 and a
 * multiple of 4. usage: as it was made.
 */
ADAMRA_API adamra_status adamra_buffer_wrap(adamra_context *context, VkBuffer buffer, uint64_t size,
                                            VkBufferUsageFlags usage, adamra_buffer **out);

#ifdef __ANDROID__
struct AHardwareBuffer;
/*
 * An AHardwareBuffer of format BLOB with usage GPU_DATA_BUFFER, without a copy. Other users of it,
 * the host among them, are done before a run and start after it: it is taken over from
 * VK_QUEUE_FAMILY_FOREIGN_EXT where a run or a recording first uses it, and given back at the end,
 * or where the run is stopped. The driver holds a reference until adamra_buffer_destroy: the caller
 * may release its own after the import. ADAMRA_UNSUPPORTED where
 * VK_ANDROID_external_memory_android_hardware_buffer is not there or not enabled.
 */
ADAMRA_API adamra_status adamra_buffer_import_android(adamra_context *context,
                                                      struct AHardwareBuffer *memory,
                                                      adamra_buffer **out);
#endif

/* What a recorded run needs on the device while its command buffer may execute. */
typedef struct adamra_recording adamra_recording;

/* A place in a buffer. */
typedef struct adamra_place {
    adamra_buffer *buffer;
    uint64_t offset; /* bytes, a multiple of 16 */
} adamra_place;

/* What a recorded run has in device memory of that which a run has in the host's. Each execution
 * reads what is there by then, which is not checked. All tight; a buffer NULL: as `io` says. */
typedef struct adamra_device_io {
    adamra_place key_lengths, query_lengths; /* u32 [B]; over m or n: as m or n */
    adamra_place router_weight, router_bias; /* f32 [G, H, dk], [G, H] */
    adamra_place head, prob;                 /* i32, f32 [B, G, n]: top1's outputs, both or none */
} adamra_device_io;

/*
 * Records a run into a command buffer that is being recorded, outside of a render pass, on a queue
 * of the context's family; submits and waits for nothing.
 * io: q, k, v, given logits and y are buffers; `device` may name more. Lengths and router weights
 * in host memory are read during the call; `head` and `prob` are NULL. The command buffer and its
 * pool are used on the calling thread, during the call only.
 * On failure the command buffer may hold a part of the run: reset it.
 * out: the recording, destroyed after the last execution of the command buffer has ended and before
 * the attention and the buffers of `io`. It may execute again and again, one execution at a time.
 * An attention may have many recordings at once, several in one command buffer too; each has memory
 * of its own beside the caller's, so that frames in flight, one recording each, may overlap, as may
 * adamra_attention_run.
 * Entry: a barrier of ours comes first. It waits for all earlier commands of the queue in the
 * stages COMPUTE_SHADER and TRANSFER, and makes what they wrote (SHADER_WRITE, TRANSFER_WRITE)
 * visible. So inputs that those wrote, or the host before the submission, need nothing more. What
 * any other stage or queue wrote, the caller makes visible to COMPUTE_SHADER / SHADER_READ.
 * Exit: outputs are written by compute shaders. A barrier to later compute and transfer reads and
 * writes, and to reads by the host, comes last; any other reader needs its own, from COMPUTE_SHADER
 * / SHADER_WRITE. Where they are read by a stage that is neither compute nor transfer, or on
 * another queue, the caller has the next execution, which overwrites them, wait for that.
 * State: the bound compute pipeline, all compute descriptor sets and all push constants, those of
 * graphics included, are disturbed. Bind and push again what later commands use.
 * max_submit_ms, progress and adamra_cancel do not apply: the run is part of the caller's
 * submission.
 */
ADAMRA_API adamra_status adamra_attention_record(adamra_attention *attention,
                                                 const adamra_attention_io *io,
                                                 VkCommandBuffer command, adamra_recording **out);
/* Bytes of device memory that the recording holds: scratch and constants; 0 for NULL. */
ADAMRA_API uint64_t adamra_recording_bytes(const adamra_recording *recording);
/* Frees what the recording holds; accepts NULL. */
ADAMRA_API void adamra_recording_destroy(adamra_recording *recording);

/* A model's inputs and outputs in device memory. */
typedef struct adamra_model_io {
    uint32_t batch, n;      /* both at least 1; n <= max_tokens */
    adamra_buffer *tokens;  /* u32 [batch, n]; outside the vocabulary: as token 0, not refused */
    uint64_t tokens_offset; /* bytes, a multiple of 16; so are the others */
    adamra_buffer *lengths; /* u32 [batch], each <= n; NULL: all n */
    uint64_t lengths_offset;
    adamra_buffer *logits; /* f32 [batch, num_labels rounded up to a multiple of 4] */
    uint64_t logits_offset;
} adamra_model_io;

/* The same for a model. Its activations are the recording's: of a batch that device memory has no
 * room for, which adamra_model_run runs in slices, it is ADAMRA_OUT_OF_DEVICE_MEMORY. */
ADAMRA_API adamra_status adamra_model_record(adamra_model *model, const adamra_model_io *io,
                                             VkCommandBuffer command, adamra_recording **out);

#ifdef __cplusplus
}
#endif

#endif
