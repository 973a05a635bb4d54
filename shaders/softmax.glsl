// What the softmax kernels share: bindings and where an item's queries, keys and values lie.
SMALL_WORDS(key_lengths, SOFTMAX_KEY_LENGTHS)
SMALL_WORDS(query_lengths, SOFTMAX_QUERY_LENGTHS)
TENSOR_OUT(y, SOFTMAX_Y)
SMALL_WORDS(runs, SOFTMAX_RUNS)
PUSH(softmax_params)
layout(constant_id = ID_OPTION + OPTION_SPARSE) const uint SPARSE = 0;
layout(constant_id = ID_OPTION + OPTION_PARTIAL) const uint PARTIAL = 0;

const float NEVER = -3.0e38; // below every score, finite so that differences are

struct softmax_tile {
    uint query, query_end, column; // queries [query, query_end); first column quad
    uint q, k, v, y;               // quads at which row 0 of (b, g) lies
    uint key, key_end;             // keys that are to be visited next, [key, key_end)
    uint run, run_end;             // words of the runs after those
    uint keys, valid;              // valid keys; valid queries
};

// Opens the next run where the last one is done. False when no valid key is left: runs ascend.
bool next_keys(inout softmax_tile t)
{
    if (t.key >= t.key_end && t.run < t.run_end) {
        t.key = SMALL_WORD(runs, SOFTMAX_RUNS, t.run);
        t.key_end = min(SMALL_WORD(runs, SOFTMAX_RUNS, t.run + 1), t.keys);
        t.run += 2;
    }
    return t.key < t.key_end;
}

// Items: (b*G + g) * tiles + tile; tiles of queries outer, of columns inner. A tile lies in one
// block of queries.
softmax_tile softmax_locate(uint item, uint queries, uint column_quads)
{
    const uint columns = (p.dv4 + column_quads - 1) / column_quads;
    const uint block_rows = (p.block + queries - 1) / queries; // rows of tiles
    const uint rows = p.n / p.block * block_rows + (p.n % p.block + queries - 1) / queries;
    const uint inner = item % (rows * columns), bg = item / (rows * columns);
    const uint b = bg / p.groups, g = bg % p.groups;
    const uint row = inner / columns, block = row / block_rows, start = block * p.block;
    softmax_tile t;
    t.query = start + row % block_rows * queries;
    t.query_end = start + min(p.block, p.n - start);
    t.column = inner % columns * column_quads;
    t.q = b * p.q_batch + g * p.q_group;
    t.k = p.k_start + b * p.k_batch + g * p.k_group;
    t.v = p.v_start + b * p.v_batch + g * p.v_group;
    t.y = b * p.y_batch + g * p.y_group;
    t.keys = min(SMALL_WORD(key_lengths, SOFTMAX_KEY_LENGTHS, b), p.m);
    t.valid = min(SMALL_WORD(query_lengths, SOFTMAX_QUERY_LENGTHS, b), p.n);
    t.key = 0;
    t.key_end = SPARSE == 1 ? 0 : t.keys;
    t.run = SPARSE == 1 ? SMALL_WORD(runs, SOFTMAX_RUNS, block) : 0;
    t.run_end = SPARSE == 1 ? SMALL_WORD(runs, SOFTMAX_RUNS, block + 1) : 0;
    if (!next_keys(t)) t.valid = 0; // no key: zeros
    return t;
}

// What a part of the keys tells of a query beside its row.
void store_weights(softmax_tile t, uint i, float top, float total)
{
    if (PARTIAL == 0 || t.column != 0 || i >= t.query_end) return;
    const vec4 x = total == 0 ? vec4(0) : vec4(top, total, 0, 0);
    STORE(y, SOFTMAX_Y, t.y + i * p.y_row + p.dv4, x);
}
