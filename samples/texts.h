/* texts: what `classify` is to classify, read from files, the command line and JSON lines. */
#ifndef TEXTS_H
#define TEXTS_H

#include "options.h"

#define NO_LABEL UINT32_MAX

struct text {
    char *name; /* the file's, "-", "text", or FILE:LINE */
    uint8_t *bytes;
    uint32_t size;  /* 1..max_tokens */
    uint32_t label; /* index of the right one; NO_LABEL where it is not said */
    bool cut;       /* the text was longer than max_tokens */
};

struct text_list {
    struct text *items;
    uint32_t count, space;
};

/* Reads files, then --text, then --jsonl, each in the order of the command line, cutting what is
 * longer than the model takes. An empty text is STATUS_BAD_INPUT. On failure, too, texts_finish
 * frees what *list holds. */
status texts_read(struct logger *log, const struct options *options, const adamra_model_info *model,
                  struct text_list *list);
void texts_finish(struct text_list *list);

#endif
