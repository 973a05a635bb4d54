/* parallel: independent pieces of work on threads that live as long as the call. */
#ifndef PARALLEL_H
#define PARALLEL_H

#include <stdint.h>

#define PARALLEL_MOST 8 /* threads of one call, the caller's included */

/* Processors that the system schedules on, at least 1. */
uint32_t parallel_processors(void);

/* Calls run(user, i) for each i < count, on at most `most` threads, the caller's among them, in no
 * order; returns when all have returned. Threads that cannot be had are done without. */
void parallel_run(uint32_t count, uint32_t most, void (*run)(void *user, uint32_t index),
                  void *user);

#endif
