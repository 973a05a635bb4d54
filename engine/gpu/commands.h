/* What the files behind recording share: the recorded list and its parts. */
#ifndef GPU_COMMANDS_H
#define GPU_COMMANDS_H

#include "gpu/gpu.h"

/* A growing array; {0} is empty. */
struct gpu_array {
    void *items;
    uint32_t count, capacity;
};

/* Room for one more item of `size` bytes, zeroed; NULL without host memory (reported). */
void *gpu_array_add(struct logger *log, struct gpu_array *array, size_t size);

/* Bytes of a buffer that a command touches. */
struct gpu_touch {
    VkBuffer buffer;
    uint64_t begin, end;
    uint32_t access; /* enum gpu_access bits */
};

struct gpu_commands {
    struct gpu_device *device;
    VkCommandBuffer handle;
    VkFence fence;
    bool owned; /* the command buffer is not the caller's */
    bool profile, ended;
    bool in_flight;       /* submitted, not waited for */
    uint32_t submissions; /* of the last run */
    uint32_t dispatches, barriers;
    struct gpu_array touches; /* struct gpu_touch: since the last barrier */
    struct gpu_array views;   /* of descriptors.c */
    struct gpu_array pools;   /* VkDescriptorPool; the last has `sets_left` */
    uint32_t sets_left;
    struct gpu_array query_pools; /* VkQueryPool, of QUERY_POOL_SIZE each */
    uint32_t queries;
    struct gpu_array entries; /* struct gpu_profile_entry: entry i has queries 1 + 2i, 2 + 2i */
    uint32_t last_query;      /* at the end of the list */
};

/* ---- hazards.c ---- */

/* Places a barrier if one of the touches conflicts with what was recorded since the last one, and
 * remembers them. Empty ranges touch nothing. */
status gpu_hazards_add(struct gpu_commands *commands, const struct gpu_touch *touches,
                       uint32_t count);
/* Barriers between this list and what runs before and after it, the host included. */
void gpu_hazards_begin(struct gpu_commands *commands);
void gpu_hazards_end(struct gpu_commands *commands);

/* ---- pieces.c ---- */

/* What a binding's descriptor shows of its buffer, in bytes of the buffer: at least what the items
 * touch. */
struct gpu_window {
    uint64_t begin, end;
    uint32_t base; /* element of the binding at `begin`, modulo 2^32 */
};

struct gpu_piece {
    uint64_t first, end; /* items */
    uint32_t groups_x, groups_y;
    struct gpu_window windows[GPU_MAX_BINDINGS]; /* of the bindings that the pipeline has */
};

/* The largest piece that starts at `first` and keeps to the limits; STATUS_UNSUPPORTED when not
 * even one item does. */
status gpu_piece_next(struct gpu_device *device, const struct gpu_dispatch *dispatch,
                      uint64_t first, struct gpu_piece *piece);
/* Checks a dispatch against its pipeline. */
status gpu_dispatch_check(struct gpu_device *device, const struct gpu_dispatch *dispatch);

/* ---- descriptors.c ---- */

/* A descriptor set for a piece, written. */
status gpu_descriptors_make(struct gpu_commands *commands, const struct gpu_dispatch *dispatch,
                            const struct gpu_piece *piece, VkDescriptorSet *out);
void gpu_descriptors_finish(struct gpu_commands *commands);

/* ---- queries.c ---- */

/* Records a timestamp after the stage; nothing where the queue has none. *query (may be NULL) is
 * its number. */
status gpu_queries_stamp(struct gpu_commands *commands, VkPipelineStageFlagBits stage,
                         uint32_t *query);
/* Milliseconds between two timestamps of the last run. */
status gpu_queries_ms(struct gpu_commands *commands, uint32_t from, uint32_t to, double *ms);
void gpu_queries_finish(struct gpu_commands *commands);

#endif
