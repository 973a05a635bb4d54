// Exact GELU, x * (1 + erf(x / sqrt 2)) / 2 = max(x, 0) - t * erfc(t / sqrt 2) / 2 with t = |x|.
// Half of erfc is 2^-P(t), P a polynomial with P(0) = 1 that was fitted here to [0, 6] (weighted
// least squares towards minimax: GELU is off by less than 1e-8) and goes on rising beyond. In 32
// bits the second term is off by less than 5e-8.
vec4 gelu_quad(vec4 x)
{
    const vec4 t = min(abs(x), vec4(16.0)); // finite, where the second term is 0 either way
    vec4 p = vec4(1.9020566967143524e-6);
    p = p * t - 2.8056821975042112e-5;
    p = p * t + 1.314725959673524e-4;
    p = p * t + 2.720774500630796e-4;
    p = p * t - 7.24542373791337e-3;
    p = p * t + 5.262761190533638e-2;
    p = p * t + 4.591621458530426e-1;
    p = p * t + 1.1511110067367554;
    return mix(x, vec4(0), lessThan(x, vec4(0))) - t * exp2(-1.0 - p * t);
}
