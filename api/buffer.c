/* Buffers: device memory of our own, the caller's Vulkan buffers, the caller's host memory. */
#include "context.h"
#include <inttypes.h>
#include <stdlib.h>
#ifdef __ANDROID__
#include <android/hardware_buffer.h>
#endif

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

/* ---- memory that was made elsewhere ---- */

static status check_import(struct adamra_context *context, const void *data, uint64_t bytes)
{
    struct logger *log = &context->log;
    struct gpu_device *device = context->device;
    uint64_t alignment = size_max(device->limits.host_import, 1);
    if (!device->features.host_import)
        return fail(log, STATUS_UNSUPPORTED,
                    "%s cannot import host memory: expected VK_EXT_external_memory_host, enabled",
                    device->info.name);
    EXPECT(data, "data: expected a pointer, got NULL");
    EXPECT((uintptr_t)data % alignment == 0 && bytes % alignment == 0 && bytes > 0,
           "data, bytes: expected multiples of %" PRIu64 ", got %p, %" PRIu64, alignment, data,
           bytes);
    return STATUS_OK;
}

/* The engine does not report why it could not: here it is an error. */
static status import_result(struct adamra_context *context, status result, const char *what)
{
    const char *name = context->device->info.name;
    if (result == STATUS_UNSUPPORTED)
        fail(&context->log, result, "%s cannot import this %s", name, what);
    else if (result == STATUS_OUT_OF_HOST_MEMORY || result == STATUS_OUT_OF_DEVICE_MEMORY)
        fail(&context->log, result, "%s: %s to import this %s", name, status_text(result), what);
    return result;
}

adamra_status adamra_buffer_import(adamra_context *context, void *data, uint64_t bytes,
                                   adamra_buffer **out)
{
    if (!context)
        return ADAMRA_INVALID_ARGUMENT;
    if (!out)
        return context_fail_null(context, "out");
    *out = NULL;
    status result = check_import(context, data, bytes);
    if (result)
        return context_status(result);
    struct adamra_buffer *buffer = add_record(context);
    if (!buffer)
        return ADAMRA_OUT_OF_HOST_MEMORY;
    result = gpu_buffer_import(context->device, data, bytes, &buffer->memory);
    return finish(buffer, import_result(context, result, "host memory"), out);
}

#ifdef __ANDROID__
adamra_status adamra_buffer_import_android(adamra_context *context, struct AHardwareBuffer *memory,
                                           adamra_buffer **out)
{
    if (!context)
        return ADAMRA_INVALID_ARGUMENT;
    if (!out)
        return context_fail_null(context, "out");
    *out = NULL;
    if (!memory)
        return context_fail_null(context, "memory");
    AHardwareBuffer_Desc desc; /* the width of a BLOB is its bytes */
    AHardwareBuffer_describe(memory, &desc);
    if (desc.format != AHARDWAREBUFFER_FORMAT_BLOB ||
        !(desc.usage & AHARDWAREBUFFER_USAGE_GPU_DATA_BUFFER) || desc.width < 16 || desc.width % 4)
        return context_status(
            fail(&context->log, STATUS_INVALID_ARGUMENT,
                 "memory: expected format BLOB, usage GPU_DATA_BUFFER and a width of at least 16 "
                 "and a multiple of 4, got format %u, usage 0x%" PRIx64 ", width %u",
                 desc.format, desc.usage, desc.width));
    struct adamra_buffer *buffer = add_record(context);
    if (!buffer)
        return ADAMRA_OUT_OF_HOST_MEMORY;
    status result = gpu_buffer_import_android(context->device, memory, desc.width, &buffer->memory);
    return finish(buffer, import_result(context, result, "hardware buffer"), out);
}
#endif

/* ---- all buffers ---- */

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
