/* modules: the tensors of a model file, by the names and shapes that the specification gives. */
#ifndef MODULES_H
#define MODULES_H

#include "model/config.h"
#include "model/safetensors.h"

/* In the order of model-format.md; from MODULE_ATTENTION_NORM to MODULE_FFN_OUT once a layer. */
enum module_id {
    MODULE_TOKEN_EMBEDDING,
    MODULE_POSITION_EMBEDDING,
    MODULE_ATTENTION_NORM,
    MODULE_QUERY,
    MODULE_KEY,
    MODULE_VALUE,
    MODULE_ROUTER,
    MODULE_OUTPUT,
    MODULE_FFN_NORM,
    MODULE_FFN_IN,
    MODULE_FFN_OUT,
    MODULE_NORM,
    MODULE_CLASSIFIER_IN,
    MODULE_CLASSIFIER_OUT,
    MODULE_COUNT
};

/* One module as PyTorch stores it: weight [rows, columns] or [rows], bias [rows]. */
struct module {
    const struct st_tensor *weight;
    const struct st_tensor *bias; /* NULL: embeddings have none */
    uint64_t rows, columns;       /* of weight; columns is 1 where it has one dimension */
};

/* Finds a module's tensors and checks their dtype and shape; `layer` counts where the module is a
 * layer's. STATUS_BAD_INPUT with path, tensor, what was expected and what was found. */
status module_find(struct logger *log, const struct st_file *file,
                   const struct model_config *config, enum module_id id, uint32_t layer,
                   struct module *out);

#endif
