/* random: a small generator for tests, selftest and bench inputs; the same on every machine.
 * Source: PCG32 (O'Neill 2014), XSH RR 64/32. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

struct random random_seed(uint64_t seed);
uint32_t random_u32(struct random *random);
/* Uniform in [low, high], both included. */
uint32_t random_between(struct random *random, uint32_t low, uint32_t high);
/* Uniform in [0, 1). */
double random_unit(struct random *random);
/* Standard normal (Box-Muller). */
double random_normal(struct random *random);

#endif
