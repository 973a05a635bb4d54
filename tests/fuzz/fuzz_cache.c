/* Any bytes are a cache's file or a miss; what is accepted is what was sealed. The first byte
 * chooses what becomes of a file that is sealed first: nothing, that its bytes are replaced from a
 * place on (of which the second byte is the share), that they end there, or that another device
 * asks. Then the store's own limits: how much is asked for, and files that change while they are
 * read. */
#include "gpu/cache.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum change { KEEP, REPLACE, CUT, OTHER, CHANGES };

/* A store of one value, which may have another size whenever it is asked. */
struct shelf {
    const uint8_t *bytes;
    size_t size, next; /* next: its size from the second call on */
    uint32_t calls;
};

static int load(void *user, const char *key, void *data, size_t *size)
{
    struct shelf *shelf = user;
    size_t there = shelf->calls++ ? shelf->next : shelf->size;
    (void)key;
    if (!data) {
        *size = there;
        return 1;
    }
    *size = *size < there ? *size : there;
    memcpy(data, shelf->bytes, *size);
    return 1;
}

/* What the store gives is what is there, as much as fits, and ends with a 0. */
static void load_all(const uint8_t *bytes, size_t size, size_t next, size_t most)
{
    struct shelf shelf = {bytes, size, next, 0};
    const struct gpu_store store = {.load = load, .user = &shelf};
    size_t loaded = 0;
    char *copy = gpu_store_load(&store, "key", most, &loaded);
    if (copy && (loaded == 0 || loaded > size || loaded > most || copy[loaded] ||
                 memcmp(copy, bytes, loaded) != 0))
        __builtin_trap();
    if (!copy && size > 0 && size <= most && next > 0)
        __builtin_trap();
    free(copy);
}

/* Opens what may be a file in memory of its own, so that no byte behind it can be read. */
static const void *open_copy(const struct gpu_cache_identity *identity, const void *bytes,
                             size_t size, const void *payload, size_t payload_size)
{
    size_t found = 0;
    void *copy = malloc(size ? size : 1);
    if (!copy)
        return NULL;
    memcpy(copy, bytes, size);
    const char *inside = gpu_cache_open(identity, copy, size, &found);
    bool whole = inside && found == payload_size && memcmp(inside, payload, found) == 0;
    bool within = !inside || (size_t)(inside - (char *)copy) + found == size;
    free(copy);
    if (!within)
        __builtin_trap();
    return whole ? payload : NULL;
}

static void seal_and_change(const struct gpu_cache_identity *identity, enum change change,
                            uint8_t share, const uint8_t *payload, size_t payload_size)
{
    size_t size = 0;
    uint8_t *file = gpu_cache_seal(identity, payload, payload_size, &size);
    if (!file)
        return;
    size_t place = size * share / 256, end = change == CUT ? place : size;
    bool same = change == KEEP || change == OTHER;
    if (change == REPLACE) {
        size_t count = size - place < payload_size ? size - place : payload_size;
        same = memcmp(file + place, payload, count) == 0;
        memcpy(file + place, payload, count);
    }
    if (change == OTHER) {
        struct gpu_cache_identity other = *identity;
        other.build ^= UINT64_C(1) << share % 64;
        if (open_copy(&other, file, size, payload, payload_size))
            __builtin_trap();
    }
    if ((open_copy(identity, file, end, payload, payload_size) != NULL) != same)
        __builtin_trap();
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct gpu_cache_identity identity = {.vendor = 1, .device = 2, .driver = 3, .build = 4};
    if (size < 2)
        return 0;
    seal_and_change(&identity, bytes[0] % CHANGES, bytes[1], bytes + 2, size - 2);
    open_copy(&identity, bytes, size, bytes, size);
    load_all(bytes, size, size * bytes[1] / 256, bytes[0] * 16);
    return 0;
}
