/* context: what api/ files share: the opaque types of adamra.h and small helpers.
 *
 * A context owns its logger and its device. Everything made from it keeps a pointer to it. */
#ifndef CONTEXT_H
#define CONTEXT_H

#include "adamra.h"
#include "gpu/gpu.h"

struct adamra_context {
    struct logger log; /* log.user is the context: lines go on to `write` */
    adamra_log_fn write;
    void *user;
    bool running;       /* between context_enter and context_leave */
    bool failures_held; /* what `fail` is given is not passed on: who holds it has another way */
    struct gpu_device *device;
    struct gpu_store files; /* the cache's where it is files; else {0} */
    const char *candidate;  /* kernels forced by name; NULL: chosen per device; not owned */
    bool no_tune, limited;  /* as its parameters say: usual kernels only; limits are lowered */
    uint32_t tuned;         /* as adamra_device_info's */
    uint64_t buffers_made;  /* serial number of the last adamra_buffer */
};

struct adamra_buffer {
    struct adamra_context *context;
    struct gpu_buffer *memory;
    uint64_t serial; /* unique in its context: tells a new buffer at an old address apart */
};

/* The public name of a status; the two enums have equal values. */
static inline adamra_status context_status(status code)
{
    return (adamra_status)code;
}

/* Reports that the argument called `name` is NULL; ADAMRA_INVALID_ARGUMENT. */
adamra_status context_fail_null(struct adamra_context *context, const char *name);

/* Around a run, which calls the caller's functions: STATUS_INVALID_ARGUMENT where one of these
 * begins another, under whose hands the first one's plan would go. */
status context_enter(struct adamra_context *context);
void context_leave(struct adamra_context *context);

/* In a function with a `log` that returns a status: the front door's check of an argument. */
#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return fail(log, STATUS_INVALID_ARGUMENT, __VA_ARGS__);                                \
    } while (0)

/* Has a device made on the caller's Vulkan objects (vulkan.c); *external must live until then. */
void vulkan_adopt(const adamra_vulkan *vulkan, struct gpu_external *external,
                  struct gpu_device_params *params);

/* Has the device use what adamra_tune has kept for it, if anything (tune.c). */
void tune_open(struct adamra_context *context);

/* For tests and tuning: plans made from now on run candidates of this name where an op has one
 * that the device satisfies; NULL: back to the default choice. `name` must outlive the context. */
void adamra_context_force(adamra_context *context, const char *name);

/* Milliseconds of a clock that never goes back. */
double context_clock_ms(void);

#endif
