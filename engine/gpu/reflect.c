/* Reads bindings, push constants and group size from the words of a SPIR-V module.
 *
 * A module is not trusted: every word that is read lies inside its instruction, every id inside
 * the module's bound, and types refer to earlier types only, so that no walk can run in a circle.
 */
#include "gpu/spirv.h"
#include <stdlib.h>
#include <string.h>

/* One resource variable, resolved. */
struct resource {
    const struct spirv_id *variable, *type; /* type: what the variable's pointer points to */
    enum gpu_binding_kind kind;
    uint32_t access;
};

/* ---- accesses ---- */

/* Whether the decoration stands on the variable or on every member of its block. */
static bool decorated(const struct spirv_module *module, const struct spirv_id *variable,
                      const struct spirv_id *block, uint32_t decoration)
{
    const uint32_t id = (uint32_t)(variable - module->ids);
    const uint32_t block_id = (uint32_t)(block - module->ids);
    uint32_t members = 0, seen = 0;
    if (block->op == SPIRV_TYPE_STRUCT)
        members = block->length - 2;
    for (size_t at = SPIRV_HEADER; at < module->count; at += module->words[at] >> 16) {
        const uint32_t *word = module->words + at;
        const uint32_t op = *word & 0xffff, length = *word >> 16;
        if (op == SPIRV_DECORATE && length >= 3 && word[1] == id && word[2] == decoration)
            return true;
        if (op == SPIRV_MEMBER_DECORATE && length >= 4 && word[1] == block_id &&
            word[3] == decoration)
            seen++;
    }
    return members > 0 && seen == members;
}

/* ---- bindings ---- */

/* GPU_BINDING_NONE for a resource that the engine has no use for. */
static enum gpu_binding_kind resource_kind(const struct spirv_module *module,
                                           const struct resource *resource)
{
    const uint32_t storage = spirv_operand(module, resource->variable, 3);
    const struct spirv_id *type = resource->type;
    if (type->op == SPIRV_TYPE_STRUCT && storage == SPIRV_STORAGE_BUFFER)
        return GPU_BINDING_STORAGE;
    if (type->op == SPIRV_TYPE_STRUCT && storage == SPIRV_UNIFORM && type->buffer_block)
        return GPU_BINDING_STORAGE;
    if (type->op == SPIRV_TYPE_SAMPLED_IMAGE)
        type = spirv_earlier(module, type, spirv_operand(module, type, 2));
    const uint32_t dim = 3, sampled = 7;
    if (type && type->op == SPIRV_TYPE_IMAGE && storage == SPIRV_UNIFORM_CONSTANT &&
        spirv_operand(module, type, dim) == SPIRV_DIM_BUFFER &&
        spirv_operand(module, type, sampled) == 1)
        return GPU_BINDING_TEXEL;
    return GPU_BINDING_NONE;
}

static status add_resource(struct logger *log, const struct spirv_module *module,
                           struct resource *resource, struct gpu_reflection *out)
{
    const struct spirv_id *variable = resource->variable;
    const uint32_t binding = variable->binding;
    if (variable->set != 0 || binding >= GPU_MAX_BINDINGS)
        return fail(log, STATUS_UNSUPPORTED,
                    "SPIR-V: a resource has set %u, binding %u; set 0, bindings below %d are "
                    "supported",
                    variable->set, binding, GPU_MAX_BINDINGS);
    resource->kind = resource_kind(module, resource);
    if (resource->kind == GPU_BINDING_NONE)
        return fail(log, STATUS_UNSUPPORTED,
                    "SPIR-V: binding %u is neither a storage buffer nor a uniform texel buffer",
                    binding);
    if (out->kinds[binding] && out->kinds[binding] != resource->kind)
        return fail(log, STATUS_UNSUPPORTED,
                    "SPIR-V: binding %u is a storage buffer and a texel buffer", binding);
    resource->access = GPU_READ;
    if (resource->kind == GPU_BINDING_STORAGE) {
        bool reads = !decorated(module, variable, resource->type, SPIRV_NON_READABLE);
        bool writes = !decorated(module, variable, resource->type, SPIRV_NON_WRITABLE);
        resource->access = (reads ? GPU_READ : 0) | (writes ? GPU_WRITE : 0);
    }
    out->kinds[binding] = resource->kind;
    out->access[binding] |= resource->access;
    if (out->binding_count <= binding)
        out->binding_count = binding + 1;
    return STATUS_OK;
}

