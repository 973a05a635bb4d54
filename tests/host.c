#include "host.h"
#include "gpu/instance.h"
#include <stdlib.h>
#include <string.h>

static
#include "embed_vulkan.spv.h"

#define ck_assert_vk(result) ck_assert_int_eq(result, VK_SUCCESS)

/* ---- device ---- */

static void lock(void *user)
{
    struct host *host = user;
    host->locks++;
    if (host->locked++)
        host->nested++;
}

static void unlock(void *user)
{
    struct host *host = user;
    host->unlocks++;
    host->locked--;
}

static void make_instance(struct host *host)
{
    uint32_t count = 1;
    host->own.log = test_logger();
    ck_assert_int_eq(gpu_instance_init(test_logger(), NULL, test_validated() ? &host->own : NULL,
                                       &host->own.instance),
                     STATUS_OK);
    VkResult result = host->own.instance.EnumeratePhysicalDevices(host->own.instance.handle, &count,
                                                                  &host->own.physical);
    ck_assert_msg(result >= 0 && count == 1, "no device");
}

/* The chain of VkDeviceCreateInfo for what is asked. */
static void choose_features(struct host *host, enum host_features wanted)
{
    VkDeviceCreateInfo *info = &host->device_info;
    host->vulkan12 = (VkPhysicalDeviceVulkan12Features){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .timelineSemaphore = wanted == HOST_MERGED};
    host->vulkan11 = (VkPhysicalDeviceVulkan11Features){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &host->vulkan12};
    ck_assert_int_eq(adamra_vulkan_get_features(NULL, host->own.instance.handle, host->own.physical,
                                                wanted == HOST_MERGED ? &host->vulkan11 : NULL,
                                                &host->features),
                     ADAMRA_OK);
    if (wanted == HOST_PLAIN)
        return;
    info->pNext = host->features.chain;
    info->enabledExtensionCount = host->features.extension_count;
    info->ppEnabledExtensionNames = host->features.extensions;
    if (wanted != HOST_VULKAN_1_2)
        return;
    host->vulkan12.shaderFloat16 = host->features.float16.shaderFloat16;
    host->vulkan11.storageBuffer16BitAccess = host->features.storage16.storageBuffer16BitAccess;
    info->pNext = &host->vulkan11;
    info->enabledExtensionCount = 0;
}

static void make_device(struct host *host, enum host_features features)
{
    static const float priority = 1;
    struct gpu_device *own = &host->own;
    own->family = gpu_physical_family(&own->instance, own->physical).index;
    host->queue_info =
        (VkDeviceQueueCreateInfo){.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                  .queueFamilyIndex = own->family,
                                  .queueCount = 1,
                                  .pQueuePriorities = &priority};
    host->device_info = (VkDeviceCreateInfo){.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                             .queueCreateInfoCount = 1,
                                             .pQueueCreateInfos = &host->queue_info};
    choose_features(host, features);
    ck_assert_vk(own->instance.CreateDevice(own->physical, &host->device_info, NULL, &own->handle));
    ck_assert_int_eq(gpu_loader_device(own), STATUS_OK);
    own->vk.vkGetDeviceQueue(own->handle, own->family, 0, &own->queue);
    host->vulkan =
        (adamra_vulkan){.get_instance_proc_addr = own->instance.get_proc,
                        .instance = own->instance.handle,
                        .api_version = VK_API_VERSION_1_1,
                        .physical_device = own->physical,
                        .device = own->handle,
                        .device_info = features == HOST_PLAIN ? NULL : &host->device_info,
                        .queue = own->queue,
                        .queue_family = own->family,
                        .lock = lock,
                        .unlock = unlock,
                        .user = host};
}

/* ---- pipeline ---- */

