/* Parsing of SPIR-V words. */
#include "gpu/spirv.h"
#include <stdlib.h>
#include <string.h>

#define SPIRV_MAGIC 0x07230203
/* The specification's own limit on ids: a module with more is malformed. */
#define SPIRV_MAX_BOUND 0x3fffff
/* No block is larger: sizes past it are malformed, and sums of them cannot overflow. */
#define MAX_TYPE_BYTES (1u << 20)
#define MAX_DEPTH      16

/* The instructions that make ids, and the operand that is the id: 1 for types, 2 for values. */
static const struct {
    uint16_t op, result, least; /* `least` words it has */
} makers[] = {
    {SPIRV_TYPE_BOOL, 1, 2},          {SPIRV_TYPE_INT, 1, 4},
    {SPIRV_TYPE_FLOAT, 1, 3},         {SPIRV_TYPE_VECTOR, 1, 4},
    {SPIRV_TYPE_MATRIX, 1, 4},        {SPIRV_TYPE_IMAGE, 1, 9},
    {SPIRV_TYPE_SAMPLED_IMAGE, 1, 3}, {SPIRV_TYPE_ARRAY, 1, 4},
    {SPIRV_TYPE_STRUCT, 1, 2},        {SPIRV_TYPE_POINTER, 1, 4},
    {SPIRV_CONSTANT, 2, 4},           {SPIRV_CONSTANT_COMPOSITE, 2, 3},
    {SPIRV_SPEC_CONSTANT, 2, 4},      {SPIRV_SPEC_CONSTANT_COMPOSITE, 2, 3},
    {SPIRV_CONSTANT_TRUE, 2, 3},      {SPIRV_CONSTANT_FALSE, 2, 3},
    {SPIRV_SPEC_CONSTANT_TRUE, 2, 3}, {SPIRV_SPEC_CONSTANT_FALSE, 2, 3},
    {SPIRV_SPEC_CONSTANT_OP, 2, 4},   {SPIRV_VARIABLE, 2, 4},
};

static status malformed(struct logger *log, const char *what, size_t at)
{
    return fail(log, STATUS_UNSUPPORTED, "malformed SPIR-V: %s at word %zu", what, at);
}

static bool add_result(struct spirv_module *module, size_t at)
{
    const uint32_t *word = module->words + at;
    const uint32_t op = *word & 0xffff, length = *word >> 16;
    for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
        if (makers[i].op != op)
            continue;
        if (length < makers[i].least || word[makers[i].result] >= module->bound)
            return false;
        struct spirv_id *id = &module->ids[word[makers[i].result]];
        if (id->op)
            return false;
        id->op = op;
        id->length = length;
        id->at = at;
    }
    return true;
}

static bool add_decoration(struct spirv_module *module, size_t at)
{
    const uint32_t *word = module->words + at;
    const uint32_t length = *word >> 16;
    if (length < 3 || word[1] >= module->bound)
        return false;
    struct spirv_id *id = &module->ids[word[1]];
    const uint32_t decoration = word[2], value = length > 3 ? word[3] : 0;
    switch (decoration) {
    case SPIRV_BUFFER_BLOCK:
        id->buffer_block = true;
        return true;
    case SPIRV_SPEC_ID:
        id->spec_id = value;
        break;
    case SPIRV_ARRAY_STRIDE:
        id->array_stride = value;
        break;
    case SPIRV_BINDING:
        id->binding = value;
        break;
    case SPIRV_DESCRIPTOR_SET:
        id->set = value;
        break;
    case SPIRV_BUILT_IN:
        id->workgroup_size = value == SPIRV_BUILT_IN_WORKGROUP_SIZE;
        break;
    default:
        return true;
    }
    return length == 4;
}

/* One entry point, for compute. */
static status check_entry(struct logger *log, const struct spirv_module *module)
{
    uint32_t entries = 0;
    for (size_t at = SPIRV_HEADER; at < module->count; at += module->words[at] >> 16) {
        const uint32_t *word = module->words + at;
        if ((*word & 0xffff) != SPIRV_ENTRY_POINT)
            continue;
        if (*word >> 16 < 4 || word[1] != SPIRV_GL_COMPUTE)
            return fail(log, STATUS_UNSUPPORTED, "SPIR-V: an entry point that is not compute");
        entries++;
    }
    if (entries != 1)
        return fail(log, STATUS_UNSUPPORTED, "SPIR-V: %u entry points, one is expected", entries);
    return STATUS_OK;
}

