// Brings the queries of a tile of TILE together by the head that they read, after it has made the
// route where the readout does. Which of a head's queries comes first depends on timing; what a
// query's row becomes does not depend on its place.
const uint MOST_HEADS = 64;
shared uint head_count[MOST_HEADS], head_stop[MOST_HEADS]; // queries of heads, ends of their lists
shared uint order[TILE];                                   // queries of the tile
shared float made_prob[TILE];                              // of each query of the tile

#define LOGIT_WORD(i) WORD(chosen, READOUT_LOGITS, i)
#include "choose.glsl"
#define ROUTER_Q(i) LOAD(q, READOUT_Q, i)
#define ROUTER_W(i) SMALL_QUAD(weight, READOUT_WEIGHT, i)
#define ROUTER_B(i) SMALL_FLOAT(prob, READOUT_BIAS, i)
#include "choose_plain.glsl"

uint head_end(uint h) { return head_stop[h]; }

// Queries of a tile: as many as leave FILL tiles. readout.c has the same.
uint tile_size()
{
    uint size = 128;
    while (size < TILE && p.batch * p.groups * (p.n / (2 * size)) >= FILL) size *= 2;
    return size;
}

// Queries of the tile before N_b.
uint tile_queries(readout_tile t) { return min(t.valid - min(t.valid, t.query), tile_size()); }

uint find_head(readout_tile t, uint at)
{
    const uint i = t.query + at;
    if (fused == 0) {
        made_prob[at] = SMALL_FLOAT(prob, READOUT_PROB, t.bg * p.n + i);
        return min(WORD(chosen, READOUT_HEAD, t.bg * p.n + i), p.heads - 1);
    }
    route_choice choice = no_choice();
    for (uint h = 0; h < p.heads; h += 4) {
        const vec4 r = router == ROUTER_LOGITS
            ? given_logits(logits_row(t, i), h)
            : four_logits(t.bg % p.groups, h, t.q + i * p.q_row);
        choose(choice, h, r);
    }
    made_prob[at] = 1.0 / choice.sum;
    return choice.best;
}

void sort_queries(readout_tile t, uint lane)
{
    const uint count = tile_queries(t);
    uint head[TILE / 128], place[TILE / 128];
    for (uint h = lane; h < MOST_HEADS; h += 128) head_count[h] = 0;
    barrier();
    [[unroll]] for (uint n = 0; n < TILE / 128; n++) {
        const uint at = n * 128 + lane;
        if (at >= count) continue;
        head[n] = find_head(t, at);
        place[n] = atomicAdd(head_count[head[n]], 1);
    }
    barrier();
    for (uint h = lane; h < p.heads; h += 128) {
        uint stop = 0;
        for (uint i = 0; i <= h; i++) stop += head_count[i];
        head_stop[h] = stop;
    }
    barrier();
    [[unroll]] for (uint n = 0; n < TILE / 128; n++)
        if (n * 128 + lane < count)
            order[head_stop[head[n]] - head_count[head[n]] + place[n]] = n * 128 + lane;
    barrier();
}

// Rows of the tile from N_b on.
void zero_rest(readout_tile t, uint lane)
{
    const uint column = t.column + (lane & 15), end = min(tile_size(), p.n - t.query);
    if (column >= p.dv4) return;
    for (uint at = tile_queries(t) + (lane >> 4); at < end; at += 8)
        STORE(y, READOUT_Y, t.y + (t.query + at) * p.y_row + column, vec4(0));
}
