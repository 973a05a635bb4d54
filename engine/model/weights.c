#include "model/weights.h"
#include "model/modules.h"
#include "model/weights_copy.h"
#include "model/weights_fold.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WEIGHT_ALIGN 256 /* bytes; no device asks more of a binding's offset */

/* A file is read in two steps: every tensor is checked, given its place and put on a list of
 * copies; then the block is allocated and the copies are made. A failure is kept in `state`, and
 * what follows it does nothing. */
struct loader {
    struct logger *log;
    const struct model_config *config;
    const struct st_file *file;
    struct weights *weights;
    struct weight_copy *copies;
    struct arena arena; /* of the copies */
    status state;
};

static void place(struct loader *loader, struct weight *weight, enum element_type type,
                  uint64_t rows, uint64_t quads)
{
    if (loader->state != STATUS_OK)
        return;
    /* The file holds most of these numbers, so the product does not pass 64 bits. */
    if (rows * quads > UINT32_MAX) {
        loader->state = fail(loader->log, STATUS_UNSUPPORTED,
                             "%s: a tensor has %" PRIu64 " rows of %" PRIu64
                             " quads: expected less than 2^32 quads",
                             loader->file->path, rows, quads);
        return;
    }
    *weight = (struct weight){
        .type = type, .offset = loader->weights->bytes, .elements = rows * quads * 4};
    loader->weights->bytes += size_round_up(weight_bytes(weight), WEIGHT_ALIGN);
}

static void add_copy(struct loader *loader, const struct weight_copy *copy)
{
    if (loader->state != STATUS_OK)
        return;
    struct weight_copy *kept = arena_alloc(&loader->arena, 1, sizeof(*kept));
    if (!kept) {
        loader->state = fail(loader->log, STATUS_OUT_OF_HOST_MEMORY,
                             "%s: no memory for the list of its tensors", loader->file->path);
        return;
    }
    *kept = *copy;
    kept->next = loader->copies;
    loader->copies = kept;
}

/* After a failure *out is zeroed: legal to pass on, as nothing more is done with it. */
static struct module find(struct loader *loader, enum module_id id, uint32_t layer)
{
    struct module module = {0};
    if (loader->state == STATUS_OK)
        loader->state = module_find(loader->log, loader->file, loader->config, id, layer, &module);
    return module;
}

/* A [rows, columns] tensor as it is, rows padded to quads. */
static void add_table(struct loader *loader, struct weight *weight, enum element_type type,
                      const struct st_tensor *source, uint64_t rows, uint64_t columns)
{
    uint64_t quads = size_div_up(columns, 4);
    place(loader, weight, type, rows, quads);
    add_copy(loader, &(struct weight_copy){.source = source,
                                           .rows = rows,
                                           .columns = columns,
                                           .target = weight,
                                           .row_step = quads * 4,
                                           .column_step = 1,
                                           .block = columns});
}

static void add_embedding(struct loader *loader, struct weight *weight, enum module_id id)
{
    struct module module = find(loader, id, 0);
    add_table(loader, weight, loader->weights->type, module.weight, module.rows, module.columns);
}

static void add_norm(struct loader *loader, struct norm_weights *norm, enum module_id id,
                     uint32_t layer)
{
    struct module module = find(loader, id, layer);
    add_table(loader, &norm->scale, ELEMENT_F32, module.weight, 1, module.rows);
    add_table(loader, &norm->bias, ELEMENT_F32, module.bias, 1, module.rows);
}

static void place_linear(struct loader *loader, struct linear_weights *linear, uint64_t k4,
                         uint64_t n4, bool normed)
{
    linear->k4 = (uint32_t)k4;
    linear->n4 = (uint32_t)n4;
    place(loader, &linear->weight, loader->weights->type, k4 * 4, n4);
    place(loader, &linear->bias, ELEMENT_F32, normed ? 2 : 1, n4);
}

/* Outputs first_row .. first_row + rows of a module become columns from `column` on. Its inputs
 * come in blocks of `k_block`, each padded to whole quads. */
