#version 450
// X[b*n + i] = token_table[tokens[b*n + i]] + position_table[i]
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"

WORDS_IN(tokens, EMBED_TOKENS)
QUADS_IN(table, EMBED_TABLE)
QUADS_IN(positions, EMBED_POSITIONS)
TENSOR_OUT(x, EMBED_X)
PUSH(embed_params)

void main()
{
    BEGIN_ELEMENT(index, p.rows * p.quads);
    const uint row = index / p.quads, quad = index % p.quads;
    uint token = WORD(tokens, EMBED_TOKENS, row);
    if (token >= p.vocabulary) token = 0;
    const vec4 word = FETCH(table, EMBED_TABLE, token * p.table_row + quad);
    const vec4 place = FETCH(positions, EMBED_POSITIONS, row % p.n * p.position_row + quad);
    STORE(x, EMBED_X, row * p.x_row + quad, word + place);
}
