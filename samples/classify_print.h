/* classify_print: the result lines of `classify`, as tab-separated text or as JSON. */
#ifndef CLASSIFY_PRINT_H
#define CLASSIFY_PRINT_H

#include "texts.h"

/* Turns logits [num_labels] into probabilities, in place. False when one is not finite. */
bool probabilities(float *logits, uint32_t count);
/* Prints one text's result: the `top` most probable labels. *best is the most probable one. */
status print_result(struct logger *log, const struct options *options,
                    const adamra_model_info *model, const struct text *text,
                    const float *probability, uint32_t *best);
/* The last line, when texts came with labels: of `all`, how many were right. */
void print_accuracy(const struct options *options, uint32_t right, uint32_t all);

#endif
