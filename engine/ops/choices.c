#include "ops/choices.h"
#include "gpu/cache.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NAME "choices"

/* Quads of the widest narrow row, and of the widest middle one. */
#define NARROW 8
#define MIDDLE 32

/* ---- classes ---- */

static uint32_t width_class(uint32_t quads)
{
    return quads <= NARROW ? 0 : quads <= MIDDLE ? 1 : 2;
}

static uint32_t type_class(const struct op_call *call)
{
    for (uint32_t i = 0; i < call->op->tensor_count; i++)
        if (call->tensors[i].type == ELEMENT_F16)
            return 1;
    return 0;
}

uint32_t op_class_of(const struct op_call *call)
{
    uint32_t index = 0;
    while (index < op_count && op_list[index] != call->op)
        index++;
    if (index == op_count || !call->op->shape_class)
        return OP_CLASSES;
    const struct op_shape_class class = call->op->shape_class(call);
    assert(op_count <= OP_MOST && class.kind < OP_KINDS);
    index = index * OP_TYPES + type_class(call);
    index = index * OP_KINDS + class.kind;
    index = index * OP_WIDTHS + width_class(class.widths[0]);
    return index * OP_WIDTHS + width_class(class.widths[1]);
}

/* ---- choices ---- */

/* The op whose calls are of a class; NULL: there are fewer ops. */
static const struct op *op_of_class(uint32_t index)
{
    uint32_t op = index / (OP_CLASSES / OP_MOST);
    return op < op_count ? op_list[op] : NULL;
}

static bool is_possible(uint32_t index, uint8_t choice)
{
    const struct op *op = op_of_class(index);
    return choice == CHOICE_NONE ||
           (op && (choice == CHOICE_USUAL || choice <= op->candidate_count));
}

void op_choices_set(struct op_choices *choices, const struct op_call *call,
                    const struct op_candidate *candidate)
{
    uint32_t index = op_class_of(call);
    if (index == OP_CLASSES)
        return;
    choices->chosen[index] =
        candidate ? (uint8_t)(1 + (candidate - call->op->candidates)) : CHOICE_USUAL;
}

const struct op_candidate *op_chosen(const struct gpu_device *device, const struct op_call *call)
{
    if (!device->choices)
        return NULL;
    uint32_t index = op_class_of(call);
    uint8_t choice = index < OP_CLASSES ? device->choices->chosen[index] : CHOICE_NONE;
    if (choice == CHOICE_NONE || choice == CHOICE_USUAL)
        return NULL;
    const struct op_candidate *candidate = &call->op->candidates[choice - 1];
    return op_satisfies(device, call, candidate) ? candidate : NULL;
}

uint32_t op_choices_count(const struct op_choices *choices)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < OP_CLASSES; i++)
        count += choices->chosen[i] != CHOICE_NONE && choices->chosen[i] != CHOICE_USUAL;
    return count;
}

bool op_choices_use(struct gpu_device *device, const struct op_choices *choices)
{
    struct op_choices *copy = NULL;
    if (choices) {
        copy = malloc(sizeof(*copy));
        if (!copy)
            return false;
        *copy = *choices;
    }
    free(device->choices);
    device->choices = copy;
    return true;
}

/* ---- what is kept ---- */

/* The bytes of a file: which candidates the choices are among, and the choices. */
struct kept {
    uint64_t candidates;
    struct op_choices choices;
};
static_assert(sizeof(struct kept) == sizeof(uint64_t) + OP_CLASSES, "no padding");

static uint64_t hash_candidate(uint64_t hash, const struct op_candidate *candidate)
{
    uint32_t numbers[3 + OP_MAX_TILES] = {candidate->need, candidate->target, candidate->group};
    memcpy(&numbers[3], candidate->tiles, sizeof(candidate->tiles));
    hash = gpu_cache_hash_text(hash, candidate->name);
    hash = gpu_cache_hash_text(hash, gpu_shader_name(candidate->shader));
    return gpu_cache_hash(hash, numbers, sizeof(numbers));
}

/* Of all candidates, in their order: choices name them by number. */
static uint64_t hash_candidates(void)
{
    uint64_t hash = OP_CLASSES;
    for (uint32_t i = 0; i < op_count; i++) {
        hash = gpu_cache_hash_text(hash, op_list[i]->name);
        for (uint32_t c = 0; c < op_list[i]->candidate_count; c++)
            hash = hash_candidate(hash, &op_list[i]->candidates[c]);
    }
    return hash;
}

static bool is_sound(const struct kept *kept)
{
    bool sound = kept->candidates == hash_candidates();
    for (uint32_t i = 0; i < OP_CLASSES; i++)
        sound = sound && is_possible(i, kept->choices.chosen[i]);
    return sound;
}

bool op_choices_load(const struct gpu_device *device, const struct gpu_store *store,
                     struct op_choices *choices)
{
    size_t size = 0;
    struct kept kept;
    void *bytes = gpu_cache_load(device, store, NAME, &size);
    bool found = bytes && size == sizeof(kept);
    *choices = (struct op_choices){{CHOICE_NONE}};
    if (found) {
        memcpy(&kept, bytes, sizeof(kept));
        found = is_sound(&kept);
    }
    if (found)
        *choices = kept.choices;
    free(bytes);
    return found;
}

bool op_choices_keep(const struct gpu_device *device, const struct gpu_store *store,
                     const struct op_choices *choices)
{
    struct kept kept = {.candidates = hash_candidates()};
    op_choices_load(device, store, &kept.choices);
    for (uint32_t i = 0; i < OP_CLASSES; i++)
        if (choices->chosen[i] != CHOICE_NONE)
            kept.choices.chosen[i] = choices->chosen[i];
    return gpu_cache_save(device, store, NAME, &kept, sizeof(kept));
}
