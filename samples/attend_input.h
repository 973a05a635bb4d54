/* attend_input: the tensors of one attention, read from a file and checked against the flags. */
#ifndef ATTEND_INPUT_H
#define ATTEND_INPUT_H

#include "options.h"
#include "tensors.h"

/* Inputs: numbers are the file's where it has them as they are used. */
struct attend_input {
    struct st_file file; /* open as long as the input is */
    struct axes axes;
    adamra_attention_params params; /* rates: the options' */
    struct floats q, k, v, router_logits, router_weight, router_bias;
    uint32_t *key_lengths, *query_lengths;
};

/* Reads all that one run needs. On failure, too, attend_input_finish frees it. */
status attend_input_read(struct logger *log, const struct options *options,
                         struct attend_input *input);
/* STATUS_BAD_INPUT for a number of the file that is finite there and infinite in the storage type.
 * Those that are infinite or none in the file are the user's; padding may hold anything. */
status attend_input_check_range(struct logger *log, const struct attend_input *input);
/* {0} is fine. */
void attend_input_finish(struct attend_input *input);
/* Whether there are outputs `head` and `prob`. */
bool attend_input_chooses(const struct attend_input *input);

#endif
