/* faults: makes one call in a run fail, be it of Vulkan's or of malloc's, and counts what is alive.
 *
 * The loader's door, gpu_loader_open, and the allocation functions are replaced when the suites are
 * linked (--wrap), so that the library under test is the one that is shipped. Nothing is replaced
 * for a device that was opened before faults_watch, and nothing fails unless it was asked for. */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stdint.h>
#include <volk.h>

/* Which calls are counted and may fail. */
enum fault_class {
    FAULT_OPEN = 1,     /* Vulkan, until there is a device */
    FAULT_PIPELINE = 2, /* Vulkan, for pipelines and their layouts */
    FAULT_DEVICE = 4,   /* all other device functions */
    FAULT_HOST = 8,     /* malloc, calloc, realloc */
    FAULT_FENCE = 16,   /* looks at fences, of which there is one at least in a wait */
};

/* Forgets all but the number of failures: for the start of a test. */
void faults_reset(void);
/* Devices that are opened from now on can fail, and their objects are counted. */
void faults_watch(bool on);
/* Of devices that are opened from now on some memory is coherent, as imports need: else none is,
 * and the engine has to flush what it maps. */
void faults_keep_coherent(bool on);
/* The call number `index`, from 0, of those in `classes` that may return `error` does so without
 * doing anything; for FAULT_HOST `error` is not used. After VK_ERROR_DEVICE_LOST all calls that may
 * return it do, until faults_arm or faults_disarm. */
void faults_arm(uint32_t classes, uint32_t index, VkResult error);
/* Nothing fails any more. */
void faults_disarm(void);
/* Calls of a program around the engine: while it is on, none is counted or fails. */
void faults_pause(bool on);
/* The function that was made to fail since faults_arm; NULL: none, there were fewer calls. */
const char *faults_failed(void);
/* All failures so far, for the report. */
uint32_t faults_total(void);

/* Vulkan objects of watched devices that are alive, instances and devices included. */
int32_t faults_alive(void);
/* Allocations less those freed, since the start, of calls while it is on. Check's macros allocate
 * too: off around them. Memory of other libraries counts when it is freed only. */
void faults_count_allocations(bool on);
int64_t faults_allocations(void);
/* Of several runs at a time one may end while others go on: what is destroyed meanwhile is told
 * from what is in use for fences and command buffers only. */
void faults_expect_overlap(bool on);
/* The first rule that was broken: an object that the device might still have used was reset, used
 * again or destroyed. NULL: none. */
const char *faults_misuse(void);

#endif
