/* cache: what is kept for a device between processes, sealed: a header says what it was made by,
 * and a checksum that it is whole. Anything else is a miss, never an error, and nobody but this
 * file sees it. */
#ifndef CACHE_H
#define CACHE_H

#include "gpu/store.h"

#define GPU_CACHE_MOST ((size_t)64 << 20) /* bytes of a file: what is larger is not kept */

/* By what it was made: all of it must be equal. */
struct gpu_cache_identity {
    uint32_t vendor, device, driver; /* ids, and the driver's own version number */
    uint32_t driver_text;            /* hash of the driver's name and version as text */
    uint8_t device_uuid[VK_UUID_SIZE], cache_uuid[VK_UUID_SIZE];
    uint64_t build; /* of this library: its version and shader modules */
};

struct gpu_cache_identity gpu_cache_identify(const struct gpu_device *device);

/* The payload within a file's bytes, which are trusted in nothing; NULL: a miss. */
const void *gpu_cache_open(const struct gpu_cache_identity *identity, const void *bytes,
                           size_t size, size_t *payload_size);
/* A file's bytes around a payload, malloc'ed; NULL: no memory, or too large. */
void *gpu_cache_seal(const struct gpu_cache_identity *identity, const void *payload,
                     size_t payload_size, size_t *size);

/* The payload that a store keeps for the device under `name`, malloc'ed, with a 0 behind it; NULL:
 * none. */
void *gpu_cache_load(const struct gpu_device *device, const struct gpu_store *store,
                     const char *name, size_t *size);
/* False where it could not be kept. */
bool gpu_cache_save(const struct gpu_device *device, const struct gpu_store *store,
                    const char *name, const void *payload, size_t size);
/* Of bytes; a change of one word always changes it. */
uint64_t gpu_cache_hash(uint64_t seed, const void *bytes, size_t size);
/* Of a text and where it ends: of "a" and "bc" another one than of "ab" and "c". */
uint64_t gpu_cache_hash_text(uint64_t seed, const char *text);

/* Keeps in the device's store what its driver has compiled since the last time; nothing to do where
 * no pipeline was made since. A program may be killed before it destroys the device, which does it
 * too: so it is done after runs and recordings. (pipeline.c) */
void gpu_pipelines_keep(struct gpu_device *device);

/* ---- pipeline_cache.c ---- */

struct gpu_pipeline_cache {
    VkPipelineCache handle;
    uint64_t kept; /* hash of what the store has; 0: nothing */
};

/* Starts from what is kept. */
status gpu_pipeline_cache_create(struct gpu_device *device, struct gpu_pipeline_cache *cache);
/* Keeps it where it is no longer what is kept. */
void gpu_pipeline_cache_keep(struct gpu_device *device, struct gpu_pipeline_cache *cache);

#endif
