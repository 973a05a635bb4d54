/* Runs a list: groups of parts go to the queue so that none takes longer than it may, by the rate
 * that was measured so far; two at most are on their way, which keeps the device busy. */
#include "base/system.h"
#include "gpu/commands.h"
#include <assert.h>
#include <math.h>

/* A measured rate grows at most by this from one group to the next, and falls at once. */
#define RATE_GROWTH 1.25
/* Parts below this share of a full one, of operations and of time, say nothing of the rate. */
#define LEAST_SHARE 0.25

/* ---- rates ---- */

/* Whether parts that took so long say something of the rate. Drivers finish compiling when a
 * dispatch begins for the first time, which says nothing. */
static bool says_rate(const struct gpu_commands *commands, double operations, bool begins,
                      double ms)
{
    return ms > 0 && (commands->has_run || !begins) &&
           (operations >= LEAST_SHARE * commands->grain ||
            ms >= LEAST_SHARE * commands->device->max_submit_ms);
}

/* Takes over what the slowest part of a group has shown. A list's first run says nothing of a rate
 * below what any device has: lists recorded after it would be cut into splinters. */
static void learn(const struct gpu_commands *commands, double slowest)
{
    struct gpu_device *device = commands->device;
    double known = device->operations_per_ms;
    if (!commands->has_run)
        slowest = fmax(slowest, gpu_rate_floor(device));
    if (isfinite(slowest))
        device->operations_per_ms = known > 0 ? fmin(slowest, known * RATE_GROWTH) : slowest;
}

/* Adds a finished group's time on the device to the run's. */
static status measure_parts(struct gpu_commands *commands, const struct gpu_group *group)
{
    const struct gpu_part *parts = commands->parts.items;
    struct gpu_device *device = commands->device;
    struct gpu_run *run = &commands->run;
    double slowest = (double)INFINITY;
    for (uint32_t i = group->first; i < group->end; i++) {
        uint64_t ticks[2];
        status result =
            gpu_queries_ticks(commands, parts[i].first_query, parts[i].last_query, ticks);
        if (result)
            return result;
        uint64_t begin = ticks[0], end = ticks[1];
        /* A part may start before the last one has ended. */
        if (i > 0 && gpu_ticks_ms(device, begin, run->last_tick) > 0)
            begin = run->last_tick;
        double ms = fmax(gpu_ticks_ms(device, begin, end), 0);
        /* Between parts of a group the device is not idle. */
        if (i > group->first)
            run->device_ms += fmax(gpu_ticks_ms(device, run->last_tick, begin), 0);
        run->device_ms += ms;
        run->last_tick = end;
        if (says_rate(commands, parts[i].operations, parts[i].begins, ms))
            slowest = fmin(slowest, parts[i].operations / ms);
    }
    learn(commands, slowest);
    return STATUS_OK;
}

/* Without timestamps: the host's clock, for the group as a whole. */
static void measure_group(struct gpu_commands *commands, const struct gpu_group *group,
                          double operations)
{
    const struct gpu_part *parts = commands->parts.items;
    bool begins = false;
    struct gpu_run *run = &commands->run;
    double now = system_clock_ms();
    double ms = now - fmax(group->start_ms, run->last_ms);
    for (uint32_t i = group->first; i < group->end; i++)
        begins |= parts[i].begins;
    run->device_ms = -1;
    run->last_ms = now;
    if (says_rate(commands, operations, begins, ms))
        learn(commands, operations / ms);
}

/* ---- groups ---- */

/* The first part that does not go with those from `first` on. */
static uint32_t group_end(const struct gpu_commands *commands, uint32_t first)
{
    const struct gpu_device *device = commands->device;
    const struct gpu_part *parts = commands->parts.items;
    const uint32_t count = commands->parts.count;
    if (isinf(device->max_submit_ms))
        return count;
    double room = device->operations_per_ms * device->max_submit_ms;
    uint32_t end = first;
    while (end < count && (end == first || parts[end].operations <= room))
        room -= parts[end++].operations;
    return end;
}

static status submit_group(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    struct gpu_run *run = &commands->run;
    const VkCommandBuffer *handles = commands->handles.items;
    const uint32_t slot = run->submissions % GPU_MAX_FLIGHTS;
    status result = STATUS_OK;
    struct gpu_group group = {
        .first = run->next, .end = group_end(commands, run->next), .start_ms = system_clock_ms()};
    VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                           .commandBufferCount = group.end - group.first,
                           .pCommandBuffers = &handles[group.first]};
    GPU_TRY(device, result, device->vk.vkResetFences(device->handle, 1, &commands->fences[slot]));
    result = gpu_queue_submit(device, 1, &submit, commands->fences[slot]);
    if (result)
        return result;
    run->groups[slot] = group;
    run->next = group.end;
    run->submissions++;
    run->flights++;
