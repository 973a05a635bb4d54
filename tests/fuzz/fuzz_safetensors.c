/* Any bytes are a safetensors file or are refused; what is accepted can be read and converted. */
#include "model/safetensors.h"

#define COUNT 64 /* elements read of each tensor */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_all(struct logger *log, const struct st_file *file)
{
    float floats[COUNT];
    int64_t integers[COUNT];
    char text[32];
    for (uint32_t i = 0; i < file->count; i++) {
        const struct st_tensor *tensor = &file->tensors[i];
        uint64_t count = size_min(tensor->elements, COUNT);
        st_shape_text(tensor, text, sizeof(text));
        st_read_floats(log, file, tensor, tensor->elements - count, count, floats);
        st_read_ints(log, file, tensor, tensor->elements - count, count, integers);
        if (st_find(file, tensor->name) != tensor)
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct logger log = {0};
    struct st_file file;
    status result = st_parse(&log, "fuzz", bytes, size, &file);
    if (result == STATUS_OK) {
        read_all(&log, &file);
        st_metadata(&file, "format");
        st_finish(&file);
    } else if (!log.error[0]) {
        __builtin_trap(); /* a refusal must say why */
    }
    return 0;
}
