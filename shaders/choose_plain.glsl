// Logits of heads h .. h + 3 of group g for the query at q_at, an invocation a query: sums in the
// order of every form of routing. ROUTER_Q, ROUTER_W and ROUTER_B load.
vec4 four_logits(uint g, uint h, uint q_at)
{
    const uvec4 at = g * p.heads + min(h + uvec4(0, 1, 2, 3), uvec4(p.heads - 1));
    vec4 sum = vec4(ROUTER_B(at.x), ROUTER_B(at.y), ROUTER_B(at.z), ROUTER_B(at.w));
    for (uint k = 0; k < p.dk4; k++) {
        const vec4 x = ROUTER_Q(q_at + k);
        const uvec4 w = at * p.dk4 + k;
        sum += vec4(dot(x, ROUTER_W(w.x)), dot(x, ROUTER_W(w.y)), dot(x, ROUTER_W(w.z)),
                    dot(x, ROUTER_W(w.w)));
    }
    return sum;
}
