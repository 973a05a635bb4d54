// What readout_coop makes matrices of: weights of queries and quotients S / z of a head, as sums of
// two halves. That defines GROUP, BLOCK (rows), PITCH and LOW (words of a row of `tile`), and the
// arrays `tile` and `parts`.

// Of each column of a head's quotients, of those that are finite, as bits; 0 between heads.
shared uint largest[64];

// The places of a number that a half holds. Not what a half unpacks to: compilers take that for the
// number itself.
vec4 high_part(vec4 x) { return uintBitsToFloat(floatBitsToUint(x) & 0xffffe000); }

// Quads 2 * word and the next of a row of `tile`, as halves and as what these leave.
void keep_word(uint row, uint word, vec4 x, vec4 y)
{
    const vec4 x_high = high_part(x), y_high = high_part(y);
    tile[row * PITCH + word] = uvec4(pack_quad(x_high), pack_quad(y_high));
    tile[row * PITCH + word + LOW] = uvec4(pack_quad(x - x_high), pack_quad(y - y_high));
}

// SHARE invocations have a row: the first one quads 0, 1, 2 * SHARE and so on.
const uint SHARE = GROUP / BLOCK, OWN = 16 / SHARE;
uint own_quad(uint lane, uint e) { return (e / 2 * SHARE + lane % SHARE) * 2 + e % 2; }

// A row of block b of the list; rows that are none load the first query.
void load_row(readout_tile t, uint b, uint lane, out uvec4 raw[OWN])
{
    const uint query = listed(b * BLOCK + lane / SHARE);
    const uint at = t.q + (t.query + (query == NO_QUERY ? 0 : query)) * p.q_row;
    [[unroll]] for (uint e = 0; e < OWN; e++)
        raw[e] = LOAD_RAW(q, READOUT_Q, at + min(own_quad(lane, e), p.dk4 - 1));
}

// phi(q) z by feature, and this invocation's part of its sum.
void multiply_row(readout_tile t, uint h, uint lane, uvec4 raw[OWN], out vec4 product[OWN])
{
    const uint at = t.state + h * block_quads() + p.dk4 * 4 * p.dv4;
    float part = 0;
    [[unroll]] for (uint e = 0; e < OWN; e++) {
        const uint quad = own_quad(lane, e);
        const vec4 z = LOAD(state, READOUT_S, at + min(quad, p.dk4 - 1));
        product[e] = feature_map(feature_kind, from_raw(q_type, raw[e])) * z;
        if (quad >= p.dk4) product[e] = vec4(0);
        part += dot(product[e], vec4(1));
    }
    parts[lane] = part;
}

// Weights, times 2^15, which a sum near the least float would not survive.
void keep_weights(uint lane, vec4 product[OWN])
{
    float sum = p.eps;
    [[unroll]] for (uint e = 0; e < SHARE; e++) sum += parts[lane / SHARE * SHARE + e];
    const float inverse = 1.0 / sum;
    [[unroll]] for (uint e = 0; e < OWN; e += 2)
        keep_word(lane / SHARE, own_quad(lane, e) / 2, product[e] * inverse * 32768.0,
                  product[e + 1] * inverse * 32768.0);
}

// Quads of quotients that an invocation has, and words of the tile that BLOCK features' ones fill.
const uint EACH = 64 * 16 / GROUP, FILLED = BLOCK * 8 / GROUP;

// S / z; 0 where z is, and where there is none.
vec4 quotient(uint at, uint f, uint column)
{
    const uint feature = min(f, p.dk4 * 4 - 1);
    const float z = LOAD(state, READOUT_S, at + p.dk4 * 4 * p.dv4 + feature / 4)[feature % 4];
    const vec4 s = LOAD(state, READOUT_S, at + feature * p.dv4 + min(column, p.dv4 - 1));
    const bool real = f < p.dk4 * 4 && column < p.dv4 && abs(z) >= 1.2e-38;
    return real ? s * (1.0 / z) : vec4(0);
}

void load_quotients(readout_tile t, uint h, uint lane, out vec4 quotients[EACH])
{
    const uint at = t.state + h * block_quads();
    const vec4 infinite = vec4(uintBitsToFloat(0x7f800000));
    vec4 most[2] = vec4[2](vec4(0), vec4(0)); // of the two quads of columns
    [[unroll]] for (uint i = 0; i < EACH; i++)
        quotients[i] = quotient(at, lane / 8 + i / 2 * (GROUP / 8),
                                t.column + lane % 8 * 2 + i % 2);
    [[unroll]] for (uint i = 0; i < EACH; i++) {
        const vec4 x = abs(quotients[i]);
        most[i % 2] = max(most[i % 2], mix(vec4(0), x, lessThan(x, infinite)));
    }
    [[unroll]] for (uint e = 0; e < 8; e++)
        atomicMax(largest[lane % 8 * 8 + e], floatBitsToUint(most[e / 4][e % 4]));
}

// Of the largest in each column of a quad.
uvec4 exponents(uint quad)
{
    const uint at = quad * 4;
    const uvec4 most = uvec4(largest[at], largest[at + 1], largest[at + 2], largest[at + 3]);
    return clamp(most >> 23, 30, 254);
}

// Divides quotients by the powers of two that bring their columns below 2^14.
void scale_quotients(uint lane, inout vec4 quotients[EACH])
{
    [[unroll]] for (uint i = 0; i < EACH; i++)
        quotients[i] *= uintBitsToFloat(267 - exponents(lane % 8 * 2 + i % 2) << 23);
}

// What takes the products of a quad of columns back: those powers, times 2^-15 for the weights.
vec4 scale_back(uint quad) { return uintBitsToFloat(exponents(quad) - 28 << 23); }

// Those of features f to f + BLOCK - 1 into the tile.
void keep_quotients(uint lane, uint f, vec4 quotients[EACH])
{
    const uint first = f / BLOCK * FILLED * 2;
    [[unroll]] for (uint i = 0; i < FILLED; i++)
        keep_word(lane / 8 + i * (GROUP / 8), lane % 8, quotients[first + i * 2],
                  quotients[first + i * 2 + 1]);
}
