#include "attn/attn.h"
#include <string.h>

const struct attn_kind *const attn_kinds[] = {&attn_adamra, &attn_softmax, &attn_linear,
                                              &attn_bigbird};
const uint32_t attn_kind_count = ARRAY_SIZE(attn_kinds);

const struct attn_kind *attn_find(const char *name)
{
    for (uint32_t i = 0; i < attn_kind_count; i++)
        if (strcmp(attn_kinds[i]->name, name) == 0)
            return attn_kinds[i];
    return NULL;
}
