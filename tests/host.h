/* host: a program with Vulkan of its own, in which adamra is a guest: instance, device, queue,
 * buffers, command buffers, and a compute pipeline (samples/embed_vulkan.comp). A failure fails the
 * test that asked. */
#ifndef HOST_H
#define HOST_H

#include "gpu/gpu.h"
#include "support.h"

#include "adamra_vulkan.h" /* after volk.h, which brings Vulkan without prototypes */

enum host_features {
    HOST_PLAIN,      /* nothing optional is enabled */
    HOST_FEATURES,   /* all that adamra_vulkan_get_features names */
    HOST_VULKAN_1_2, /* the same features in the structs of Vulkan 1.1 and 1.2 */
    HOST_MERGED      /* again: adamra adds them to those structs, which the program brings */
};

struct host {
    struct gpu_device own; /* instance, functions and device of the program: no engine runs on it */
    adamra_vulkan vulkan;  /* what adamra is given */
    adamra_vulkan_features features;
    VkPhysicalDeviceVulkan11Features vulkan11;
    VkPhysicalDeviceVulkan12Features vulkan12;
    VkDeviceQueueCreateInfo queue_info;
    VkDeviceCreateInfo device_info;
    VkCommandPool commands;
    VkDescriptorPool descriptors;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    uint32_t locked, locks, unlocks, nested; /* how the queue's lock was used */
};

void host_init(struct host *host, enum host_features features);
/* Frees all; fails when validation found an error. */
void host_finish(struct host *host);
/* A context on the host's objects. */
adamra_context *host_context(struct host *host);

/* A buffer that the host sees. */
struct host_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    void *mapped;
    uint64_t size;
    VkBufferUsageFlags usage;
};
#define HOST_ALL_USAGES                                                                            \
    (VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |               \
     VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT)
struct host_buffer host_buffer(struct host *host, uint64_t size, VkBufferUsageFlags usage);
void host_buffer_finish(struct host *host, struct host_buffer *buffer);
/* The same buffer for adamra. */
adamra_buffer *host_wrap(adamra_context *context, const struct host_buffer *buffer);

VkCommandBuffer host_begin(struct host *host);
/* A dispatch of the program: stage 0 makes up numbers [first, first + count), stage 1 writes the
 * doubles of them to results. No barriers. */
void host_dispatch(struct host *host, VkCommandBuffer command, uint32_t stage,
                   const struct host_buffer *numbers, uint32_t first, uint32_t count,
                   const struct host_buffer *results);
void host_end(struct host *host, VkCommandBuffer command);
/* Submits and waits; may be called again. */
void host_submit(struct host *host, VkCommandBuffer command);
void host_free(struct host *host, VkCommandBuffer command);
/* What stage 0 writes to number i. */
float host_number(uint32_t i);

#endif