status spirv_parse(struct logger *log, const uint32_t *words, size_t count,
                   struct spirv_module *module)
{
    *module = (struct spirv_module){.words = words, .count = count};
    if (count < SPIRV_HEADER || words[0] != SPIRV_MAGIC)
        return malformed(log, "no header", 0);
    if (words[3] == 0 || words[3] > SPIRV_MAX_BOUND)
        return malformed(log, "a bound on ids out of range", 3);
    module->bound = words[3];
    module->ids = calloc(module->bound, sizeof(*module->ids));
    if (!module->ids)
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a SPIR-V module");
    for (uint32_t i = 0; i < module->bound; i++) {
        struct spirv_id *id = &module->ids[i];
        id->set = id->binding = id->spec_id = id->array_stride = UINT32_MAX;
    }
    for (size_t at = SPIRV_HEADER; at < count; at += words[at] >> 16) {
        const uint32_t op = words[at] & 0xffff, length = words[at] >> 16;
        if (length == 0 || length > count - at)
            return malformed(log, "an instruction that passes the end", at);
        if (op == SPIRV_DECORATE && !add_decoration(module, at))
            return malformed(log, "a decoration", at);
        if (!add_result(module, at))
            return malformed(log, "an instruction", at);
    }
    return check_entry(log, module);
}

uint32_t spirv_operand(const struct spirv_module *module, const struct spirv_id *id, uint32_t index)
{
    return index < id->length ? module->words[id->at + index] : 0;
}

const struct spirv_id *spirv_earlier(const struct spirv_module *module, const struct spirv_id *user,
                                     uint32_t id)
{
    if (id >= module->bound || !module->ids[id].op || module->ids[id].at >= user->at)
        return NULL;
    return &module->ids[id];
}

/* ---- sizes of types ---- */

/* False when the member has no offset. */
static bool member_offset(const struct spirv_module *module, const struct spirv_id *type,
                          uint32_t member, uint32_t *offset)
{
    const uint32_t id = (uint32_t)(type - module->ids);
    for (size_t at = SPIRV_HEADER; at < module->count; at += module->words[at] >> 16) {
        const uint32_t *word = module->words + at;
        if (*word == (5u << 16 | SPIRV_MEMBER_DECORATE) && word[1] == id && word[2] == member &&
            word[3] == SPIRV_OFFSET) {
            *offset = word[4];
            return true;
        }
    }
    return false;
}

/* A size as an exact 64 bit number; UINT64_MAX for a type without one. */
static uint64_t type_size(const struct spirv_module *module, const struct spirv_id *type,
                          uint32_t depth);

static uint64_t struct_size(const struct spirv_module *module, const struct spirv_id *type,
                            uint32_t depth)
{
    uint64_t bytes = 0;
    for (uint32_t member = 0; member + 2 < type->length; member++) {
        const struct spirv_id *inner =
            spirv_earlier(module, type, spirv_operand(module, type, 2 + member));
        uint32_t offset;
        uint64_t size = inner ? type_size(module, inner, depth) : UINT64_MAX;
        if (size > MAX_TYPE_BYTES || !member_offset(module, type, member, &offset))
            return UINT64_MAX;
        bytes = size_max(bytes, offset + size);
    }
    return bytes;
}

static uint64_t array_size(const struct spirv_module *module, const struct spirv_id *type)
{
    const struct spirv_id *length = spirv_earlier(module, type, spirv_operand(module, type, 3));
    if (!length || length->op != SPIRV_CONSTANT || type->array_stride == UINT32_MAX)
        return UINT64_MAX;
    return (uint64_t)type->array_stride * spirv_operand(module, length, 3);
}

static uint64_t type_size(const struct spirv_module *module, const struct spirv_id *type,
                          uint32_t depth)
{
    if (depth == 0)
        return UINT64_MAX;
    const struct spirv_id *inner;
    switch (type->op) {
    case SPIRV_TYPE_INT:
    case SPIRV_TYPE_FLOAT:
        return spirv_operand(module, type, 2) / 8;
    case SPIRV_TYPE_VECTOR:
    case SPIRV_TYPE_MATRIX: /* of columns without padding: vec2, vec4 */
        inner = spirv_earlier(module, type, spirv_operand(module, type, 2));
        uint64_t size = inner ? type_size(module, inner, depth - 1) : UINT64_MAX;
        return size > MAX_TYPE_BYTES ? UINT64_MAX : size * spirv_operand(module, type, 3);
    case SPIRV_TYPE_ARRAY:
        return array_size(module, type);
    case SPIRV_TYPE_STRUCT:
        return struct_size(module, type, depth - 1);
    default:
        return UINT64_MAX;
    }
}

bool spirv_type_size(const struct spirv_module *module, const struct spirv_id *type,
                     uint32_t *bytes)
{
    uint64_t size = type_size(module, type, MAX_DEPTH);
    if (size > MAX_TYPE_BYTES)
        return false;
    *bytes = (uint32_t)size;
    return true;
}