error:
    return result;
}

/* Waits for the oldest group. */
static status wait_group(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    struct gpu_run *run = &commands->run;
    const struct gpu_part *parts = commands->parts.items;
    const uint32_t slot = (run->submissions - run->flights) % GPU_MAX_FLIGHTS;
    const struct gpu_group *group = &run->groups[slot];
    double operations = 0;
    run->flights--;
    for (uint32_t i = group->first; i < group->end; i++)
        operations += parts[i].operations;
    status result = gpu_fence_wait(device, commands->fences[slot]);
    if (result)
        return result;
    run->done += operations;
    if (device->features.timestamps)
        result = measure_parts(commands, group);
    else
        measure_group(commands, group, operations);
    return result;
}

/* ---- runs ---- */

/* Clears the flag: it ends one run. */
static status check_cancel(struct gpu_device *device)
{
    return atomic_exchange(&device->cancelled, false)
               ? fail(device->log, STATUS_CANCELLED, "cancelled by the caller")
               : STATUS_OK;
}

status gpu_progress(struct gpu_device *device, double share)
{
    double done = device->progress_from + (device->progress_to - device->progress_from) * share;
    if (device->progress && device->progress(device->progress_user, done))
        gpu_cancel(device);
    return check_cancel(device);
}

static bool all_submitted(const struct gpu_commands *commands)
{
    return commands->run.next == commands->parts.count;
}

static status fill_queue(struct gpu_commands *commands)
{
    const struct gpu_run *run = &commands->run;
    status result = STATUS_OK;
    while (!result && run->flights < GPU_MAX_FLIGHTS && !all_submitted(commands))
        result = submit_group(commands);
    return result;
}

/* One step of a run that has something on its way: waits for it, says how far the run is, and
 * submits what comes next. After a failure it only waits. */
static void advance(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    struct gpu_run *run = &commands->run;
    status result = wait_group(commands);
    if (run->outcome)
        return;
    bool last = run->flights == 0 && all_submitted(commands);
    if (!result)
        result = last ? check_cancel(device)
                      : gpu_progress(device, run->done / fmax(commands->operations, 1));
    if (!result)
        result = fill_queue(commands);
    run->outcome = result;
}

/* What was submitted before goes first, all of it. */
static status submit_pending(struct gpu_device *device)
{
    struct gpu_commands *pending = device->pending;
    if (!pending)
        return STATUS_OK;
    while (!pending->run.outcome && !all_submitted(pending))
        advance(pending);
    device->pending = NULL;
    return pending->run.outcome;
}

status gpu_commands_submit(struct gpu_commands *commands)
{
    struct gpu_device *device = commands->device;
    struct gpu_run *run = &commands->run;
    assert(commands->owned && commands->ended && !run->active);
    *run = (struct gpu_run){0};
    status result = gpu_device_check(device);
    if (!result)
        result = submit_pending(device);
    if (result)
        return result;
    result = check_cancel(device);
    if (result)
        return result;
    run->last_ms = system_clock_ms();
    result = fill_queue(commands);
    if (run->flights == 0)
        return result;
    run->active = true;
    run->outcome = result; /* of the second group: told by the wait for the first */
    if (!all_submitted(commands))
        device->pending = commands;
    return STATUS_OK;
}

status gpu_commands_wait(struct gpu_commands *commands, double *device_ms)
{
    struct gpu_run *run = &commands->run;
    assert(run->active);
    while (run->flights > 0)
        advance(commands);
    gpu_run_stop(commands);
    run->whole = !run->outcome;
    commands->has_run |= run->whole;
    if (device_ms)
        *device_ms = run->device_ms;
    return run->outcome;
}

void gpu_run_stop(struct gpu_commands *commands)
{
    struct gpu_run *run = &commands->run;
    if (run->flights > 0)
        run->outcome = STATUS_CANCELLED;
    while (run->flights > 0)
        advance(commands);
    if (run->active && !all_submitted(commands)) {
        status result = gpu_foreign_give_stopped(commands);
        if (result && run->outcome == STATUS_CANCELLED)
            run->outcome = result;
    }
    run->active = false;
    if (commands->device->pending == commands)
        commands->device->pending = NULL;
}

status gpu_commands_run(struct gpu_commands *commands, double *device_ms)
{
    status result = gpu_commands_submit(commands);
    return result ? result : gpu_commands_wait(commands, device_ms);
}

uint32_t gpu_commands_submissions(const struct gpu_commands *commands)
{
    return commands->run.submissions;
}

uint32_t gpu_commands_parts(const struct gpu_commands *commands)
{
    return commands->parts.count;
}
