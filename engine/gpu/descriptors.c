/* Descriptor sets, one a piece, from pools that grow; texel views, one for each distinct range. */
#include "gpu/commands.h"
#include <stdlib.h>

#define SETS_PER_POOL 64

/* A texel view, kept until the commands are destroyed. */
struct texel_view {
    VkBuffer buffer;
    enum gpu_format format;
    uint64_t begin, end;
    VkBufferView handle;
};

static status get_view(struct gpu_commands *commands, const struct gpu_binding *binding,
                       const struct gpu_window *window, VkBufferView *out)
{
    static const VkFormat formats[] = {[GPU_RAW] = VK_FORMAT_R32_UINT,
                                       [GPU_RGBA32F] = VK_FORMAT_R32G32B32A32_SFLOAT,
                                       [GPU_RGBA16F] = VK_FORMAT_R16G16B16A16_SFLOAT};
    struct gpu_device *device = commands->device;
    struct texel_view *views = commands->views.items;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < commands->views.count; i++)
        if (views[i].buffer == binding->buffer->handle && views[i].format == binding->format &&
            views[i].begin == window->begin && views[i].end == window->end) {
            *out = views[i].handle;
            return STATUS_OK;
        }
    struct texel_view *view = gpu_array_add(device->log, &commands->views, sizeof(*view));
    if (!view)
        return STATUS_OUT_OF_HOST_MEMORY;
    VkBufferViewCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                   .buffer = binding->buffer->handle,
                                   .format = formats[binding->format],
                                   .offset = window->begin,
                                   .range = window->end - window->begin};
    GPU_TRY(device, result,
            device->vk.vkCreateBufferView(device->handle, &info, NULL, &view->handle));
    view->buffer = binding->buffer->handle;
    view->format = binding->format;
    view->begin = window->begin;
    view->end = window->end;
    *out = view->handle;
    return STATUS_OK;
error:
    commands->views.count--;
    return result;
}

static status add_pool(struct gpu_commands *commands)
{
    static const VkDescriptorPoolSize sizes[] = {
        {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, SETS_PER_POOL * GPU_MAX_BINDINGS},
        {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, SETS_PER_POOL * GPU_MAX_BINDINGS}};
    struct gpu_device *device = commands->device;
    status result = STATUS_OK;
    VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = SETS_PER_POOL,
                                       .poolSizeCount = ARRAY_SIZE(sizes),
                                       .pPoolSizes = sizes};
    VkDescriptorPool *pool = gpu_array_add(device->log, &commands->pools, sizeof(*pool));
    if (!pool)
        return STATUS_OUT_OF_HOST_MEMORY;
    GPU_TRY(device, result, device->vk.vkCreateDescriptorPool(device->handle, &info, NULL, pool));
    commands->sets_left = SETS_PER_POOL;
    return STATUS_OK;
error:
    commands->pools.count--;
    return result;
}

static status allocate_set(struct gpu_commands *commands, const struct gpu_pipeline *pipeline,
                           VkDescriptorSet *out)
{
    struct gpu_device *device = commands->device;
    status result = commands->sets_left ? STATUS_OK : add_pool(commands);
    if (result)
        return result;
    const VkDescriptorPool *pools = commands->pools.items;
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = pools[commands->pools.count - 1],
                                        .descriptorSetCount = 1,
                                        .pSetLayouts = &pipeline->set_layout};
    GPU_TRY(device, result, device->vk.vkAllocateDescriptorSets(device->handle, &info, out));
    commands->sets_left--;
error:
    return result;
}

status gpu_descriptors_make(struct gpu_commands *commands, const struct gpu_dispatch *dispatch,
                            const struct gpu_piece *piece, VkDescriptorSet *out)
{
    struct gpu_device *device = commands->device;
    const struct gpu_reflection *reflection = &dispatch->pipeline->reflection;
    VkWriteDescriptorSet writes[GPU_MAX_BINDINGS];
    VkDescriptorBufferInfo buffers[GPU_MAX_BINDINGS];
    VkBufferView views[GPU_MAX_BINDINGS];
    uint32_t count = 0;
    status result = allocate_set(commands, dispatch->pipeline, out);
    for (uint32_t i = 0; i < reflection->binding_count && !result; i++) {
        const struct gpu_binding *binding = &dispatch->bindings[i];
        const struct gpu_window *window = &piece->windows[i];
        if (!reflection->kinds[i])
            continue;
        VkWriteDescriptorSet *write = &writes[count++];
        *write = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                        .dstSet = *out,
                                        .dstBinding = i,
                                        .descriptorCount = 1};
        if (reflection->kinds[i] == GPU_BINDING_TEXEL) {
            write->descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
            write->pTexelBufferView = &views[i];
            result = get_view(commands, binding, window, &views[i]);
        } else {
            write->descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
            write->pBufferInfo = &buffers[i];
            buffers[i] = (VkDescriptorBufferInfo){binding->buffer->handle, window->begin,
                                                  window->end - window->begin};
        }
    }
    if (!result)
        device->vk.vkUpdateDescriptorSets(device->handle, count, writes, 0, NULL);
    return result;
}

void gpu_descriptors_finish(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    const VkDescriptorPool *pools = commands->pools.items;
    const struct texel_view *views = commands->views.items;
    for (uint32_t i = 0; i < commands->pools.count; i++)
        device->vk.vkDestroyDescriptorPool(device->handle, pools[i], NULL);
    for (uint32_t i = 0; i < commands->views.count; i++)
        device->vk.vkDestroyBufferView(device->handle, views[i].handle, NULL);
    free(commands->pools.items);
    free(commands->views.items);
}
