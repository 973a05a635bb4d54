#include "ops/example.h"

bool example_chance(struct random *random, uint32_t times)
{
    return random_between(random, 1, times) == 1;
}

uint32_t example_quads(struct random *random)
{
    static const uint32_t usual[] = {1, 2, 4, 8, 9, 16, 17};
    if (example_chance(random, 2))
        return usual[random_between(random, 0, ARRAY_SIZE(usual) - 1)];
    return random_between(random, 1, 24);
}

uint32_t example_rows(struct random *random, uint32_t most)
{
    return random_between(random, 1, example_chance(random, 2) ? most : (most + 7) / 8);
}

struct span_layout example_layout(struct random *random, uint32_t groups, uint32_t heads,
                                  uint64_t rows, uint64_t width)
{
    struct span_layout layout = {.width = width, .groups = groups, .heads = heads};
    uint64_t gap = example_chance(random, 2) ? random_between(random, 1, 3) : 0;
    layout.start = gap * random_between(random, 0, 2);
    if (example_chance(random, 2)) { /* [B, G, H, rows, width] */
        layout.row = width + gap;
        layout.head = rows * layout.row + gap;
        layout.group = heads * layout.head + gap;
        layout.batch = groups * layout.group + gap;
    } else { /* [B, rows, G, H, width] */
        layout.head = width + gap;
        layout.group = heads * layout.head + gap;
        layout.row = groups * layout.group + gap;
        layout.batch = rows * layout.row + gap;
    }
    return layout;
}

void example_place(struct op_call *call, uint32_t index, enum element_type type,
                   const struct span_layout *layout, uint64_t batch)
{
    example_tensor(call, index, type, 4 * (layout->start + batch * layout->batch));
}

void example_tensor(struct op_call *call, uint32_t index, enum element_type type, uint64_t elements)
{
    call->tensors[index].type = type;
    call->tensors[index].elements = elements;
}

void example_lengths(struct random *random, const struct tensor *lengths, uint32_t most)
{
    const uint32_t choices[] = {0, 1, most + 5, random_between(random, 0, most)};
    for (uint64_t b = 0; b < lengths->elements; b++) {
        uint32_t choice = random_between(random, 0, ARRAY_SIZE(choices) - 1);
        tensor_set_u32(lengths, b, example_chance(random, 2) ? choices[choice] : most);
    }
}

void example_numbers(struct random *random, const struct tensor *numbers, uint32_t most)
{
    for (uint64_t i = 0; i < numbers->elements; i++)
        tensor_set_u32(numbers, i, random_between(random, 0, most));
}
