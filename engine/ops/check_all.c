#include "ops/check.h"
#include <string.h>

static status check_candidate(struct gpu_device *device, const struct op_check_params *params,
                              const struct op *op, uint32_t index)
{
    const struct op_candidate *candidate = &op->candidates[index];
    static const enum element_type types[] = {ELEMENT_F32, ELEMENT_F16};
    if (params->candidate && strcmp(params->candidate, candidate->name) != 0)
        return STATUS_OK;
    for (uint32_t i = 0; i < ARRAY_SIZE(types); i++) {
        struct op_check_report report;
        if (params->type && *params->type != types[i])
            continue;
        status result = op_check(device, op, candidate, types[i],
                                 params->seed + 1000 * (2 * index + i), params->cases, &report);
        if (result)
            return result;
        params->report(params->user, &report);
    }
    return STATUS_OK;
}

status op_check_all(struct gpu_device *device, const struct op_check_params *params)
{
    for (uint32_t i = 0; i < op_count; i++) {
        if (params->op && strcmp(params->op, op_list[i]->name) != 0)
            continue;
        for (uint32_t c = 0; c < op_list[i]->candidate_count; c++) {
            if (params->stop && params->stop())
                return STATUS_OK;
            status result = check_candidate(device, params, op_list[i], c);
            if (result)
                return result;
        }
    }
    return STATUS_OK;
}
