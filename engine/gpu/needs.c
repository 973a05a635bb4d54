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
};

static struct gpu_needs work_out(enum gpu_shader shader, const uint32_t *values, uint32_t count)
{
    struct gpu_needs needs = {0};
    struct gpu_reflection reflection;
    size_t words_count;
    const uint32_t *words = gpu_shader_words(shader, &words_count);
    if (gpu_reflect(NULL, words, words_count, &reflection) ||
        gpu_reflect_shared(NULL, words, words_count, values, count, &needs.shared_bytes)) {
        needs = (struct gpu_needs){UINT32_MAX, UINT32_MAX, UINT32_MAX, 0};
        return needs;
    }
    for (uint32_t i = 0; i < reflection.binding_count; i++) {
        needs.storage_buffers += reflection.kinds[i] == GPU_BINDING_STORAGE;
        needs.texels |= (uint32_t)(reflection.kinds[i] == GPU_BINDING_TEXEL) << i;
    }
    needs.push_bytes = reflection.push_bytes;
    return needs;
}

struct gpu_needs gpu_shader_needs(const struct gpu_device *device, enum gpu_shader shader,
                                  const uint32_t *values, uint32_t count)
{
    if (!device->needs) /* one that is made up */
        return work_out(shader, values, count);
    uint32_t hash = 2166136261u ^ (uint32_t)shader; /* FNV-1a over words */
    for (uint32_t i = 0; i < count; i++)
        hash = (hash ^ values[i]) * 16777619u;
    struct needs_entry *entry = &device->needs->entries[(hash ^ hash >> 16) % PLACES];
    if (!entry->known || entry->shader != shader || entry->count != count ||
        memcmp(entry->values, values, count * sizeof(*values)) != 0) {
        *entry = (struct needs_entry){.known = true, .shader = shader, .count = count};
        memcpy(entry->values, values, count * sizeof(*values));
        entry->needs = work_out(shader, values, count);
    }
    return entry->needs;
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
