/* plan: gives the tensors of a graph memory, once, and runs its calls, many times.
 *
 * Scratch tensors are placed in one arena buffer by lifetime; bound ones are the caller's. The
 * device path records all commands once; the reference path runs the same calls on the host. */
#ifndef PLAN_H
#define PLAN_H

#include "ops/graph.h"

/* Memory of a bound tensor. */
struct plan_binding {
    struct gpu_buffer *buffer; /* device path */
    uint64_t offset;           /* bytes, a multiple of 16 */
    void *host;                /* reference path */
};

struct plan_params {
    bool profile;
    const char *candidate;   /* forced where an op has one of this name; NULL: choose */
    VkCommandBuffer command; /* of the caller's, being recorded: the plan goes there, is never run
                              * here, submits nothing, and lives until `command` has executed */
};

struct plan;

/* `bindings` has graph->tensor_count entries (scratch ones ignored) and is read during the call
 * only; the graph, the bound memory and params->candidate must outlive the plan. */
status plan_create(struct gpu_device *device, const struct graph *graph,
                   const struct plan_binding *bindings, const struct plan_params *params,
                   struct plan **out);
void plan_destroy(struct plan *plan);
/* Records the commands again where that was done before the device's rate was known and cut them
 * much finer than needed. The plan's commands must not be on their way. */
status plan_refresh(struct plan *plan);
/* plan_refresh, then submits and waits. *device_ms may be NULL. */
status plan_run(struct plan *plan, double *device_ms);
/* Bytes of the arena: memory beyond what is bound; before there is a plan, and of one. */
status plan_measure(struct logger *log, const struct graph *graph, uint64_t *bytes);
uint64_t plan_scratch_bytes(const struct plan *plan);
/* The recorded commands, until the next plan_refresh: for profiles and for running them apart. */
struct gpu_commands *plan_commands(struct plan *plan);

/* Runs the graph on the reference loops; bindings[].host of bound tensors. No device. */
status plan_run_reference(struct logger *log, const struct graph *graph,
                          const struct plan_binding *bindings);

#endif