static void make_pipeline(struct host *host)
{
    struct gpu_device *own = &host->own;
    VkDescriptorSetLayoutBinding bindings[2];
    for (uint32_t i = 0; i < 2; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
                                                     VK_SHADER_STAGE_COMPUTE_BIT, NULL};
    VkDescriptorSetLayoutCreateInfo set = {.sType =
                                               VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                           .bindingCount = 2,
                                           .pBindings = bindings};
    VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 3 * sizeof(uint32_t)};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &host->set_layout,
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &push};
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = sizeof(embed_vulkan),
                                     .pCode = embed_vulkan};
    VkShaderModule module;
    ck_assert_vk(own->vk.vkCreateDescriptorSetLayout(own->handle, &set, NULL, &host->set_layout));
    ck_assert_vk(own->vk.vkCreatePipelineLayout(own->handle, &layout, NULL, &host->layout));
    ck_assert_vk(own->vk.vkCreateShaderModule(own->handle, &code, NULL, &module));
    VkComputePipelineCreateInfo pipeline = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main"},
        .layout = host->layout};
    ck_assert_vk(own->vk.vkCreateComputePipelines(own->handle, VK_NULL_HANDLE, 1, &pipeline, NULL,
                                                  &host->pipeline));
    own->vk.vkDestroyShaderModule(own->handle, module, NULL);
}

void host_init(struct host *host, enum host_features features)
{
    *host = (struct host){0};
    make_instance(host);
    make_device(host, features);
    struct gpu_device *own = &host->own;
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .queueFamilyIndex = own->family};
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 64};
    VkDescriptorPoolCreateInfo sets = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = 32,
                                       .poolSizeCount = 1,
                                       .pPoolSizes = &size};
    ck_assert_vk(own->vk.vkCreateCommandPool(own->handle, &pool, NULL, &host->commands));
    ck_assert_vk(own->vk.vkCreateDescriptorPool(own->handle, &sets, NULL, &host->descriptors));
    make_pipeline(host);
}

void host_finish(struct host *host)
{
    struct gpu_device *own = &host->own;
    own->vk.vkDestroyPipeline(own->handle, host->pipeline, NULL);
    own->vk.vkDestroyPipelineLayout(own->handle, host->layout, NULL);
    own->vk.vkDestroyDescriptorSetLayout(own->handle, host->set_layout, NULL);
    own->vk.vkDestroyDescriptorPool(own->handle, host->descriptors, NULL);
    own->vk.vkDestroyCommandPool(own->handle, host->commands, NULL);
    own->vk.vkDestroyDevice(own->handle, NULL);
    gpu_instance_finish(&own->instance);
    ck_assert_msg(own->validation_errors == 0, "%u validation errors", own->validation_errors);
    ck_assert_uint_eq(host->locks, host->unlocks);
    ck_assert_uint_eq(host->nested, 0);
}

adamra_context *host_context(struct host *host)
{
    adamra_context *context;
    adamra_context_params params = {.vulkan = &host->vulkan};
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_OK);
    return context;
}

/* ---- buffers ---- */

/* Memory that the host sees and that needs no flush: every device has some. */
static uint32_t memory_type(const struct host *host, uint32_t allowed)
{
    const VkMemoryPropertyFlags wanted =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    host->own.instance.GetPhysicalDeviceMemoryProperties2(host->own.physical, &memory);
    for (uint32_t i = 0; i < memory.memoryProperties.memoryTypeCount; i++)
        if (allowed >> i & 1 &&
            (memory.memoryProperties.memoryTypes[i].propertyFlags & wanted) == wanted)
            return i;
    ck_abort_msg("no memory type");
}

struct host_buffer host_buffer(struct host *host, uint64_t size, VkBufferUsageFlags usage)
{
    struct gpu_device *own = &host->own;
    struct host_buffer buffer = {.size = size, .usage = usage};
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage};
    VkMemoryRequirements needs;
    ck_assert_vk(own->vk.vkCreateBuffer(own->handle, &info, NULL, &buffer.handle));
    own->vk.vkGetBufferMemoryRequirements(own->handle, buffer.handle, &needs);
    VkMemoryAllocateInfo memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                   .allocationSize = needs.size,
                                   .memoryTypeIndex = memory_type(host, needs.memoryTypeBits)};
    ck_assert_vk(own->vk.vkAllocateMemory(own->handle, &memory, NULL, &buffer.memory));
    ck_assert_vk(own->vk.vkBindBufferMemory(own->handle, buffer.handle, buffer.memory, 0));
    ck_assert_vk(
        own->vk.vkMapMemory(own->handle, buffer.memory, 0, VK_WHOLE_SIZE, 0, &buffer.mapped));
    memset(buffer.mapped, 0, size);
    return buffer;
}

