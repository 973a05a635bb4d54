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
    bool foreign; /* see gpu_buffer */
    uint64_t begin, end;
    uint32_t access; /* enum gpu_access bits */
};

/* A foreign buffer that a list takes over, and the part that does. */
struct gpu_foreign {
    VkBuffer buffer;
    uint32_t part;
};

/* A command buffer of the list: the least that is submitted. */
struct gpu_part {
    double operations; /* see gpu_dispatch */
    bool begins;       /* some dispatch begins in it: drivers compile then, in a first run */
    uint32_t first_query, last_query;
};

/* The parts [first, end), submitted together. */
struct gpu_group {
    uint32_t first, end;
    double start_ms; /* of the host's clock */
};

#define GPU_MAX_FLIGHTS 2

/* The run that is on its way, or the last one. */
struct gpu_run {
    bool active;                              /* submitted, not waited for */
    bool whole;                               /* ended with all that was to be done */
    status outcome;                           /* of what was submitted and waited for so far */
    uint32_t next;                            /* the first part that was not submitted */
    uint32_t submissions;                     /* submission i has fence i % GPU_MAX_FLIGHTS */
    uint32_t flights;                         /* the last so many are not waited for */
    struct gpu_group groups[GPU_MAX_FLIGHTS]; /* as fences */
    double done;                              /* operations of what was waited for */
    double device_ms;                         /* -1 without timestamps */
    uint64_t last_tick;                       /* when the device last was busy */
    double last_ms;                           /* the same by the host's clock */
};

/* Time between two timestamps, and which entry of a profile it belongs to. */
struct gpu_mark {
    uint32_t entry, from, to;
};

struct gpu_commands {
    struct gpu_device *device;
    VkCommandBuffer handle; /* being recorded: the last part's, or the caller's */
    VkFence fences[GPU_MAX_FLIGHTS];
    bool owned; /* the command buffer is not the caller's */
    bool profile, ended;
    bool has_run;             /* to its end, once at least */
    double grain;             /* operations that a part has at most; infinite: one part */
    double operations;        /* of all parts */
    struct gpu_array parts;   /* struct gpu_part */
    struct gpu_array handles; /* VkCommandBuffer of each part */
    struct gpu_run run;
    uint32_t dispatches, barriers;
    struct gpu_array touches; /* struct gpu_touch: since the last barrier */
    struct gpu_array foreign; /* struct gpu_foreign: taken over, given back at the end */
    struct gpu_array views;   /* of descriptors.c */
    struct gpu_array pools;   /* VkDescriptorPool; the last has `sets_left` */
    uint32_t sets_left;
    struct gpu_array query_pools; /* of queries.c */
    uint32_t queries;
    struct gpu_array entries; /* struct gpu_profile_entry */
    struct gpu_array marks;   /* struct gpu_mark */
};

/* ---- submit.c ---- */

/* Waits for what is on its way and forgets the rest; foreign buffers are given back. */
void gpu_run_stop(struct gpu_commands *commands);

/* ---- parts.c ---- */

/* Operations a millisecond that are believed of a device before a measurement shows less: no more
 * than what is known of it. */
double gpu_rate_floor(const struct gpu_device *device);
/* Chooses the size of parts and opens the first. */
status gpu_parts_begin(struct gpu_commands *commands);
/* Closes the last part. */
status gpu_parts_end(struct gpu_commands *commands);
void gpu_parts_finish(struct gpu_commands *commands);
/* Whether the open part has no room for so many more operations. */
bool gpu_part_full(const struct gpu_commands *commands, double operations);
/* Closes the open part and opens the next one. */
status gpu_part_cut(struct gpu_commands *commands);
/* Counts what was recorded into the open part; begins: see gpu_part. */
void gpu_part_add(struct gpu_commands *commands, double operations, bool begins);
/* Into how many pieces work is to be cut, so that each fits a part. */
uint64_t gpu_part_pieces(const struct gpu_commands *commands, double operations);

/* ---- once.c ---- */

/* A command buffer of the device's pool. */
status gpu_command_make(struct gpu_device *device, VkCommandBuffer *command);
/* Work that is recorded, submitted and waited for at once; {0} is empty. */
struct gpu_once {
    VkCommandBuffer command;
    VkFence fence;
};
/* After a failure too gpu_once_finish is to be called. */
status gpu_once_init(struct gpu_device *device, struct gpu_once *once);
/* Between these two commands are recorded; again and again. */
status gpu_once_begin(struct gpu_device *device, const struct gpu_once *once);
status gpu_once_run(struct gpu_device *device, const struct gpu_once *once);
void gpu_once_finish(struct gpu_device *device, struct gpu_once *once);

/* ---- foreign.c ---- */

/* Takes all of a foreign buffer over or gives it back. */
void gpu_foreign_pass(struct gpu_device *device, VkCommandBuffer command, VkBuffer buffer,
                      bool taken);
/* Takes a foreign buffer over, before its first use in a list. */
status gpu_foreign_take(struct gpu_commands *commands, VkBuffer buffer);
/* Gives back what the parts before `parts` have taken over. */
void gpu_foreign_give(const struct gpu_commands *commands, VkCommandBuffer command, uint32_t parts);
/* The same of a run that was stopped before its last part, which would have done it. */
status gpu_foreign_give_stopped(const struct gpu_commands *commands);

/* ---- hazards.c ---- */

/* What commands are here, and what they do to memory. */
#define GPU_STAGES   (VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT)
#define GPU_WRITES   (VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT)
#define GPU_ACCESSES (GPU_WRITES | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT)

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

/* The largest piece that starts at `first`, keeps to the limits and has at most `most` > 0 items;
 * STATUS_UNSUPPORTED when not even one item does. */
status gpu_piece_next(struct gpu_device *device, const struct gpu_dispatch *dispatch,
                      uint64_t first, uint64_t most, struct gpu_piece *piece);
/* Checks a dispatch against its pipeline. */
status gpu_dispatch_check(struct gpu_device *device, const struct gpu_dispatch *dispatch);

/* ---- descriptors.c ---- */

/* A descriptor set for a piece, written. */
status gpu_descriptors_make(struct gpu_commands *commands, const struct gpu_dispatch *dispatch,
                            const struct gpu_piece *piece, VkDescriptorSet *out);
void gpu_descriptors_finish(struct gpu_commands *commands);

/* ---- queries.c ---- */

/* Records a timestamp after the stage; nothing where the queue has none. *query is its number. */
status gpu_queries_stamp(struct gpu_commands *commands, VkPipelineStageFlagBits stage,
                         uint32_t *query);
/* Records that the host gets to know timestamps, from one to another. */
void gpu_queries_copy(struct gpu_commands *commands, uint32_t from, uint32_t to);
/* What two timestamps of the last run say, of those that gpu_queries_copy was called for. */
status gpu_queries_ticks(const struct gpu_commands *commands, uint32_t from, uint32_t to,
                         uint64_t ticks[2]);
/* Milliseconds from one time to another, negative when `to` was before. */
double gpu_ticks_ms(const struct gpu_device *device, uint64_t from, uint64_t to);
void gpu_queries_finish(struct gpu_commands *commands);

#endif
