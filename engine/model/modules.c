#include "model/modules.h"
#include <inttypes.h>
#include <stdio.h>

enum dim {
    DIM_NONE,
    DIM_VOCABULARY,
    DIM_POSITIONS,
    DIM_HIDDEN,
    DIM_QUERIES, /* G * dk */
    DIM_KEYS,    /* G * H * dk */
    DIM_ROUTES,  /* G * H */
    DIM_HEAD,    /* dk */
    DIM_INTERMEDIATE,
    DIM_CLASSIFIER,
    DIM_LABELS,
    DIM_COUNT
};

static const struct module_row {
    const char *name; /* a layer's: after "layers.L." */
    enum dim rows, columns;
    bool bias;
} module_rows[MODULE_COUNT] = {
    [MODULE_TOKEN_EMBEDDING] = {"token_embedding", DIM_VOCABULARY, DIM_HIDDEN, false},
    [MODULE_POSITION_EMBEDDING] = {"position_embedding", DIM_POSITIONS, DIM_HIDDEN, false},
    [MODULE_ATTENTION_NORM] = {"attention_norm", DIM_HIDDEN, DIM_NONE, true},
    [MODULE_QUERY] = {"attention.query", DIM_QUERIES, DIM_HIDDEN, true},
    [MODULE_KEY] = {"attention.key", DIM_KEYS, DIM_HIDDEN, true},
    [MODULE_VALUE] = {"attention.value", DIM_KEYS, DIM_HIDDEN, true},
    [MODULE_ROUTER] = {"attention.router", DIM_ROUTES, DIM_HEAD, true},
    [MODULE_OUTPUT] = {"attention.output", DIM_HIDDEN, DIM_QUERIES, true},
    [MODULE_FFN_NORM] = {"ffn_norm", DIM_HIDDEN, DIM_NONE, true},
    [MODULE_FFN_IN] = {"ffn_in", DIM_INTERMEDIATE, DIM_HIDDEN, true},
    [MODULE_FFN_OUT] = {"ffn_out", DIM_HIDDEN, DIM_INTERMEDIATE, true},
    [MODULE_NORM] = {"norm", DIM_HIDDEN, DIM_NONE, true},
    [MODULE_CLASSIFIER_IN] = {"classifier_in", DIM_CLASSIFIER, DIM_HIDDEN, true},
    [MODULE_CLASSIFIER_OUT] = {"classifier_out", DIM_LABELS, DIM_CLASSIFIER, true},
};

static uint64_t dim_size(const struct model_config *config, enum dim dim)
{
    uint64_t queries = (uint64_t)config->num_groups * config->head_dim;
    const uint64_t sizes[DIM_COUNT] = {
        [DIM_NONE] = 1,
        [DIM_VOCABULARY] = config->vocab_size,
        [DIM_POSITIONS] = config->max_position_embeddings,
        [DIM_HIDDEN] = config->hidden_size,
        [DIM_QUERIES] = queries,
        [DIM_KEYS] = queries * config->heads,
        [DIM_ROUTES] = (uint64_t)config->num_groups * config->heads,
        [DIM_HEAD] = config->head_dim,
        [DIM_INTERMEDIATE] = config->intermediate_size,
        [DIM_CLASSIFIER] = config->classifier_size,
        [DIM_LABELS] = config->num_labels,
    };
    return sizes[dim];
}

/* columns 0: a tensor of one dimension. */
static status find_tensor(struct logger *log, const struct st_file *file, const char *name,
                          uint64_t rows, uint64_t columns, const struct st_tensor **out)
{
    const uint64_t sizes[] = {rows, columns};
    uint32_t dims = columns ? 2 : 1;
    const struct st_tensor *tensor = st_find(file, name);
    char expected[64], got[256];
    if (columns)
        snprintf(expected, sizeof(expected), "[%" PRIu64 ", %" PRIu64 "]", rows, columns);
    else
        snprintf(expected, sizeof(expected), "[%" PRIu64 "]", rows);
    if (!tensor)
        return fail(log, STATUS_BAD_INPUT, "%s: tensor \"%s\" is missing: expected one of shape %s",
                    file->path, name, expected);
    if (tensor->type != ST_F32 && tensor->type != ST_F16 && tensor->type != ST_BF16)
        return fail(log, STATUS_BAD_INPUT,
                    "%s: tensor \"%s\": expected dtype F32, F16 or BF16, got %s", file->path, name,
                    tensor->type_text);
    bool fits = tensor->dims == dims;
    for (uint32_t i = 0; fits && i < dims; i++)
        fits = tensor->shape[i] == sizes[i];
    if (!fits)
        return fail(log, STATUS_BAD_INPUT, "%s: tensor \"%s\": expected shape %s, got %s",
                    file->path, name, expected, st_shape_text(tensor, got, sizeof(got)));
    *out = tensor;
    return STATUS_OK;
}

status module_find(struct logger *log, const struct st_file *file,
                   const struct model_config *config, enum module_id id, uint32_t layer,
                   struct module *out)
{
    const struct module_row *row = &module_rows[id];
    char prefix[32] = "", name[96];
    *out = (struct module){.rows = dim_size(config, row->rows),
                           .columns = dim_size(config, row->columns)};
    if (id >= MODULE_ATTENTION_NORM && id <= MODULE_FFN_OUT)
        snprintf(prefix, sizeof(prefix), "layers.%u.", layer);
    snprintf(name, sizeof(name), "%s%s.weight", prefix, row->name);
    uint64_t columns = row->columns == DIM_NONE ? 0 : out->columns;
    status result = find_tensor(log, file, name, out->rows, columns, &out->weight);
    if (result != STATUS_OK || !row->bias)
        return result;
    snprintf(name, sizeof(name), "%s%s.bias", prefix, row->name);
    return find_tensor(log, file, name, out->rows, 0, &out->bias);
}