static status reflect_variable(struct logger *log, const struct spirv_module *module,
                               const struct spirv_id *variable, struct gpu_reflection *out)
{
    const uint32_t storage = spirv_operand(module, variable, 3);
    const struct spirv_id *pointer =
        spirv_earlier(module, variable, spirv_operand(module, variable, 1));
    const struct spirv_id *type = NULL;
    if (storage != SPIRV_STORAGE_BUFFER && storage != SPIRV_UNIFORM &&
        storage != SPIRV_UNIFORM_CONSTANT && storage != SPIRV_PUSH_CONSTANT)
        return STATUS_OK;
    if (pointer && pointer->op == SPIRV_TYPE_POINTER)
        type = spirv_earlier(module, pointer, spirv_operand(module, pointer, 3));
    if (!type)
        return fail(log, STATUS_UNSUPPORTED, "SPIR-V: a variable without a type");
    if (storage == SPIRV_PUSH_CONSTANT) {
        if (!spirv_type_size(module, type, &out->push_bytes))
            return fail(log, STATUS_UNSUPPORTED, "SPIR-V: a push constant block without a size");
        return STATUS_OK;
    }
    struct resource resource = {.variable = variable, .type = type};
    return add_resource(log, module, &resource, out);
}

/* ---- group size ---- */

/* A dimension of the group size: a constant, perhaps one that can be specialised. */
static bool set_dimension(const struct spirv_module *module, const struct spirv_id *user,
                          uint32_t id, uint32_t dimension, struct gpu_reflection *out)
{
    const struct spirv_id *constant = spirv_earlier(module, user, id);
    if (!constant || (constant->op != SPIRV_CONSTANT && constant->op != SPIRV_SPEC_CONSTANT))
        return false;
    out->local_size[dimension] = spirv_operand(module, constant, 3);
    out->local_size_id[dimension] =
        constant->op == SPIRV_SPEC_CONSTANT ? constant->spec_id : UINT32_MAX;
    return true;
}

/* The decoration WorkgroupSize on a vector of three constants goes before execution modes. */
static bool reflect_builtin_size(const struct spirv_module *module, struct gpu_reflection *out,
                                 bool *found)
{
    for (uint32_t id = 0; id < module->bound; id++) {
        const struct spirv_id *vector = &module->ids[id];
        if (!vector->workgroup_size ||
            (vector->op != SPIRV_CONSTANT_COMPOSITE && vector->op != SPIRV_SPEC_CONSTANT_COMPOSITE))
            continue;
        *found = true;
        for (uint32_t i = 0; i < 3; i++)
            if (!set_dimension(module, vector, spirv_operand(module, vector, 3 + i), i, out))
                return false;
    }
    return true;
}

/* LocalSize has three literals, LocalSizeId three ids of constants that come later. */
static bool reflect_mode(const struct spirv_module *module, const uint32_t *word,
                         struct gpu_reflection *out)
{
    const uint32_t length = *word >> 16;
    const struct spirv_id last = {.at = UINT32_MAX};
    if (length < 6)
        return false;
    for (uint32_t i = 0; i < 3; i++) {
        out->local_size[i] = word[3 + i];
        if (word[2] == SPIRV_LOCAL_SIZE_ID && !set_dimension(module, &last, word[3 + i], i, out))
            return false;
    }
    return true;
}

static status reflect_size(struct logger *log, const struct spirv_module *module,
                           struct gpu_reflection *out)
{
    bool good = true, found = false;
    for (size_t at = SPIRV_HEADER; at < module->count && good; at += module->words[at] >> 16) {
        const uint32_t *word = module->words + at;
        const uint32_t op = *word & 0xffff, length = *word >> 16;
        if ((op != SPIRV_EXECUTION_MODE && op != SPIRV_EXECUTION_MODE_ID) || length < 3 ||
            (word[2] != SPIRV_LOCAL_SIZE && word[2] != SPIRV_LOCAL_SIZE_ID))
            continue;
        found = true;
        good = reflect_mode(module, word, out);
    }
    good = good && reflect_builtin_size(module, out, &found);
    for (uint32_t i = 0; i < 3; i++)
        good = good && out->local_size[i] > 0;
    if (!good || !found)
        return fail(log, STATUS_UNSUPPORTED, "SPIR-V: a module without a group size");
    return STATUS_OK;
}

status gpu_reflect(struct logger *log, const uint32_t *words, size_t count,
                   struct gpu_reflection *out)
{
    struct spirv_module module;
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < 3; i++) {
        out->local_size[i] = 1;
        out->local_size_id[i] = UINT32_MAX;
    }
    status result = spirv_parse(log, words, count, &module);
    for (uint32_t id = 0; !result && id < module.bound; id++)
        if (module.ids[id].op == SPIRV_VARIABLE)
            result = reflect_variable(log, &module, &module.ids[id], out);
    if (!result)
        result = reflect_size(log, &module, out);
    free(module.ids);
    return result;
}
