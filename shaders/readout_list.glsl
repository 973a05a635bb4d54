// Brings the queries of a tile of TILE together by head. The workgroup is one subgroup.
shared uint order[TILE]; // queries of the tile that read the head at hand

const uint BATCH = 8; // queries a lane looks at together

// Whether queries i, i + SG, ... of the tile read the list of head h; without top-1 routing there
// is one list, of all.
void in_list(readout_tile t, uint i, uint h, out bool found[BATCH])
{
    [[unroll]] for (uint u = 0; u < BATCH; u++) {
        const uint query = t.query + i + u * SG;
        found[u] = query < p.n;
        if (routing == ROUTING_TOP1) {
            const uint row = t.bg * p.n + min(query, p.n - 1);
            found[u] = FETCH_WORD(chosen, READOUT_HEAD, row) == h && found[u];
        }
    }
}

// Lists the queries of head h in `order`, rising, so that their rows are read and written in the
// order of memory; returns how many.
uint list_queries(readout_tile t, uint h)
{
    const uint lane = gl_SubgroupInvocationID;
    uint total = 0;
    bool found[BATCH];
    for (uint i = lane; i < TILE; i += SG * BATCH) {
        in_list(t, i, h, found);
        [[unroll]] for (uint u = 0; u < BATCH; u++) {
            uint before = 0, all = 0;
            [[unroll]] for (uint l = 0; l < SG; l++) {
                const uint other = subgroupShuffle(found[u] ? 1 : 0, l);
                before += l < lane ? other : 0;
                all += other;
            }
            if (found[u]) order[total + before] = i + u * SG;
            total += all;
        }
    }
    memoryBarrierShared(); // the group is one subgroup, whose lanes go in step
    return total;
}
