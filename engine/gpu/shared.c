/* The shared memory of a SPIR-V module: sizes of its workgroup variables, with array lengths that
 * specialisation constants decide. As reflect.c, it trusts no module. */
#include "gpu/needs.h"
#include "gpu/spirv.h"
#include <stdlib.h>

#define MAX_DEPTH 16
/* More is beyond any device; sums of it cannot overflow. */
#define MAX_SHARED_BYTES (UINT64_C(1) << 31)

/* ---- sizes: as std430 lays variables out, which is what Vulkan counts shared memory by ---- */

struct layout {
    uint64_t size, alignment;
};

static bool lay_out(const struct spirv_special *special, const struct spirv_id *type,
                    uint32_t depth, struct layout *out);

static bool lay_out_inner(const struct spirv_special *special, const struct spirv_id *type,
                          uint32_t index, uint32_t depth, struct layout *out)
{
    const struct spirv_id *inner =
        spirv_earlier(special->module, type, spirv_operand(special->module, type, index));
    return inner && lay_out(special, inner, depth - 1, out) && out->size <= MAX_SHARED_BYTES;
}

static bool lay_out_struct(const struct spirv_special *special, const struct spirv_id *type,
                           uint32_t depth, struct layout *out)
{
    *out = (struct layout){0, 1};
    for (uint32_t member = 2; member < type->length; member++) {
        struct layout inner;
        if (!lay_out_inner(special, type, member, depth, &inner))
            return false;
        out->size = size_round_up(out->size, inner.alignment) + inner.size;
        out->alignment = size_max(out->alignment, inner.alignment);
    }
    out->size = size_round_up(out->size, out->alignment);
    return true;
}

static bool lay_out(const struct spirv_special *special, const struct spirv_id *type,
                    uint32_t depth, struct layout *out)
{
    uint32_t count;
    if (depth == 0)
        return false;
    switch (type->op) {
    case SPIRV_TYPE_BOOL:
        *out = (struct layout){4, 4};
        return true;
    case SPIRV_TYPE_INT:
    case SPIRV_TYPE_FLOAT:
        out->size = out->alignment = spirv_operand(special->module, type, 2) / 8;
        return out->size > 0 && out->size <= 8;
    case SPIRV_TYPE_VECTOR:
        if (!lay_out_inner(special, type, 2, depth, out))
            return false;
        count = spirv_operand(special->module, type, 3);
        out->alignment *= count == 2 ? 2 : 4;
        out->size *= count;
        return count >= 2 && count <= 4;
    case SPIRV_TYPE_ARRAY:
        if (!lay_out_inner(special, type, 2, depth, out) ||
            !spirv_constant(special, type, 3, &count))
            return false;
        return size_mul(size_round_up(out->size, out->alignment), count, &out->size);
    case SPIRV_TYPE_STRUCT:
        return lay_out_struct(special, type, depth, out);
    default:
        return false;
    }
}

static bool variable_layout(const struct spirv_special *special, const struct spirv_id *variable,
                            struct layout *out)
{
    const struct spirv_id *pointer =
        spirv_earlier(special->module, variable, spirv_operand(special->module, variable, 1));
    return pointer && pointer->op == SPIRV_TYPE_POINTER &&
           lay_out_inner(special, pointer, 3, MAX_DEPTH, out);
}

status gpu_reflect_shared(struct logger *log, const uint32_t *words, size_t count,
                          const uint32_t *values, uint32_t value_count, uint32_t *bytes)
{
    struct spirv_module module;
    uint64_t total = 0;
    status result = spirv_parse(log, words, count, &module);
    const struct spirv_special special = {&module, values, value_count};
    for (uint32_t id = 0; !result && id < module.bound; id++) {
        const struct spirv_id *variable = &module.ids[id];
        struct layout layout;
        if (variable->op != SPIRV_VARIABLE ||
            spirv_operand(&module, variable, 3) != SPIRV_WORKGROUP)
            continue;
        if (variable_layout(&special, variable, &layout))
            total =
                size_min(size_round_up(total, layout.alignment) + layout.size, MAX_SHARED_BYTES);
        else
            result = fail(log, STATUS_UNSUPPORTED, "SPIR-V: shared memory of unknown size");
    }
    *bytes = (uint32_t)total;
    free(module.ids);
    return result;
}
