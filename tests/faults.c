/* Decides which call fails, and counts. */
#include "base/base.h"
#include "faults_inside.h"
#include <string.h>

static const struct error_row {
    uint32_t bit; /* enum fault_error */
    VkResult result;
} error_rows[] = {
    {HOST, VK_ERROR_OUT_OF_HOST_MEMORY}, {DEVICE, VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {LOST, VK_ERROR_DEVICE_LOST},        {INIT, VK_ERROR_INITIALIZATION_FAILED},
    {MAP, VK_ERROR_MEMORY_MAP_FAILED},   {POOL, VK_ERROR_OUT_OF_POOL_MEMORY},
};

#define MAX_PENDING 64

/* A submission that nobody has waited for. */
struct pending {
    VkFence fence;
    VkCommandBuffer command;
};

static struct {
    bool watched, coherent, overlap, paused;
    uint32_t classes; /* 0: disarmed */
    uint32_t countdown, error;
    VkResult result;
    bool lost;
    const char *failed, *misuse;
    uint32_t total;
    int32_t alive;
    VkDevice device;
    struct pending pending[MAX_PENDING];
    uint32_t pending_count;
} state;

/* ---- what fails ---- */

void faults_reset(void)
{
    uint32_t total = state.total;
    memset(&state, 0, sizeof(state));
    state.total = total;
}

void faults_watch(bool on)
{
    state.watched = on;
}

void faults_keep_coherent(bool on)
{
    state.coherent = on;
}

bool faults_coherent(void)
{
    return state.coherent;
}

void faults_expect_overlap(bool on)
{
    state.overlap = on;
}

bool faults_watched(void)
{
    return state.watched;
}

void faults_arm(uint32_t classes, uint32_t index, VkResult error)
{
    state.countdown = index;
    state.result = error;
    state.failed = NULL;
    state.lost = false;
    state.error = 0;
    for (size_t i = 0; i < ARRAY_SIZE(error_rows); i++)
        if (error_rows[i].result == error)
            state.error = error_rows[i].bit;
    state.classes = classes; /* last: from here on malloc may fail */
}

void faults_disarm(void)
{
    state.classes = 0;
    state.lost = false;
}

void faults_pause(bool on)
{
    state.paused = on;
}

const char *faults_failed(void)
{
    return state.failed;
}

uint32_t faults_total(void)
{
    return state.total;
}

bool faults_next(uint32_t class, const char *name)
{
    if (!(state.classes & class) || state.paused || state.failed || state.countdown-- > 0)
        return false;
    state.failed = name;
    state.total++;
    return true;
}

/* A device that is lost does nothing any more: what runs is waited for, since it will be freed. */
VkResult faults_result(const char *name, uint32_t class, uint32_t errors)
{
    if (state.lost && !state.paused)
        return errors & LOST ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
    if (!(errors & state.error) || !faults_next(class, name))
        return VK_SUCCESS;
    if (state.error == LOST) {
        state.lost = true;
        faults_idle();
        if (state.device)
            faults_really_wait(state.device);
    }
    return state.result;
}

/* ---- what is alive ---- */

void faults_count(int32_t made)
{
    state.alive += made;
}

void faults_set_device(VkDevice device)
{
    state.device = device;
}

int32_t faults_alive(void)
{
    return state.alive;
}

void faults_misused(const char *name)
{
    if (!state.misuse)
        state.misuse = name;
}

const char *faults_misuse(void)
{
    return state.misuse;
}

/* ---- what is in flight ---- */

bool faults_in_use(void)
{
    return state.pending_count > 0 && !state.overlap;
}

bool faults_pending(void)
{
    return state.pending_count > 0;
}

bool faults_pending_fence(VkFence fence)
{
    for (uint32_t i = 0; i < state.pending_count; i++)
        if (fence && state.pending[i].fence == fence)
            return true;
    return false;
}

bool faults_pending_command(VkCommandBuffer command)
{
    for (uint32_t i = 0; i < state.pending_count; i++)
        if (state.pending[i].command == command)
            return true;
    return false;
}

void faults_submitted(VkFence fence, VkCommandBuffer command)
{
    if (state.pending_count == MAX_PENDING)
        faults_misused("vkQueueSubmit, more often than is counted here");
    else
        state.pending[state.pending_count++] = (struct pending){fence, command};
}

void faults_waited(VkFence fence)
{
    for (uint32_t i = state.pending_count; i-- > 0;)
        if (state.pending[i].fence == fence) {
            state.pending_count -= i + 1;
            memmove(state.pending, state.pending + i + 1,
                    state.pending_count * sizeof(*state.pending));
            return;
        }
}

void faults_idle(void)
{
    state.pending_count = 0;
}
