/* The part of SPIR-V that reflection reads: instructions by id, decorations, sizes of types. */
#ifndef GPU_SPIRV_H
#define GPU_SPIRV_H

#include "gpu/gpu.h"

/* Words before the first instruction. */
#define SPIRV_HEADER 5

/* Numbers from the SPIR-V specification. */
enum spirv_op {
    SPIRV_ENTRY_POINT = 15,
    SPIRV_EXECUTION_MODE = 16,
    SPIRV_TYPE_BOOL = 20,
    SPIRV_TYPE_INT = 21,
    SPIRV_TYPE_FLOAT = 22,
    SPIRV_TYPE_VECTOR = 23,
    SPIRV_TYPE_MATRIX = 24,
    SPIRV_TYPE_IMAGE = 25,
    SPIRV_TYPE_SAMPLED_IMAGE = 27,
    SPIRV_TYPE_ARRAY = 28,
    SPIRV_TYPE_STRUCT = 30,
    SPIRV_TYPE_POINTER = 32,
    SPIRV_CONSTANT_TRUE = 41,
    SPIRV_CONSTANT_FALSE = 42,
    SPIRV_CONSTANT = 43,
    SPIRV_CONSTANT_COMPOSITE = 44,
    SPIRV_SPEC_CONSTANT_TRUE = 48,
    SPIRV_SPEC_CONSTANT_FALSE = 49,
    SPIRV_SPEC_CONSTANT = 50,
    SPIRV_SPEC_CONSTANT_COMPOSITE = 51,
    SPIRV_SPEC_CONSTANT_OP = 52,
    SPIRV_VARIABLE = 59,
    SPIRV_DECORATE = 71,
    SPIRV_MEMBER_DECORATE = 72,
    SPIRV_EXECUTION_MODE_ID = 331,
};

/* What OpSpecConstantOp does to its operands. */
enum spirv_operation {
    SPIRV_IADD = 128,
    SPIRV_ISUB = 130,
    SPIRV_IMUL = 132,
    SPIRV_UDIV = 134,
    SPIRV_UMOD = 137,
    SPIRV_LOGICAL_OR = 166,
    SPIRV_LOGICAL_AND = 167,
    SPIRV_SELECT = 169,
    SPIRV_EQUAL = 170,
    SPIRV_NOT_EQUAL = 171,
    SPIRV_GREATER = 172,
    SPIRV_GREATER_EQUAL = 174,
    SPIRV_LESS = 176,
    SPIRV_LESS_EQUAL = 178,
    SPIRV_SHIFT_RIGHT = 194,
    SPIRV_SHIFT_LEFT = 196,
};

enum spirv_execution { SPIRV_GL_COMPUTE = 5, SPIRV_LOCAL_SIZE = 17, SPIRV_LOCAL_SIZE_ID = 38 };

enum spirv_storage {
    SPIRV_UNIFORM_CONSTANT = 0,
    SPIRV_UNIFORM = 2,
    SPIRV_WORKGROUP = 4,
    SPIRV_PUSH_CONSTANT = 9,
    SPIRV_STORAGE_BUFFER = 12,
};

enum spirv_decoration {
    SPIRV_SPEC_ID = 1,
    SPIRV_BUFFER_BLOCK = 3,
    SPIRV_ARRAY_STRIDE = 6,
    SPIRV_BUILT_IN = 11,
    SPIRV_NON_WRITABLE = 24,
    SPIRV_NON_READABLE = 25,
    SPIRV_BINDING = 33,
    SPIRV_DESCRIPTOR_SET = 34,
    SPIRV_OFFSET = 35,
};

#define SPIRV_BUILT_IN_WORKGROUP_SIZE 25
#define SPIRV_DIM_BUFFER              5

/* What is known of one id: the instruction that makes it, and its decorations. */
struct spirv_id {
    uint32_t op, length; /* 0: no instruction makes it, or one that does not matter here */
    size_t at;           /* word of that instruction */
    uint32_t set, binding, spec_id, array_stride; /* UINT32_MAX where not decorated */
    bool buffer_block, workgroup_size;
};

struct spirv_module {
    const uint32_t *words;
    size_t count;
    struct spirv_id *ids; /* [bound], malloc'ed; NULL after a failed parse */
    uint32_t bound;
};

/* Checks the lengths of all instructions and collects ids and decorations. The caller frees
 * module->ids, also after a failure. */
status spirv_parse(struct logger *log, const uint32_t *words, size_t count,
                   struct spirv_module *module);
/* Operand `index` of the id's instruction (its first word is 0); 0 past its end. */
uint32_t spirv_operand(const struct spirv_module *module, const struct spirv_id *id,
                       uint32_t index);
/* The id if an instruction before that of `user` makes it, else NULL. */
const struct spirv_id *spirv_earlier(const struct spirv_module *module, const struct spirv_id *user,
                                     uint32_t id);
/* Bytes of a type with a layout: up to the end of its last member. False for types without. */
bool spirv_type_size(const struct spirv_module *module, const struct spirv_id *type,
                     uint32_t *bytes);

/* ---- constants.c ---- */

/* A module with constant i < count set to values[i]. */
struct spirv_special {
    const struct spirv_module *module;
    const uint32_t *values;
    uint32_t count;
};

/* The value of a constant that is a 32 bit integer or a boolean. False: it cannot be told. */
bool spirv_evaluate(const struct spirv_special *special, const struct spirv_id *id, uint32_t *out);
/* The same of operand `index` of the id's instruction, an id that an earlier one makes. */
bool spirv_constant(const struct spirv_special *special, const struct spirv_id *id, uint32_t index,
                    uint32_t *out);

/* ---- freeze.c ---- */

/* The module with specialisation constants made plain ones, constant i < value_count of value
 * values[i]: *out is malloc'ed and has *out_count words. What cannot be told stays as it is. */
status spirv_freeze(struct logger *log, const uint32_t *words, size_t count, const uint32_t *values,
                    uint32_t value_count, uint32_t **out, size_t *out_count);

#endif
