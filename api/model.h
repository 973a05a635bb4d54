/* model: what tests need of a model beyond adamra.h. */
#ifndef MODEL_H
#define MODEL_H

#include "adamra.h"

/* Bounds the activations of one submission: batches beyond it run in slices, a row at least. */
void adamra_model_slice(adamra_model *model, uint64_t bytes);

#endif
