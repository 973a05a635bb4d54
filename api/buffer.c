/* Buffers: device memory of our own, the caller's Vulkan buffers, the caller's host memory. */
#include "context.h"
#include <inttypes.h>
#include <stdlib.h>

#include "adamra_vulkan.h" /* after volk.h, which brings Vulkan without prototypes */

/* A record without memory yet, or NULL (reported). */
static struct adamra_buffer *add_record(struct adamra_context *context)
{
    struct adamra_buffer *buffer = calloc(1, sizeof(*buffer));
    if (!buffer) {
        fail(&context->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for a buffer's record");
        return NULL;
    }
    buffer->context = context;
    buffer->serial = ++context->buffers_made;
    return buffer;
}

/* Hands the record out if its memory could be made. */
static adamra_status finish(struct adamra_buffer *buffer, status result, adamra_buffer **out)
{
    if (result)
        free(buffer);
    else
        *out = buffer;
    return context_status(result);
}

adamra_status adamra_buffer_create(adamra_context *context, uint64_t bytes, adamra_buffer **out)
{
    if (!context)
        return ADAMRA_INVALID_ARGUMENT;
    if (!out)
        return context_fail_null(context, "out");
    *out = NULL;
    status result = gpu_device_check(context->device);
    if (result)
        return context_status(result);
    struct adamra_buffer *buffer = add_record(context);
    if (!buffer)
        return ADAMRA_OUT_OF_HOST_MEMORY;
    return finish(
        buffer, gpu_buffer_create(context->device, bytes, GPU_MEMORY_DEVICE, &buffer->memory), out);
}

static status check_wrap(struct logger *log, VkBuffer handle, uint64_t size,
                         VkBufferUsageFlags usage)
{
    EXPECT(handle, "buffer: expected a Vulkan buffer, got VK_NULL_HANDLE");
    EXPECT(size >= 16 && size % 4 == 0,
           "size: expected at least 16 and a multiple of 4, got %" PRIu64, size);
    EXPECT(usage & VK_BUFFER_USAGE_STORAGE_BUFFER_BIT,
           "usage: expected VK_BUFFER_USAGE_STORAGE_BUFFER_BIT among the bits, got 0x%x",
           (unsigned)usage);
    return STATUS_OK;
}

adamra_status adamra_buffer_wrap(adamra_context *context, VkBuffer handle, uint64_t size,
                                 VkBufferUsageFlags usage, adamra_buffer **out)
{
    if (!context)
        return ADAMRA_INVALID_ARGUMENT;
    if (!out)
        return context_fail_null(context, "out");
    *out = NULL;
    status result = gpu_device_check(context->device);
    if (!result)
        result = check_wrap(&context->log, handle, size, usage);
    if (result)
        return context_status(result);
    struct adamra_buffer *buffer = add_record(context);
    if (!buffer)
        return ADAMRA_OUT_OF_HOST_MEMORY;
    return finish(buffer, gpu_buffer_wrap(context->device, handle, size, usage, &buffer->memory),
                  out);
}

void adamra_buffer_destroy(adamra_buffer *buffer)
{
    if (!buffer)
        return;
    gpu_buffer_destroy(buffer->memory);
    free(buffer);
}

/* Also: a device that is lost copies nothing, not to mapped memory either. */
static status check_range(const adamra_buffer *buffer, uint64_t offset, const void *data,
                          uint64_t bytes)
{
    struct logger *log = &buffer->context->log;
    uint64_t size = buffer->memory->size;
    status result = gpu_device_check(buffer->context->device);
    if (result)
        return result;
    if (!data && bytes)
        return fail(log, STATUS_INVALID_ARGUMENT, "data: expected a pointer, got NULL");
    if (offset > size || bytes > size - offset)
        return fail(log, STATUS_INVALID_ARGUMENT,
                    "offset %llu, bytes %llu: expected a range within the buffer's %llu bytes",
                    (unsigned long long)offset, (unsigned long long)bytes,
                    (unsigned long long)size);
    return STATUS_OK;
}

adamra_status adamra_buffer_write(adamra_buffer *buffer, uint64_t offset, const void *data,
                                  uint64_t bytes)
{
    if (!buffer)
        return ADAMRA_INVALID_ARGUMENT;
    status result = check_range(buffer, offset, data, bytes);
    if (!result && bytes)
        result = gpu_buffer_write(buffer->memory, offset, data, bytes);
    return context_status(result);
}

adamra_status adamra_buffer_read(adamra_buffer *buffer, uint64_t offset, void *data, uint64_t bytes)
{
    if (!buffer)
        return ADAMRA_INVALID_ARGUMENT;
    status result = check_range(buffer, offset, data, bytes);
    if (!result && bytes)
        result = gpu_buffer_read(buffer->memory, offset, data, bytes);
    return context_status(result);
}
