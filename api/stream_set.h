/* stream_set: the memory of a piece on the device, and the commands that run on it. */
#ifndef STREAM_SET_H
#define STREAM_SET_H

#include "context.h"
#include "model/plan.h"
#include "stream.h"

/* What the pieces of a run share. */
struct stream {
    struct adamra_context *context;
    const adamra_attention_io *io;
    struct stream_layout layout;
    struct gpu_buffer *states, *partials; /* of a round, of a pass; partials: NULL without any */
    uint64_t taken, most;                 /* bytes of device memory, now and so far */
    int (*progress)(void *user, double done); /* the context's */
    void *progress_user;
    double told;  /* to it, the most so far */
    bool stopped; /* by it */
};

/* Bytes of a set's buffers. */
struct stream_sizes {
    uint64_t data, inputs, outputs;
};

/* {0} is empty. */
struct stream_set {
    struct gpu_buffer *data;              /* what kernels see */
    struct gpu_buffer *upload, *readback; /* what the host sees; NULL: it sees `data` */
    struct stream_piece piece;            /* the last one, for which there are these commands */
    struct stream_memory memory;
    struct graph graph;
    struct plan *plan; /* NULL: none yet */
    struct gpu_commands *copy_in, *copy_out;
    bool busy;       /* started, not finished */
    double from, to; /* the piece's share of the run, for progress */
};

/* A buffer that is counted. */
status stream_take(struct stream *stream, uint64_t bytes, enum gpu_memory_kind kind,
                   struct gpu_buffer **out);
/* Makes the buffers. On failure, too, the set is to be finished. */
status stream_set_init(struct stream *stream, const struct stream_sizes *sizes,
                       struct stream_set *set);
/* Waits for what runs. */
void stream_set_finish(struct stream *stream, struct stream_set *set);
/* Copies a piece in and submits it; the set is not busy. */
status stream_set_start(struct stream *stream, struct stream_set *set,
                        const struct stream_piece *piece);
/* Waits for the piece of a busy set and copies its outputs out. Adds to device_ms, which stays
 * negative once a time is not known, and to submissions. */
status stream_set_wait(struct stream *stream, struct stream_set *set, adamra_timing *timing);

#endif
