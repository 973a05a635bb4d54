// Cooperative matrices: M x K and K x N halves, M x N sums in f32, held together by the invocations
// of a scope. Three dialects, which differ in these macros only:
//   COOP_NV   GL_NV_cooperative_matrix; the scope is the subgroup
//   COOP_KHR  GL_KHR_cooperative_matrix; the scope is the subgroup
//   else      arrays over the workgroup and shared memory: slow, but any device can check with it
//             whatever surrounds the dialects.
// Matrices come from and go to shared arrays of uvec4, 8 halves or 4 floats; `at` and `row` count
// such words.
// Everything here is reached by all invocations of the workgroup.
layout(constant_id = ID_TILE + 0) const uint M = 16;
layout(constant_id = ID_TILE + 1) const uint N = 16;
layout(constant_id = ID_TILE + 2) const uint K = 16;
layout(constant_id = ID_TILE + 3) const uint SCOPES = 1; // in the workgroup

#if defined(COOP_NV) || defined(COOP_KHR)
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_shader_subgroup_basic : require
#define COOP_SCOPE  gl_SubgroupID
#define COOP_LANE   gl_SubgroupInvocationID
#define COOP_LANES  gl_SubgroupSize
#endif

#if defined(COOP_NV)
#extension GL_NV_cooperative_matrix : require
#define COOP_A   fcoopmatNV<16, gl_ScopeSubgroup, M, K>
#define COOP_B   fcoopmatNV<16, gl_ScopeSubgroup, K, N>
#define COOP_SUM fcoopmatNV<32, gl_ScopeSubgroup, M, N>
#define COOP_ZERO(sum)             sum = COOP_SUM(0.0)
#define COOP_LOAD_A(m, from, at, row) coopMatLoadNV(m, from, at, row, false)
#define COOP_LOAD_B(m, from, at, row) coopMatLoadNV(m, from, at, row, false)
#define COOP_MULTIPLY(sum, a, b)   sum = coopMatMulAddNV(a, b, sum)
#define COOP_STORE(sum, to, at, row) coopMatStoreNV(sum, to, at, row, false)

#elif defined(COOP_KHR)
#extension GL_KHR_cooperative_matrix : require
#define COOP_A   coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define COOP_B   coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB>
#define COOP_SUM coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>
#define COOP_ROWS gl_CooperativeMatrixLayoutRowMajor
#define COOP_ZERO(sum)             sum = COOP_SUM(0.0)
#define COOP_LOAD_A(m, from, at, row) coopMatLoad(m, from, at, row, COOP_ROWS)
#define COOP_LOAD_B(m, from, at, row) coopMatLoad(m, from, at, row, COOP_ROWS)
#define COOP_MULTIPLY(sum, a, b)   sum = coopMatMulAdd(a, b, sum)
#define COOP_STORE(sum, to, at, row) coopMatStore(sum, to, at, row, COOP_ROWS)

#else
#define COOP_LANES (GROUP / SCOPES)
#define COOP_SCOPE (gl_LocalInvocationIndex / COOP_LANES)
#define COOP_LANE  (gl_LocalInvocationIndex % COOP_LANES)
#define COOP_PART(elements) ((elements) / COOP_LANES) // of one invocation
struct coop_a { float part[COOP_PART(M * K)]; };
struct coop_b { float part[COOP_PART(K * N)]; };
struct coop_sum { float part[COOP_PART(M * N)]; };
shared float coop_a_all[SCOPES * M * K], coop_b_all[SCOPES * K * N];

// Element `column` of the row of halves whose first word is `at`.
#define COOP_HALF(from, at, column)                                                                \
    unpack_pair(from[(at) + (column) / 8][(column) / 2 % 4])[(column) % 2]
// Elements of an invocation: which one of the matrix, and of `part`. Macros call them e_ and i_, as
// what they are given may hold an e or i of the caller's.
#define COOP_EACH(e, i, elements)                                                                  \
    for (uint i = 0, e = COOP_LANE; e < (elements); i++, e += COOP_LANES)
#define COOP_LOAD_(m, from, at, row, rows, columns)                                                \
    COOP_EACH(e_, i_, (rows) * (columns))                                                          \
        m.part[i_] = COOP_HALF(from, (at) + e_ / (columns) * (row), e_ % (columns))

void coop_multiply(inout coop_sum sum, coop_a a, coop_b b)
{
    const uint a_at = COOP_SCOPE * M * K, b_at = COOP_SCOPE * K * N;
    barrier();
    COOP_EACH(e_, i_, M * K) coop_a_all[a_at + e_] = a.part[i_];
    COOP_EACH(e_, i_, K * N) coop_b_all[b_at + e_] = b.part[i_];
    barrier();
    COOP_EACH(e_, i_, M * N)
        for (uint k = 0; k < K; k++)
            sum.part[i_] += coop_a_all[a_at + e_ / N * K + k] * coop_b_all[b_at + k * N + e_ % N];
}
#define COOP_A   coop_a
#define COOP_B   coop_b
#define COOP_SUM coop_sum
#define COOP_ZERO(sum)                COOP_EACH(e_, i_, M * N) sum.part[i_] = 0
#define COOP_LOAD_A(m, from, at, row) COOP_LOAD_(m, from, at, row, M, K)
#define COOP_LOAD_B(m, from, at, row) COOP_LOAD_(m, from, at, row, K, N)
#define COOP_MULTIPLY(sum, a, b)      coop_multiply(sum, a, b)
#define COOP_STORE(sum, to, at, row)                                                               \
    COOP_EACH(e_, i_, M * N)                                                                       \
        to[(at) + e_ / N * (row) + e_ % N / 4][e_ % 4] = floatBitsToUint(sum.part[i_])
#endif
