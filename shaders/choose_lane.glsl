// Logits W_r q + b_r with lanes over queries, BATCH a lane; the weights of four heads lie over the
// lanes and are broadcast by constant shuffles. Who includes it defines ROUTER_Q(i) and
// ROUTER_W(i), which fetch quads of queries and weights, and ROUTER_B(i), a bias.
const uint STEP = SG / 4; // quads of k that one fetch of the weights of four heads brings

// Logits of heads h .. h + 3; past the last head, the last one's again.
void four_logits(uint g, uint h, uint q_at[BATCH], out vec4 r[BATCH])
{
    const uint lane = gl_SubgroupInvocationID;
    const uint head = g * p.heads + min(h + lane % 4, p.heads - 1), w_at = head * p.dk4;
    const float bias = ROUTER_B(head);
    vec4 first;
    [[unroll]] for (uint j = 0; j < 4; j++) first[j] = subgroupShuffle(bias, j);
    [[unroll]] for (uint i = 0; i < BATCH; i++) r[i] = first;
    for (uint k = 0; k < p.dk4; k += STEP) {
        const vec4 w = ROUTER_W(w_at + min(k + lane / 4, p.dk4 - 1));
        [[unroll]] for (uint u = 0; u < STEP; u++) {
            const bool more = k + u < p.dk4;
            vec4 x[BATCH];
            [[unroll]] for (uint i = 0; i < BATCH; i++)
                x[i] = more ? ROUTER_Q(q_at[i] + k + u) : vec4(0);
            [[unroll]] for (uint j = 0; j < 4; j++)
                [[unroll]] for (uint e = 0; e < 4; e++) {
                    const float b = subgroupShuffle(w[e], u * 4 + j);
                    [[unroll]] for (uint i = 0; i < BATCH; i++) r[i][j] += x[i][e] * b;
                }
        }
    }
}
