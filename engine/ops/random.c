#include "ops/random.h"
#include <math.h>

#define MULTIPLIER 6364136223846793005u
#define INCREMENT  1442695040888963407u

struct random random_seed(uint64_t seed)
{
    struct random random = {seed + INCREMENT};
    random_u32(&random);
    return random;
}

uint32_t random_u32(struct random *random)
{
    uint64_t state = random->state;
    random->state = state * MULTIPLIER + INCREMENT;
    uint32_t folded = (uint32_t)(((state >> 18) ^ state) >> 27);
    uint32_t turn = (uint32_t)(state >> 59);
    return folded >> turn | folded << (-turn & 31);
}

uint32_t random_between(struct random *random, uint32_t low, uint32_t high)
{
    uint64_t count = (uint64_t)high - low + 1;
    return low + (uint32_t)(random_u32(random) * count >> 32);
}

double random_unit(struct random *random)
{
    return random_u32(random) / 4294967296.0;
}

double random_normal(struct random *random)
{
    double radius = sqrt(-2 * log(1 - random_unit(random)));
    return radius * cos(6.283185307179586 * random_unit(random));
}
