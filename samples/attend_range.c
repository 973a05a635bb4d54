/* Numbers that are finite in the file and would not be on the device. */
#include "attend_input.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define CHUNK 4096 /* numbers that are looked at together */

/* Of one tensor: what its numbers are in the file and in memory, and which rows count. */
struct range {
    const struct st_tensor *tensor;
    const float *data;
    bool half;               /* stored in 16 bits */
    uint32_t rows, width;    /* of the innermost two axes */
    const uint32_t *lengths; /* rows of each batch row that are no padding; NULL: all */
    uint32_t batch;
};

/* Whether a number is at `limit` or above, also infinite or none: a loop without branches, which
 * compilers vectorise. */
static bool any_at(const float *data, size_t count, uint32_t limit)
{
    uint32_t most = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &data[i], sizeof(bits));
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    return most >= limit;
}

static double value_in_file(const struct range *range, uint64_t i)
{
    if (range->tensor->type != ST_F64) {
        return range->data[i];
    }
    const uint8_t *bytes = (const uint8_t *)range->tensor->data + i * sizeof(double);
    uint64_t bits = 0;
    double value;
    for (int byte = 7; byte >= 0; byte--) {
        bits = bits << 8 | bytes[byte];
    }
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* What padding holds does nothing. */
static bool is_padding(const struct range *range, uint64_t i)
{
    uint64_t row = i / range->width % range->rows;
    uint64_t b = i / (range->tensor->elements / range->batch);
    return range->lengths && row >= range->lengths[b];
}

static bool is_lost(const struct range *range, uint64_t i)
{
    float limit = range->half ? HALF_OVERFLOW : INFINITY;
    return fabsf(range->data[i]) >= limit && isfinite(value_in_file(range, i)) &&
           !is_padding(range, i);
}

static status check(struct logger *log, const char *path, const struct range *range)
{
    const float limit = range->half ? HALF_OVERFLOW : INFINITY;
    const uint64_t count = range->tensor->elements;
    uint32_t limit_bits;
    memcpy(&limit_bits, &limit, sizeof(limit_bits));
    for (uint64_t first = 0; first < count; first += CHUNK) {
        uint64_t end = size_min(first + CHUNK, count);
        if (!any_at(range->data + first, (size_t)(end - first), limit_bits)) {
            continue;
        }
        for (uint64_t i = first; i < end; i++) {
            if (is_lost(range, i)) {
                return fail(log, STATUS_BAD_INPUT,
                            "%s: tensor '%s': element %" PRIu64 " is %g; expected at most %s", path,
                            range->tensor->name, i, value_in_file(range, i),
                            range->half ? "65504 for 16 bit storage"
                                        : "3.40282e+38 for 32 bit storage");
            }
        }
    }
    return STATUS_OK;
}

status attend_input_check_range(struct logger *log, const struct attend_input *input)
{
    const adamra_attention_params *params = &input->params;
    bool half = params->type == ADAMRA_F16;
    const struct {
        const char *name;
        const struct floats *floats;
        bool half;
        const uint32_t *lengths;
    } rows[] = {
        {"q", &input->q, half, input->query_lengths},
        {"k", &input->k, half, input->key_lengths},
        {"v", &input->v, half, input->key_lengths},
        {"router.logits", &input->router_logits, half, input->query_lengths},
        {"router.weight", &input->router_weight, false, NULL},
        {"router.bias", &input->router_bias, false, NULL},
    };
    status result = STATUS_OK;
    for (size_t i = 0; i < ARRAY_SIZE(rows) && result == STATUS_OK; i++) {
        const struct st_tensor *tensor =
            rows[i].floats->data ? st_find(&input->file, rows[i].name) : NULL;
        /* Numbers of at most 32 bits are in 32 bits what they are in the file. */
        if (!tensor || tensor->elements == 0 || (!rows[i].half && tensor->type != ST_F64)) {
            continue;
        }
        const struct range range = {.tensor = tensor,
                                    .data = rows[i].floats->data,
                                    .half = rows[i].half,
                                    .rows = (uint32_t)tensor->shape[tensor->dims - 2],
                                    .width = (uint32_t)tensor->shape[tensor->dims - 1],
                                    .lengths = rows[i].lengths,
                                    .batch = params->batch};
        result = check(log, input->file.path, &range);
    }
    return result;
}
