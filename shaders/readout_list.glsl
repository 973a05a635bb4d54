// Brings the queries of a tile of TILE together by the head that they read, after it has made the
// route where the readout does. The workgroup is one subgroup.
shared uint order[TILE]; // queries of the tile, head by head
shared float made_prob[TILE]; // fused: of each query of the tile
uint read_head[TILE / SG]; // which head queries lane, lane + SG, ... read

#ifdef TEXEL
const uint BATCH = 4; // queries a lane looks at together; TILE / SG is a multiple
#else
const uint BATCH = 1; // unrolled for more, SwiftShader's compiler takes minutes and gigabytes
#endif
const uint NO_HEAD = 0xffffffff;

#define LOGIT_WORD(i) FETCH_WORD(chosen, READOUT_LOGITS, i)
#include "choose.glsl"
#define ROUTER_Q(i) FETCH(q, READOUT_Q, i)
#define ROUTER_W(i) FETCH(weight, READOUT_WEIGHT, i)
#define ROUTER_B(i) SMALL_FLOAT(prob, READOUT_BIAS, i)
#ifdef TEXEL
#include "choose_lane.glsl"
#else
#include "choose_plain.glsl"
void four_logits(uint g, uint h, uint q_at[BATCH], out vec4 r[BATCH])
{
    r[0] = four_logits(g, h, q_at[0]);
}
#endif

void make_route(readout_tile t, uint query[BATCH], out route_choice choice[BATCH])
{
    vec4 r[BATCH];
    uint q_at[BATCH];
    [[unroll]] for (uint u = 0; u < BATCH; u++) {
        choice[u] = no_choice();
        q_at[u] = t.q + query[u] * p.q_row;
    }
    for (uint h = 0; h < p.heads; h += 4) {
        if (router == ROUTER_WEIGHT) four_logits(t.bg % p.groups, h, q_at, r);
        [[unroll]] for (uint u = 0; u < BATCH; u++) {
            if (router == ROUTER_LOGITS) r[u] = given_logits(logits_row(t, query[u]), h);
            choose(choice[u], h, r[u]);
        }
    }
}

// Queries of the tile over SG.
uint tile_rows(readout_tile t) { return (min(TILE, p.n - t.query) + SG - 1) / SG; }

#ifdef TEXEL
WORDS_OUT(y, READOUT_Y)
const uint LINE = READOUT_LINE * (y_type == TYPE_F16 ? 2 : 1);

// Brings the tile's rows of q and y to the cache, line after line in the order of memory, in which
// processors fetch ahead: answers go through them head by head. Of y a word of each line is
// written, which an answer writes again: 0, though no compiler knows that it is.
void touch_rows(readout_tile t)
{
    const uint columns = min(p.dv4 - t.column, SG * QUADS);
    const uint lines = (max(columns, p.dk4) + LINE - 1) / LINE, shift = findMSB(2 * lines - 1);
    const uint count = p.dk4 <= READOUT_CACHED / TILE ? tile_rows(t) << shift : 0;
    for (uint i = 0; i < count; i++) {
        const uint at = i * SG + gl_SubgroupInvocationID, line = (at & (1 << shift) - 1) * LINE;
        const uint query = min(t.query + (at >> shift), p.n - 1);
        const uint q_at = t.q + query * p.q_row + min(line, p.dk4 - 1);
        const uint y_at = t.y + query * p.y_row + t.column + min(line, columns - 1);
        y_words[(y_at - p.items.base[READOUT_Y]) * (16 / LINE)] =
            floatBitsToUint(FETCH(q, READOUT_Q, q_at).x) & lane_zero(1, p.n);
    }
    subgroupBarrier(); // of the subgroup as those of list_queries
}
#endif

// Finds which head each query of the tile reads; without top-1 routing there is one list, of all.
void find_heads(readout_tile t)
{
#ifdef TEXEL
    if (routing == ROUTING_TOP1) touch_rows(t);
#endif
    const uint rows = tile_rows(t);
    for (uint i = 0; i < rows; i += BATCH) {
        uint query[BATCH];
        route_choice choice[BATCH];
        [[unroll]] for (uint u = 0; u < BATCH; u++)
            query[u] = min(t.query + (i + u) * SG + gl_SubgroupInvocationID, p.n - 1);
        if (fused != 0) make_route(t, query, choice);
        [[unroll]] for (uint u = 0; u < BATCH; u++) {
            const uint at = (i + u) * SG + gl_SubgroupInvocationID;
            uint head = 0;
            if (fused != 0) {
                head = choice[u].best;
                made_prob[at] = 1.0 / choice[u].sum;
            } else if (routing == ROUTING_TOP1) {
                head = FETCH_WORD(chosen, READOUT_HEAD, t.bg * p.n + query[u]);
            }
            read_head[i + u] = t.query + at < p.n ? head : NO_HEAD;
        }
    }
}

// Lists the queries of heads first .. first + SG - 1 in `order`, each head's rising, so that their
// rows are read and written in the order of memory. Lane l returns how many there are of head
// first + l, and where they begin.
uint list_queries(readout_tile t, uint first, out uint begin)
{
    const uint lane = gl_SubgroupInvocationID, own = first + lane, rows = tile_rows(t);
    // Both barriers are of the subgroup, which is the workgroup: for a wider scope software drivers
    // make coroutines. The first one: the list before, which is written over, has been read.
    subgroupBarrier();
    uint count = 0;
    for (uint i = 0; i < rows; i++)
        [[unroll]] for (uint l = 0; l < SG; l++)
            count += subgroupShuffle(read_head[i], l) == own ? 1 : 0;
    begin = 0;
    [[unroll]] for (uint l = 0; l < SG; l++)
        begin += l < lane ? subgroupShuffle(count, l) : 0;
    uint next = begin;
    for (uint i = 0; i < rows; i++) {
        const uint head = read_head[i];
        uint at = any_lane(next, (head - first) % SG);
        [[unroll]] for (uint l = 0; l < SG; l++) {
            const uint other = subgroupShuffle(head, l);
            at += l < lane && other == head ? 1 : 0;
            next += other == own ? 1 : 0;
        }
        if (head - first < SG) order[at] = i * SG + lane;
    }
    subgroupBarrier();
    return count;
}

// The weight of head h's answer to a query of the tile, which reads it.
float listed_weight(readout_tile t, uint query, uint h)
{
    return fused != 0 ? made_prob[query - t.query] : head_weight(t, query, h);
}