static void add_outputs(struct loader *loader, const struct linear_weights *linear,
                        const struct module *module, uint64_t first_row, uint64_t rows,
                        uint64_t column, uint64_t k_block)
{
    uint64_t width = (uint64_t)linear->n4 * 4;
    struct weight_copy copy = {.source = module->weight,
                               .first_row = first_row,
                               .rows = rows,
                               .columns = module->columns,
                               .target = &linear->weight,
                               .start = column,
                               .row_step = 1,
                               .column_step = width,
                               .block = k_block,
                               .block_step = size_round_up(k_block, 4) * width};
    add_copy(loader, &copy);
    copy.source = module->bias;
    copy.target = &linear->bias;
    copy.columns = copy.block = 1;
    add_copy(loader, &copy);
}

static void add_linear(struct loader *loader, struct linear_weights *linear, enum module_id id,
                       uint32_t layer, bool normed)
{
    struct module module = find(loader, id, layer);
    place_linear(loader, linear, size_div_up(module.columns, 4), size_div_up(module.rows, 4),
                 normed);
    add_outputs(loader, linear, &module, 0, module.rows, 0, module.columns);
}

/* The product that reads the heads' outputs: their blocks are padded. */
static void add_output(struct loader *loader, struct linear_weights *linear, uint32_t layer)
{
    struct module module = find(loader, MODULE_OUTPUT, layer);
    place_linear(loader, linear, loader->weights->projections.block_columns,
                 size_div_up(module.rows, 4), false);
    add_outputs(loader, linear, &module, 0, module.rows, 0, loader->config->head_dim);
}

/* The G blocks of head h of `heads` become columns from quad `column` on. */
static void add_head(struct loader *loader, const struct linear_weights *product,
                     const struct module *module, uint32_t h, uint32_t heads, uint32_t column)
{
    uint32_t dk = loader->config->head_dim, dk4 = loader->weights->projections.dk4;
    for (uint32_t g = 0; g < loader->config->num_groups; g++)
        add_outputs(loader, product, module, ((uint64_t)g * heads + h) * dk, dk,
                    4 * ((uint64_t)column + g * dk4), module->columns);
}

static void add_projections(struct loader *loader, struct layer_weights *layer, uint32_t index)
{
    const struct projections *projections = &loader->weights->projections;
    uint32_t heads = loader->config->heads;
    struct module query = find(loader, MODULE_QUERY, index);
    struct module key = find(loader, MODULE_KEY, index);
    struct module value = find(loader, MODULE_VALUE, index);
    for (uint32_t i = 0; i < projections->count; i++)
        place_linear(loader, &layer->products[i], size_div_up(query.columns, 4),
                     projections->products[i].n4, true);
    add_head(loader, &layer->products[0], &query, 0, 1, 0);
    for (uint32_t h = 0; h < heads; h++) {
        const struct head_columns *columns = &projections->heads[h];
        const struct linear_weights *product = &layer->products[columns->product];
        add_head(loader, product, &key, h, heads, columns->key);
        add_head(loader, product, &value, h, heads, columns->value);
    }
}

static void add_router(struct loader *loader, struct layer_weights *layer, uint32_t index)
{
    struct module router = find(loader, MODULE_ROUTER, index);
    add_table(loader, &layer->router_weight, ELEMENT_F32, router.weight, router.rows,
              router.columns);
    add_table(loader, &layer->router_bias, ELEMENT_F32, router.bias, 1, router.rows);
}

static void add_layer(struct loader *loader, struct layer_weights *layer, uint32_t index)
{
    add_norm(loader, &layer->attention_norm, MODULE_ATTENTION_NORM, index);
    add_projections(loader, layer, index);
    if (loader->config->attention->multires)
        add_router(loader, layer, index);
    add_output(loader, &layer->output, index);
    add_norm(loader, &layer->ffn_norm, MODULE_FFN_NORM, index);
    add_linear(loader, &layer->ffn_in, MODULE_FFN_IN, index, true);
    add_linear(loader, &layer->ffn_out, MODULE_FFN_OUT, index, false);
}

/* A model with fewer layers than its weights have computes, but something else. */
static void warn_of_layers(const struct loader *loader)
{
    const uint32_t layers = loader->config->num_hidden_layers;
    char name[64];
    snprintf(name, sizeof(name), "layers.%u.attention_norm.weight", layers);
    if (loader->state == STATUS_OK && st_find(loader->file, name))
        log_line(loader->log, LOG_WARNING, "%s: %s is not read, as num_hidden_layers is %u",
                 loader->file->path, name, layers);
}

