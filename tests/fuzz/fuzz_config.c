/* Any text is a config.json or is refused; what is accepted keeps the promises of config.h. */
#include "model/config.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define MAX_BYTES 4096 /* of an input; no label is longer */

static bool keeps_promises(const struct model_config *config)
{
    if (!config->attention || config->heads < 1 || config->heads > ATTN_MAX_HEADS)
        return false;
    for (uint32_t h = 0; h < config->heads; h++)
        if (config->rates[h] < 1)
            return false;
    for (uint32_t i = 0; i < config->num_labels; i++)
        if (strlen(config->labels[i]) > MAX_BYTES)
            return false;
    uint64_t rows = (uint64_t)config->num_groups * config->heads * config->head_dim;
    return config->pad_token_id < config->vocab_size && config->layer_norm_eps >= 0 &&
           rows * config->hidden_size <= INT32_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > MAX_BYTES)
        return 0;
    struct logger log = {0};
    struct model_config config;
    status result = config_parse(&log, "fuzz", (const char *)bytes, size, &config);
    if (result == STATUS_OK ? !keeps_promises(&config) : !log.error[0])
        __builtin_trap();
    if (result == STATUS_OK)
        config_finish(&config);
    return 0;
}
