/* Elements of host tensors, and the scalar functions that reference loops share. */
#include "ops/reference.h"
#include <math.h>

double tensor_get(const struct tensor *tensor, uint64_t element)
{
    if (tensor->type == ELEMENT_F16)
        return half_to_float(((const uint16_t *)tensor->host)[element]);
    return ((const float *)tensor->host)[element];
}

void tensor_set(const struct tensor *tensor, uint64_t element, double value)
{
    if (tensor->type == ELEMENT_F16)
        ((uint16_t *)tensor->host)[element] = half_from_float((float)value);
    else
        ((float *)tensor->host)[element] = (float)value;
}

uint32_t tensor_get_u32(const struct tensor *tensor, uint64_t element)
{
    return ((const uint32_t *)tensor->host)[element];
}

void tensor_set_u32(const struct tensor *tensor, uint64_t element, uint32_t value)
{
    ((uint32_t *)tensor->host)[element] = value;
}

uint32_t tensor_length(const struct tensor *lengths, uint32_t b, uint32_t limit)
{
    uint32_t length = tensor_get_u32(lengths, b);
    return length < limit ? length : limit;
}

double feature_map(uint32_t kind, double x)
{
    if (kind == FEATURE_RELU)
        return x > 0 ? x : 0;
    return x > 0 ? x + 1 : exp(x);
}

double gelu(double x)
{
    return 0.5 * x * erfc(-x * 0.7071067811865476);
}

double reference_pool(const struct tensor *tensor, uint64_t at, uint64_t stride, uint64_t first,
                      uint64_t end, uint32_t pooling)
{
    double pool = tensor_get(tensor, at + first * stride);
    for (uint64_t t = first + 1; t < end; t++) {
        double x = tensor_get(tensor, at + t * stride);
        pool = pooling == POOLING_MAX ? fmax(pool, x) : pool + x;
    }
    return pooling == POOLING_MAX ? pool : pool / (double)(end - first);
}
