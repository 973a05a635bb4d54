/* bench_encoder: models of the encoder pass. */
#ifndef BENCH_ENCODER_H
#define BENCH_ENCODER_H

#include "bench_work.h"

/* Loads a model folder twice: on the device, and as host memory for the check. */
status bench_model_load(struct logger *log, struct gpu_device *device, const char *folder,
                        enum element_type type, struct bench_model **out);
void bench_model_destroy(struct bench_model *model);

#endif
