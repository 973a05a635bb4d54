// Lists the queries of a tile of TILE head by head, each head's in whole units of UNIT rows, after
// it has made the route where the readout does. Which of a head's queries comes first depends on
// timing; what a query's row becomes does not depend on its place. Who includes it defines GROUP
// (invocations), TILE and FILL (queries, and tiles that a device should have), MOST_HEADS, and UNIT
// and BLOCK (rows, units a whole number of times in a block).
const uint NO_QUERY = 0xffffffff, NO_HEAD = 0xffffffff;
const uint MOST_EACH = (TILE + GROUP - 1) / GROUP; // queries an invocation lists
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

route_choice choose_by_weights(readout_tile t, uint i)
{
    route_choice choice = no_choice();
    for (uint h = 0; h < p.heads; h += 4)
        choose(choice, h, four_logits(t.bg % p.groups, h, t.q + i * p.q_row));
    return choice;
}

// Heads and weights of the queries that an invocation lists; past the last query that one's. Where
// they are read or come of logits, all are gone through at once, so that their loads overlap.
void find_heads(readout_tile t, uint lane, uint count, out uint head[MOST_EACH],
                out float weights[MOST_EACH])
{
    uint query[MOST_EACH];
    route_choice choice[MOST_EACH];
    [[unroll]] for (uint n = 0; n < MOST_EACH; n++) {
        query[n] = t.query + min(n * GROUP + lane, max(count, 1) - 1);
        choice[n] = no_choice();
    }
    if (fused == 0) {
        [[unroll]] for (uint n = 0; n < MOST_EACH; n++) {
            weights[n] = SMALL_FLOAT(prob, READOUT_PROB, t.bg * p.n + query[n]);
            head[n] = min(WORD(chosen, READOUT_HEAD, t.bg * p.n + query[n]), p.heads - 1);
        }
        return;
    }
    if (router == ROUTER_WEIGHT) {
        [[unroll]] for (uint n = 0; n < MOST_EACH; n++) choice[n] = choose_by_weights(t, query[n]);
    } else {
        for (uint h = 0; h < p.heads; h += 4) {
            vec4 r[MOST_EACH];
            [[unroll]] for (uint n = 0; n < MOST_EACH; n++)
                r[n] = given_logits(logits_row(t, query[n]), h);
            [[unroll]] for (uint n = 0; n < MOST_EACH; n++) choose(choice[n], h, r[n]);
        }
    }
    [[unroll]] for (uint n = 0; n < MOST_EACH; n++) {
        head[n] = choice[n].best;
        weights[n] = 1.0 / choice[n].sum;
    }
}

// Returns the number of blocks.
uint sort_queries(readout_tile t, uint lane)
{
    const uint count = tile_queries(t);
    uint head[MOST_EACH], place[MOST_EACH];
    float weights[MOST_EACH];
    for (uint h = lane; h < MOST_HEADS; h += GROUP) head_count[h] = 0;
    for (uint i = lane; i < MOST_ROWS / 2; i += GROUP) order[i] = 0;
    for (uint i = lane; i < MOST_ROWS / UNIT; i += GROUP) unit_head[i] = NO_HEAD;
    find_heads(t, lane, count, head, weights);
    barrier();
    [[unroll]] for (uint n = 0; n < MOST_EACH; n++) {
        const uint at = n * GROUP + lane;
        if (at >= count) continue;
        made_prob[at] = weights[n];
        place[n] = atomicAdd(head_count[head[n]], 1);
    }
    barrier();
    for (uint h = lane; h < p.heads; h += GROUP) {
        uint start = 0;
        for (uint i = 0; i < h; i++) start += (head_count[i] + UNIT - 1) / UNIT * UNIT;
        const uint units = (head_count[h] + UNIT - 1) / UNIT;
        head_start[h] = start;
        for (uint i = 0; i < units; i++) unit_head[start / UNIT + i] = h;
        if (h == p.heads - 1) row_count = start + units * UNIT;
    }
    barrier();
    [[unroll]] for (uint n = 0; n < MOST_EACH; n++) {
        const uint at = n * GROUP + lane;
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
    for (uint at = tile_queries(t) + (lane >> 4); at < end; at += GROUP / 16)
        STORE(y, READOUT_Y, t.y + (t.query + at) * p.y_row + column, vec4(0));
}
