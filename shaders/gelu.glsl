// Exact GELU, x * 0.5 * (1 + erf(x / sqrt 2)). erf by two polynomials fitted here (weighted least
// squares towards minimax): erf(x) = x P(x^2) below 1, 1 - exp(-Q(x)) above; |error| < 1.4e-7.
vec4 erf_quad(vec4 x)
{
    const vec4 s = x * x;
    const vec4 t = min(abs(x), vec4(4.0));
    vec4 near = vec4(7.853857823647559e-5);
    near = near * s - 8.010192541405559e-4;
    near = near * s + 5.188327748328447e-3;
    near = near * s - 2.6853810995817184e-2;
    near = near * s + 1.128358542919159e-1;
    near = near * s - 3.761262595653534e-1;
    near = near * s + 1.1283791065216064;
    vec4 far = vec4(2.1686850232072175e-5);
    far = far * t - 4.4133636401966214e-4;
    far = far * t + 4.204561933875084e-3;
    far = far * t - 2.5208257138729095e-2;
    far = far * t + 1.0841857641935349e-1;
    far = far * t + 6.332198977470398e-1;
    far = far * t + 1.1295784711837769;
    far = far * t - 1.880402269307524e-4;
    return mix(sign(x) * (1.0 - exp(-far)), x * near, lessThan(t, vec4(1.0)));
}

vec4 gelu_quad(vec4 x)
{
    return 0.5 * x * (1.0 + erf_quad(x * 0.70710678118654752));
}