void host_buffer_finish(struct host *host, struct host_buffer *buffer)
{
    struct gpu_device *own = &host->own;
    own->vk.vkDestroyBuffer(own->handle, buffer->handle, NULL);
    own->vk.vkFreeMemory(own->handle, buffer->memory, NULL);
}

adamra_buffer *host_wrap(adamra_context *context, const struct host_buffer *buffer)
{
    adamra_buffer *wrapped;
    ck_assert_msg(
        !adamra_buffer_wrap(context, buffer->handle, buffer->size, buffer->usage, &wrapped), "%s",
        adamra_error(context));
    return wrapped;
}

/* ---- commands ---- */

VkCommandBuffer host_begin(struct host *host)
{
    struct gpu_device *own = &host->own;
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = host->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkCommandBuffer command;
    ck_assert_vk(own->vk.vkAllocateCommandBuffers(own->handle, &info, &command));
    ck_assert_vk(own->vk.vkBeginCommandBuffer(command, &begin));
    return command;
}

void host_dispatch(struct host *host, VkCommandBuffer command, uint32_t stage,
                   const struct host_buffer *numbers, uint32_t first, uint32_t count,
                   const struct host_buffer *results)
{
    struct gpu_device *own = &host->own;
    const uint32_t push[] = {stage, first, count};
    const VkDescriptorBufferInfo buffers[] = {{numbers->handle, 0, VK_WHOLE_SIZE},
                                              {results->handle, 0, VK_WHOLE_SIZE}};
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = host->descriptors,
                                        .descriptorSetCount = 1,
                                        .pSetLayouts = &host->set_layout};
    VkDescriptorSet set;
    ck_assert_vk(own->vk.vkAllocateDescriptorSets(own->handle, &info, &set));
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .dstSet = set,
                                  .descriptorCount = 2,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                  .pBufferInfo = buffers};
    own->vk.vkUpdateDescriptorSets(own->handle, 1, &write, 0, NULL);
    own->vk.vkCmdBindPipeline(command, VK_PIPELINE_BIND_POINT_COMPUTE, host->pipeline);
    own->vk.vkCmdBindDescriptorSets(command, VK_PIPELINE_BIND_POINT_COMPUTE, host->layout, 0, 1,
                                    &set, 0, NULL);
    own->vk.vkCmdPushConstants(command, host->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push),
                               push);
    own->vk.vkCmdDispatch(command, (count + 63) / 64, 1, 1);
}

/* Makes what ran visible to the host. */
void host_end(struct host *host, VkCommandBuffer command)
{
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    host->own.vk.vkCmdPipelineBarrier(command, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                      VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
    ck_assert_vk(host->own.vk.vkEndCommandBuffer(command));
}

void host_submit(struct host *host, VkCommandBuffer command)
{
    struct gpu_device *own = &host->own;
    VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                           .commandBufferCount = 1,
                           .pCommandBuffers = &command};
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkFence fence;
    ck_assert_vk(own->vk.vkCreateFence(own->handle, &info, NULL, &fence));
    ck_assert_vk(own->vk.vkQueueSubmit(own->queue, 1, &submit, fence));
    ck_assert_vk(own->vk.vkWaitForFences(own->handle, 1, &fence, VK_TRUE, UINT64_MAX));
    own->vk.vkDestroyFence(own->handle, fence, NULL);
}

void host_free(struct host *host, VkCommandBuffer command)
{
    host->own.vk.vkFreeCommandBuffers(host->own.handle, host->commands, 1, &command);
}

float host_number(uint32_t i)
{
    uint32_t state = i * 747796405U + 2891336453U;
    uint32_t word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737U;
    return (float)(((word >> 22) ^ word) & 0xfff) / 2048 - 1;
}