static status add_all(struct loader *loader)
{
    struct weights *weights = loader->weights;
    uint32_t layers = loader->config->num_hidden_layers, products = weights->projections.count;
    weights->layers = arena_alloc(&weights->arena, layers, sizeof(*weights->layers));
    struct linear_weights *linear =
        arena_alloc(&weights->arena, (size_t)layers * products, sizeof(*linear));
    if (!weights->layers || !linear)
        return fail(loader->log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for %u layers",
                    loader->file->path, layers);
    add_embedding(loader, &weights->token_table, MODULE_TOKEN_EMBEDDING);
    add_embedding(loader, &weights->position_table, MODULE_POSITION_EMBEDDING);
    for (uint32_t i = 0; i < layers && loader->state == STATUS_OK; i++) {
        weights->layers[i].products = linear + (size_t)i * products;
        add_layer(loader, &weights->layers[i], i);
    }
    add_norm(loader, &weights->norm, MODULE_NORM, 0);
    add_linear(loader, &weights->classifier_in, MODULE_CLASSIFIER_IN, 0, false);
    add_linear(loader, &weights->classifier_out, MODULE_CLASSIFIER_OUT, 0, false);
    warn_of_layers(loader);
    return loader->state;
}

static status fold(struct loader *loader, uint32_t layer, const char *module,
                   const struct norm_weights *norm, const struct linear_weights *linear)
{
    char name[64];
    snprintf(name, sizeof(name), "layers.%u.%s.weight", layer, module);
    return weights_fold(loader->log, loader->file->path, name, norm, linear, loader->weights->host);
}

static status fold_norms(struct loader *loader)
{
    struct weights *weights = loader->weights;
    status result = STATUS_OK;
    for (uint32_t l = 0; l < loader->config->num_hidden_layers; l++) {
        const struct layer_weights *layer = &weights->layers[l];
        for (uint32_t i = 0; i < weights->projections.count && result == STATUS_OK; i++)
            result = fold(loader, l, "attention_norm", &layer->attention_norm, &layer->products[i]);
        if (result == STATUS_OK)
            result = fold(loader, l, "ffn_norm", &layer->ffn_norm, &layer->ffn_in);
    }
    return result;
}

static status fill_block(struct loader *loader, struct gpu_device *device)
{
    struct weights *weights = loader->weights;
    weights->host = calloc(1, weights->bytes);
    if (!weights->host)
        return fail(loader->log, STATUS_OUT_OF_HOST_MEMORY,
                    "%s: no host memory for %" PRIu64 " bytes of weights", loader->file->path,
                    weights->bytes);
    status result = weight_copies_run(loader->log, loader->file, loader->copies, weights->host);
    if (result == STATUS_OK)
        result = fold_norms(loader);
    if (result != STATUS_OK || !device)
        return result;
    result = gpu_buffer_create(device, weights->bytes, GPU_MEMORY_DEVICE, &weights->buffer);
    if (result == STATUS_OK)
        result = gpu_buffer_write(weights->buffer, 0, weights->host, weights->bytes);
    free(weights->host);
    weights->host = NULL;
    return result;
}

status weights_take(struct logger *log, struct gpu_device *device,
                    const struct model_config *config, const struct st_file *file,
                    enum element_type type, struct weights *weights)
{
    struct loader loader = {.log = log, .config = config, .weights = weights, .file = file};
    *weights = (struct weights){.type = type};
    projections_init(&weights->projections, config);
    status result = add_all(&loader);
    if (result == STATUS_OK)
        result = fill_block(&loader, device);
    arena_finish(&loader.arena);
    if (result != STATUS_OK)
        weights_finish(weights);
    return result;
}

status weights_load(struct logger *log, struct gpu_device *device,
                    const struct model_config *config, const char *path, enum element_type type,
                    struct weights *weights)
{
    struct st_file file;
    status result = st_open(log, path, &file);
    if (result != STATUS_OK)
        return result;
    result = weights_take(log, device, config, &file, type, weights);
    st_finish(&file);
    return result;
}

void weights_finish(struct weights *weights)
{
    gpu_buffer_destroy(weights->buffer);
    free(weights->host);
    arena_finish(&weights->arena);
    *weights = (struct weights){0};
}
