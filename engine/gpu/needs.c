/* What shaders need of a device, remembered: choosing a kernel asks for it again and again. */
#include "gpu/needs.h"
#include <stdlib.h>
#include <string.h>

/* A table without chains: what falls on the same place is worked out again. */
#define PLACES 512

struct needs_entry {
    bool known;
    enum gpu_shader shader;
    uint32_t count, values[GPU_MAX_CONSTANTS];
    struct gpu_needs needs;
};

struct gpu_needs_table {
    struct needs_entry entries[PLACES];
    bool short_of_memory; /* since gpu_needs_status was asked */
};

static status work_out(enum gpu_shader shader, const uint32_t *values, uint32_t count,
                       struct gpu_needs *needs)
{
    struct gpu_reflection reflection;
    size_t words_count;
    const uint32_t *words = gpu_shader_words(shader, &words_count);
    *needs = (struct gpu_needs){0};
    status result = gpu_reflect(NULL, words, words_count, &reflection);
    if (!result)
        result = gpu_reflect_shared(NULL, words, words_count, values, count, &needs->shared_bytes);
    if (result) {
        *needs = (struct gpu_needs){UINT32_MAX, UINT32_MAX, UINT32_MAX, 0};
        return result;
    }
    for (uint32_t i = 0; i < reflection.binding_count; i++) {
        needs->storage_buffers += reflection.kinds[i] == GPU_BINDING_STORAGE;
        needs->texels |= (uint32_t)(reflection.kinds[i] == GPU_BINDING_TEXEL) << i;
    }
    needs->push_bytes = reflection.push_bytes;
    return STATUS_OK;
}

/* FNV-1a over words. */
uint32_t gpu_shader_hash(enum gpu_shader shader, const uint32_t *values, uint32_t count)
{
    uint32_t hash = (2166136261u ^ (uint32_t)shader) * 16777619u;
    for (uint32_t i = 0; i < count; i++)
        hash = (hash ^ values[i]) * 16777619u;
    return hash ^ hash >> 16;
}

struct gpu_needs gpu_shader_needs(const struct gpu_device *device, enum gpu_shader shader,
                                  const uint32_t *values, uint32_t count)
{
    struct gpu_needs_table *table = device->needs;
    struct gpu_needs needs;
    if (!table) { /* one that is made up */
        work_out(shader, values, count, &needs);
        return needs;
    }
    struct needs_entry *entry = &table->entries[gpu_shader_hash(shader, values, count) % PLACES];
    if (!entry->known || entry->shader != shader || entry->count != count ||
        memcmp(entry->values, values, count * sizeof(*values)) != 0) {
        *entry = (struct needs_entry){.shader = shader, .count = count};
        memcpy(entry->values, values, count * sizeof(*values));
        entry->known = work_out(shader, values, count, &entry->needs) != STATUS_OUT_OF_HOST_MEMORY;
        table->short_of_memory |= !entry->known;
    }
    return entry->needs;
}

status gpu_needs_status(struct gpu_device *device)
{
    bool was_short = device->needs->short_of_memory;
    device->needs->short_of_memory = false;
    return was_short ? fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for kernels")
                     : STATUS_OK;
}

status gpu_needs_create(struct gpu_device *device)
{
    device->needs = calloc(1, sizeof(*device->needs));
    return device->needs
               ? STATUS_OK
               : fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a device");
}

void gpu_needs_destroy(struct gpu_device *device)
{
    free(device->needs);
    device->needs = NULL;
}
