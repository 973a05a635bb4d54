/* Constants of a SPIR-V module, with those that specialisation decides. As reflect.c, it trusts no
 * module. */
#include "gpu/spirv.h"

#define MAX_DEPTH 16

static bool evaluate(const struct spirv_special *special, const struct spirv_id *id, uint32_t depth,
                     uint32_t *out);

/* Operand `index` of the instruction, which is an id, evaluated. */
static bool operand(const struct spirv_special *special, const struct spirv_id *id, uint32_t index,
                    uint32_t depth, uint32_t *out)
{
    const struct spirv_id *from =
        spirv_earlier(special->module, id, spirv_operand(special->module, id, index));
    return from && evaluate(special, from, depth - 1, out);
}

/* The operations on 32 bit integers that compilers leave in sizes. False: another one. */
static bool combine(uint32_t op, uint32_t a, uint32_t b, uint32_t *out)
{
    switch (op) {
    case SPIRV_IADD:
        *out = a + b;
        return true;
    case SPIRV_ISUB:
        *out = a - b;
        return true;
    case SPIRV_IMUL:
        *out = a * b;
        return true;
    case SPIRV_UDIV:
        *out = b ? a / b : 0;
        return b > 0;
    case SPIRV_UMOD:
        *out = b ? a % b : 0;
        return b > 0;
    case SPIRV_SHIFT_RIGHT:
        *out = b < 32 ? a >> b : 0;
        return true;
    case SPIRV_SHIFT_LEFT:
        *out = b < 32 ? a << b : 0;
        return true;
    case SPIRV_EQUAL:
        *out = a == b;
        return true;
    case SPIRV_NOT_EQUAL:
        *out = a != b;
        return true;
    case SPIRV_GREATER:
        *out = a > b;
        return true;
    case SPIRV_GREATER_EQUAL:
        *out = a >= b;
        return true;
    case SPIRV_LESS:
        *out = a < b;
        return true;
    case SPIRV_LESS_EQUAL:
        *out = a <= b;
        return true;
    case SPIRV_LOGICAL_OR:
        *out = a | b;
        return true;
    case SPIRV_LOGICAL_AND:
        *out = a & b;
        return true;
    default:
        return false;
    }
}

/* OpSpecConstantOp: type, result, operation, operands. */
static bool evaluate_operation(const struct spirv_special *special, const struct spirv_id *id,
                               uint32_t depth, uint32_t *out)
{
    const uint32_t op = spirv_operand(special->module, id, 3);
    uint32_t a, b, c;
    if (!operand(special, id, 4, depth, &a) || !operand(special, id, 5, depth, &b))
        return false;
    if (op != SPIRV_SELECT)
        return combine(op, a, b, out);
    if (!operand(special, id, 6, depth, &c))
        return false;
    *out = a ? b : c;
    return true;
}

/* The value of a 32 bit integer or boolean constant. */
static bool evaluate(const struct spirv_special *special, const struct spirv_id *id, uint32_t depth,
                     uint32_t *out)
{
    const bool given = id->spec_id < special->count;
    if (depth == 0)
        return false;
    switch (id->op) {
    case SPIRV_CONSTANT_TRUE:
    case SPIRV_CONSTANT_FALSE:
        *out = id->op == SPIRV_CONSTANT_TRUE;
        return true;
    case SPIRV_SPEC_CONSTANT_TRUE:
    case SPIRV_SPEC_CONSTANT_FALSE:
        *out = given ? special->values[id->spec_id] != 0 : id->op == SPIRV_SPEC_CONSTANT_TRUE;
        return true;
    case SPIRV_CONSTANT:
        *out = spirv_operand(special->module, id, 3);
        return true;
    case SPIRV_SPEC_CONSTANT:
        *out = given ? special->values[id->spec_id] : spirv_operand(special->module, id, 3);
        return true;
    case SPIRV_SPEC_CONSTANT_OP:
        return evaluate_operation(special, id, depth, out);
    default:
        return false;
    }
}

bool spirv_evaluate(const struct spirv_special *special, const struct spirv_id *id, uint32_t *out)
{
    return evaluate(special, id, MAX_DEPTH, out);
}

bool spirv_constant(const struct spirv_special *special, const struct spirv_id *id, uint32_t index,
                    uint32_t *out)
{
    return operand(special, id, index, MAX_DEPTH, out);
}
