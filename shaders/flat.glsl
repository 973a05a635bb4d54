// For kernels whose invocations each make one element of a flat output: `index` counts those
// elements over all items.
layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 64;

#define BEGIN_ELEMENT(index, count)                                                                \
    BEGIN_ITEM(item);                                                                              \
    const uint index = item * GROUP + gl_LocalInvocationIndex;                                     \
    if (index >= (count)) return
