/* Work that is recorded, submitted and waited for at once. */
#include "gpu/commands.h"

status gpu_command_make(struct gpu_device *device, VkCommandBuffer *command)
{
    status result = STATUS_OK;
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = device->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    GPU_TRY(device, result, device->vk.vkAllocateCommandBuffers(device->handle, &info, command));
error:
    return result;
}

status gpu_once_init(struct gpu_device *device, struct gpu_once *once)
{
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    *once = (struct gpu_once){0};
    status result = gpu_command_make(device, &once->command);
    if (result)
        return result;
    GPU_TRY(device, result, device->vk.vkCreateFence(device->handle, &fence, NULL, &once->fence));
error:
    return result;
}

status gpu_once_begin(struct gpu_device *device, const struct gpu_once *once)
{
    status result = STATUS_OK;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    GPU_TRY(device, result, device->vk.vkBeginCommandBuffer(once->command, &begin));
error:
    return result;
}

status gpu_once_run(struct gpu_device *device, const struct gpu_once *once)
{
    status result = STATUS_OK;
    VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                           .commandBufferCount = 1,
                           .pCommandBuffers = &once->command};
    GPU_TRY(device, result, device->vk.vkEndCommandBuffer(once->command));
    result = gpu_queue_submit(device, 1, &submit, once->fence);
    if (!result)
        result = gpu_fence_wait(device, once->fence);
    if (result)
        return result;
    GPU_TRY(device, result, device->vk.vkResetFences(device->handle, 1, &once->fence));
error:
    return result;
}

void gpu_once_finish(struct gpu_device *device, struct gpu_once *once)
{
    device->vk.vkDestroyFence(device->handle, once->fence, NULL);
    if (once->command)
        device->vk.vkFreeCommandBuffers(device->handle, device->commands, 1, &once->command);
}
