/* Any bytes are a text, and any bytes are JSON lines or are refused; what is accepted keeps the
 * promises of texts.h. The first byte chooses which, and how long a text may be. */
#include "texts.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char *const labels[] = {"de", "en", "fi"};

static bool keeps_promises(const struct text_list *list, const adamra_model_info *model, bool jsonl)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct text *text = &list->items[i];
        bool labelled = text->label < model->num_labels;
        if (!text->name || !text->bytes || text->size < 1 || text->size > model->max_tokens ||
            (text->cut && text->size < model->max_tokens) || labelled != jsonl)
            return false;
    }
    return list->count > 0;
}

/* The input as a file that has a name. */
static int open_file(char name[32], const uint8_t *bytes, size_t size)
{
    int file = memfd_create("fuzz", 0);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        __builtin_trap();
    snprintf(name, 32, "/proc/self/fd/%d", file);
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;
    bool jsonl = bytes[0] & 1;
    const adamra_model_info model = {
        .max_tokens = 1 + bytes[0] / 2, .num_labels = ARRAY_SIZE(labels), .labels = labels};
    char name[32];
    int file = open_file(name, bytes + 1, size - 1);
    const char *words[] = {"model", name};
    struct options options = {.operands = {words, jsonl ? 1 : 2},
                              .jsonl = {words + 1, jsonl ? 1 : 0}};
    struct logger log = {0};
    struct text_list list;
    status result = texts_read(&log, &options, &model, &list);
    if (result == STATUS_OK ? !keeps_promises(&list, &model, jsonl)
                            : result != STATUS_BAD_INPUT || !log.error[0])
        __builtin_trap();
    texts_finish(&list);
    close(file);
    return 0;
}
