#include "gpu/cache.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC   UINT64_C(0x686341524d616441) /* as a number: other byte orders differ */
#define VERSION 1
#define SEED    UINT64_C(0xcbf29ce484222325)

struct header {
    uint64_t magic;
    uint32_t version, reserved;
    struct gpu_cache_identity identity;
    uint64_t size;     /* of the payload */
    uint64_t checksum; /* of all that is before it, and of the payload */
};
static_assert(sizeof(struct header) == 16 + sizeof(struct gpu_cache_identity) + 16 &&
                  sizeof(struct gpu_cache_identity) == 16 + 2 * VK_UUID_SIZE + 8,
              "no padding, whose bytes are unspecified");

/* FNV-1a over words of 64 bits, in the machine's byte order, then over the bytes that are left. */
uint64_t gpu_cache_hash(uint64_t seed, const void *bytes, size_t size)
{
    const uint64_t prime = UINT64_C(0x100000001b3);
    const uint8_t *next = bytes;
    uint64_t hash = seed;
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), next += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, next, sizeof(word));
        hash = (hash ^ word) * prime;
        hash ^= hash >> 32; /* a product's low bits know nothing of a word's high ones */
    }
    for (; size > 0; size--, next++)
        hash = (hash ^ *next) * prime;
    return hash;
}

uint64_t gpu_cache_hash_text(uint64_t seed, const char *text)
{
    return gpu_cache_hash(seed, text, strlen(text) + 1);
}

/* ---- identity ---- */

static uint64_t hash_build(void)
{
    uint64_t hash = gpu_cache_hash_text(SEED, PROJECT_VERSION);
    for (uint32_t i = 0; i < SHADER_COUNT; i++) {
        size_t count;
        const uint32_t *words = gpu_shader_words((enum gpu_shader)i, &count);
        hash = gpu_cache_hash(hash, words, count * sizeof(*words));
    }
    return hash;
}

struct gpu_cache_identity gpu_cache_identify(const struct gpu_device *device)
{
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    device->instance.GetPhysicalDeviceProperties2(device->physical, &properties);
    const VkPhysicalDeviceProperties *core = &properties.properties;
    uint64_t text = gpu_cache_hash_text(SEED, device->info.driver);
    text = gpu_cache_hash_text(text, device->info.driver_version);
    struct gpu_cache_identity identity = {.vendor = core->vendorID,
                                          .device = core->deviceID,
                                          .driver = core->driverVersion,
                                          .driver_text = (uint32_t)text,
                                          .build = hash_build()};
    memcpy(identity.device_uuid, device->info.uuid, VK_UUID_SIZE);
    memcpy(identity.cache_uuid, core->pipelineCacheUUID, VK_UUID_SIZE);
    return identity;
}

/* ---- seal ---- */

static uint64_t checksum(const struct header *header, const void *payload, size_t size)
{
    uint64_t hash = gpu_cache_hash(SEED, header, offsetof(struct header, checksum));
    return gpu_cache_hash(hash, payload, size);
}

const void *gpu_cache_open(const struct gpu_cache_identity *identity, const void *bytes,
                           size_t size, size_t *payload_size)
{
    struct header header;
    if (size < sizeof(header))
        return NULL;
    memcpy(&header, bytes, sizeof(header));
    const void *payload = (const char *)bytes + sizeof(header);
    if (header.magic != MAGIC || header.version != VERSION ||
        memcmp(&header.identity, identity, sizeof(*identity)) != 0 ||
        header.size != size - sizeof(header) ||
        header.checksum != checksum(&header, payload, size - sizeof(header)))
        return NULL;
    *payload_size = size - sizeof(header);
    return payload;
}

void *gpu_cache_seal(const struct gpu_cache_identity *identity, const void *payload,
                     size_t payload_size, size_t *size)
{
    struct header header = {
        .magic = MAGIC, .version = VERSION, .identity = *identity, .size = payload_size};
    if (payload_size > GPU_CACHE_MOST - sizeof(header))
        return NULL;
    *size = sizeof(header) + payload_size;
    char *bytes = malloc(*size);
    if (!bytes)
        return NULL;
    header.checksum = checksum(&header, payload, payload_size);
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), payload, payload_size);
    return bytes;
}

/* ---- a device's ---- */

/* One file a device, driver and release of adamra: two drivers of one GPU, or programs that bring
 * different releases, do not take turns; a new version of a driver replaces what the old one left.
 */
static void make_key(const struct gpu_device *device, const char *name, char *key, size_t size)
{
    uint64_t user = gpu_cache_hash_text(SEED, device->info.driver);
    user = gpu_cache_hash_text(user, device->info.name);
    user = gpu_cache_hash_text(user, PROJECT_VERSION);
    snprintf(key, size, "%s-%s-%08x", name, device->info.uuid_text, (unsigned)user);
}

void *gpu_cache_load(const struct gpu_device *device, const struct gpu_store *store,
                     const char *name, size_t *size)
{
    char key[128];
    size_t file_size, payload_size = 0;
    if (!store->load)
        return NULL;
    make_key(device, name, key, sizeof(key));
    char *bytes = gpu_store_load(store, key, GPU_CACHE_MOST, &file_size);
    if (!bytes) {
        log_line(device->log, LOG_DEBUG, "cache: %s: there is none", key);
        return NULL;
    }
    struct gpu_cache_identity identity = gpu_cache_identify(device);
    const char *payload = gpu_cache_open(&identity, bytes, file_size, &payload_size);
    if (!payload) {
        log_line(device->log, LOG_DEBUG,
                 "cache: %s: of another device, driver or version, or "
                 "damaged: not used",
                 key);
        free(bytes);
        return NULL;
    }
    memmove(bytes, payload, payload_size + 1);
    *size = payload_size;
    log_line(device->log, LOG_DEBUG, "cache: %s: %zu bytes", key, payload_size);
    return bytes;
}

bool gpu_cache_save(const struct gpu_device *device, const struct gpu_store *store,
                    const char *name, const void *payload, size_t size)
{
    char key[128];
    size_t file_size = 0;
    if (!store->save)
        return false;
    make_key(device, name, key, sizeof(key));
    struct gpu_cache_identity identity = gpu_cache_identify(device);
    void *bytes = gpu_cache_seal(&identity, payload, size, &file_size);
    bool kept = bytes && gpu_store_save(store, key, bytes, file_size);
    log_line(device->log, LOG_DEBUG, "cache: %s: %zu bytes %s", key, size,
             kept ? "kept" : "could not be kept");
    free(bytes);
    return kept;
}
