#include "ops/tune.h"
#include "base/system.h"

/* The share that is done, by shapes or by time, whichever is more. */
static double share_done(const struct op_tuning *tuning, uint32_t shapes)
{
    double left_ms = tuning->end_ms - system_clock_ms();
    double by_time = 1 - left_ms / tuning->params->max_ms;
    double by_shapes = (double)shapes / op_shape_count;
    double done = by_time > by_shapes ? by_time : by_shapes;
    return done < 1 ? done : 1;
}

/* The class of a shape, whatever its rows. */
static uint32_t class_of(const struct op_shape *shape, enum element_type type)
{
    const struct op_call call = op_shape_call(shape, type, SHAPE_ROWS);
    return op_class_of(&call);
}

status op_tune(struct gpu_device *device, const struct op_tune_params *params,
               struct op_choices *choices)
{
    struct op_tuning tuning = {.device = device,
                               .params = params,
                               .random = random_seed(1),
                               .end_ms = system_clock_ms() + params->max_ms};
    const struct op_choices before = *choices;
    uint32_t done = 0;
    double most = 0;
    status result = STATUS_OK;
    for (uint32_t known = 0; known < 2; known++) {
        for (uint32_t i = 0; i < op_shape_count && !result; i++) {
            const struct op_shape *shape = &op_shapes[i];
            bool is_known = before.chosen[class_of(shape, params->type)] != CHOICE_NONE;
            if (is_known != (known == 1))
                continue;
            double share = share_done(&tuning, done++);
            most = share > most ? share : most;
            device->progress_from = device->progress_to = most;
            result = gpu_progress(device, 0);
            if (!result)
                result = op_tune_shape(&tuning, shape, choices);
        }
    }
    device->progress_from = device->progress_to = 1;
    if (!result)
        result = gpu_progress(device, 1);
    device->progress_from = 0;
    return result;
}
