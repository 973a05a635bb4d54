/* bar: how far long work is, on standard error where that is a terminal. */
#ifndef BAR_H
#define BAR_H

#include <stdbool.h>

struct bar {
    bool on;         /* a terminal shows it */
    double start_ms; /* of the work */
    double drawn_ms; /* last; -INFINITY: there is nothing to remove */
};

/* Starts the clock. Nothing is shown with `quiet`, and nothing but on a terminal. */
void bar_begin(struct bar *bar, bool quiet);
/* Shows the share, 0..1, and what time is left. Cheap: draws ten times a second at most. */
void bar_show(struct bar *bar, double done, const char *what);
/* Removes it from the terminal. */
void bar_end(struct bar *bar);

#endif
