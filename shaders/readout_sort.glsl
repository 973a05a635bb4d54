// Lists the queries of a tile of TILE head by head, each head's in whole units, after it has made
// the route where the readout does. Which of a head's queries comes first depends on timing; what a
// query's row becomes does not depend on its place.
const uint MOST_HEADS = 64, NO_QUERY = 0xffffffff, NO_HEAD = 0xffffffff;
const uint MOST_ROWS = (TILE + MOST_HEADS * (UNIT - 1) + BLOCK - 1) / BLOCK * BLOCK;
shared uint head_count[MOST_HEADS], head_start[MOST_HEADS]; // queries of heads, their first rows
shared uint order[MOST_ROWS / 2]; // two rows a word: 1 + which query of the tile, or 0
shared uint unit_head[MOST_ROWS / UNIT];
shared float made_prob[TILE]; // of each query of the tile
shared uint row_count;

#define LOGIT_WORD(i) WORD(chosen, READOUT_LOGITS, i)
#include "choose.glsl"
#define ROUTER_Q(i) LOAD(q, READOUT_Q, i)
#define ROUTER_W(i) SMALL_QUAD(weight, READOUT_WEIGHT, i)
#define ROUTER_B(i) SMALL_FLOAT(prob, READOUT_BIAS, i)
#include "choose_plain.glsl"

// The query of a row of the list.
uint listed(uint row) { return (order[row / 2] >> row % 2 * 16 & 0xffff) - 1; }

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

// Returns the number of blocks.
uint sort_queries(readout_tile t, uint lane)
{
    const uint count = tile_queries(t);
    uint head[TILE / 128], place[TILE / 128];
    for (uint h = lane; h < MOST_HEADS; h += 128) head_count[h] = 0;
    for (uint i = lane; i < MOST_ROWS / 2; i += 128) order[i] = 0;
    for (uint i = lane; i < MOST_ROWS / UNIT; i += 128) unit_head[i] = NO_HEAD;
    barrier();
    [[unroll]] for (uint n = 0; n < TILE / 128; n++) {
        const uint at = n * 128 + lane;
        if (at >= count) continue;
        head[n] = find_head(t, at);
        place[n] = atomicAdd(head_count[head[n]], 1);
    }
    barrier();
    for (uint h = lane; h < p.heads; h += 128) {
        uint start = 0;
        for (uint i = 0; i < h; i++) start += (head_count[i] + UNIT - 1) / UNIT * UNIT;
        const uint units = (head_count[h] + UNIT - 1) / UNIT;
        head_start[h] = start;
        for (uint i = 0; i < units; i++) unit_head[start / UNIT + i] = h;
        if (h == p.heads - 1) row_count = start + units * UNIT;
    }
    barrier();
    [[unroll]] for (uint n = 0; n < TILE / 128; n++) {
        const uint at = n * 128 + lane;
        if (at >= count) continue;
        const uint row = head_start[head[n]] + place[n];
        atomicOr(order[row / 2], (at + 1) << row % 2 * 16);
    }
    barrier();
    return (row_count + BLOCK - 1) / BLOCK;
}

// Rows of the tile from N_b on.
void zero_rest(readout_tile t, uint lane)
{
    const uint column = t.column + (lane & 15), end = min(tile_size(), p.n - t.query);
    if (column >= p.dv4) return;
    for (uint at = tile_queries(t) + (lane >> 4); at < end; at += 8)
        STORE(y, READOUT_Y, t.y + (t.query + at) * p.y_row + column, vec4(0));
}
