/* Writes the values of specialisation constants into a module. Some drivers (SwiftShader) optimise
 * a module before they specialise it: no loop whose count is such a constant is unrolled then, and
 * every branch that one decides is compiled, and executed under a mask. */
#include "gpu/spirv.h"
#include <stdlib.h>
#include <string.h>

struct writer {
    const struct spirv_special *special;
    uint32_t *words;
    size_t count;
};

static void write_word(struct writer *writer, uint32_t word)
{
    writer->words[writer->count++] = word;
}

static bool is_boolean(const struct spirv_module *module, const struct spirv_id *id)
{
    const uint32_t type = spirv_operand(module, id, 1);
    return type < module->bound && module->ids[type].op == SPIRV_TYPE_BOOL;
}

/* A plain constant of that value in place of the one that `id` is. */
static void write_constant(struct writer *writer, const struct spirv_id *id, uint32_t value)
{
    const struct spirv_module *module = writer->special->module;
    bool boolean = is_boolean(module, id);
    uint32_t op = !boolean ? SPIRV_CONSTANT : value ? SPIRV_CONSTANT_TRUE : SPIRV_CONSTANT_FALSE;
    write_word(writer, (boolean ? 3u : 4u) << 16 | op);
    write_word(writer, spirv_operand(module, id, 1));
    write_word(writer, spirv_operand(module, id, 2));
    if (!boolean)
        write_word(writer, value);
}

/* Whether the instruction is a specialisation constant of a known value, which has room for a plain
 * one. */
static bool is_known(const struct writer *writer, const uint32_t *word, const struct spirv_id **id,
                     uint32_t *value)
{
    const uint32_t op = *word & 0xffff, length = *word >> 16;
    if (op < SPIRV_SPEC_CONSTANT_TRUE || op > SPIRV_SPEC_CONSTANT_OP ||
        op == SPIRV_SPEC_CONSTANT_COMPOSITE)
        return false;
    *id = &writer->special->module->ids[word[2]];
    if (op == SPIRV_SPEC_CONSTANT && length > 4) /* of 64 bits */
        return false;
    if (length < 4 && !is_boolean(writer->special->module, *id))
        return false;
    return spirv_evaluate(writer->special, *id, value);
}

/* Whether the decoration makes a constant that is known one of specialisation. */
static bool is_dropped(const struct writer *writer, const uint32_t *word)
{
    const struct spirv_module *module = writer->special->module;
    const struct spirv_id *id;
    uint32_t value;
    return (*word & 0xffff) == SPIRV_DECORATE && word[2] == SPIRV_SPEC_ID &&
           module->ids[word[1]].op &&
           is_known(writer, module->words + module->ids[word[1]].at, &id, &value);
}

static void write_instruction(struct writer *writer, const uint32_t *word)
{
    const uint32_t op = *word & 0xffff, length = *word >> 16;
    const struct spirv_id *id;
    uint32_t value;
    if (is_dropped(writer, word))
        return;
    if (is_known(writer, word, &id, &value)) {
        write_constant(writer, id, value);
        return;
    }
    memcpy(writer->words + writer->count, word, length * sizeof(*word));
    if (op == SPIRV_SPEC_CONSTANT_COMPOSITE)
        writer->words[writer->count] = length << 16 | SPIRV_CONSTANT_COMPOSITE;
    writer->count += length;
}

status spirv_freeze(struct logger *log, const uint32_t *words, size_t count, const uint32_t *values,
                    uint32_t value_count, uint32_t **out, size_t *out_count)
{
    struct spirv_module module;
    const struct spirv_special special = {&module, values, value_count};
    struct writer writer = {.special = &special};
    *out = NULL;
    status result = spirv_parse(log, words, count, &module);
    if (!result) {
        writer.words = malloc(count * sizeof(*words)); /* no instruction grows */
        if (!writer.words)
            result = fail(log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a SPIR-V module");
    }
    if (!result) {
        memcpy(writer.words, words, SPIRV_HEADER * sizeof(*words));
        writer.count = SPIRV_HEADER;
        for (size_t at = SPIRV_HEADER; at < count; at += words[at] >> 16)
            write_instruction(&writer, words + at);
    }
    free(module.ids);
    *out = writer.words;
    *out_count = writer.count;
    return result;
}
