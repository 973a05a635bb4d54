/* config: config.json of a model folder (model-format.md). */
#ifndef CONFIG_H
#define CONFIG_H

#include "attn/attn.h"

#define CONFIG_MAX_LABELS 65536

struct model_config {
    bool bytes_tokenizer; /* tokenizer "bytes"; else "ids" */
    uint32_t vocab_size, pad_token_id, max_position_embeddings, hidden_size, num_hidden_layers;
    uint32_t intermediate_size, classifier_size, num_labels;
    const char **labels; /* num_labels */
    const struct attn_kind *attention;
    uint32_t num_groups, head_dim;
    uint32_t heads; /* number of rates; 1 where attention has none */
    uint32_t rates[ATTN_MAX_HEADS];
    uint32_t feature, routing, pooling;
    struct bigbird_pattern bigbird; /* its defaults where attention is not bigbird */
    float layer_norm_eps;
    struct arena arena;
};

/* Reads and checks a file: STATUS_IO, or STATUS_BAD_INPUT with path and key. On failure *config
 * needs no finish. */
status config_open(struct logger *log, const char *path, struct model_config *config);
status config_parse(struct logger *log, const char *path, const char *text, size_t size,
                    struct model_config *config);
void config_finish(struct model_config *config);

#endif
