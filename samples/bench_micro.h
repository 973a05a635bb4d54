/* bench_micro: what a device can do at best, measured by the program itself. */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include "gpu/gpu.h"

struct device_rates {
    double copy_gbytes_per_s;      /* read and written */
    double f32_gflops, f16_gflops; /* multiply-adds in registers; f16: 0 where not possible */
};

/* The best of *rates so far, of several runs, and, for copies, of several ways: kernels with
 * storage buffer and with texel buffer loads, and the driver's own copy. About a second on a CPU
 * device. */
status micro_measure(struct gpu_device *device, struct device_rates *rates);

#endif
