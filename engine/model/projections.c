#include "model/projections.h"

/* The product that reads rows pooled by `rate`; a new one if there is none yet. */
static uint32_t find_product(struct projections *projections, uint32_t rate)
{
    uint32_t i = 0;
    while (i < projections->count && projections->products[i].rate != rate)
        i++;
    if (i == projections->count)
        projections->products[projections->count++] = (struct product){.rate = rate};
    return i;
}

void projections_init(struct projections *projections, const struct model_config *config)
{
    *projections = (struct projections){.dk4 = (uint32_t)size_div_up(config->head_dim, 4)};
    uint32_t block_columns = projections->block_columns = config->num_groups * projections->dk4;
    projections->products[find_product(projections, 1)].n4 = block_columns;
    bool pooled_rows = config->attention->multires && config->pooling == POOLING_MEAN;
    for (uint32_t h = 0; h < config->heads; h++) {
        uint32_t i = find_product(projections, pooled_rows ? config->rates[h] : 1);
        struct product *product = &projections->products[i];
        projections->heads[h] = (struct head_columns){
            .product = i, .key = product->n4, .value = product->n4 + block_columns};
        product->n4 += 2 * block_columns;
    }
}
